"""A tiny service that uses every rail, for servicekit's own tests."""
