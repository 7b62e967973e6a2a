"""Alembic's entry; servicekit runs it."""

from servicekit.migrations import run

run()
