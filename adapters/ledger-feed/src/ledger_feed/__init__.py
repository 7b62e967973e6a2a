"""A bank ledger's CSV files as the ledger's events on the bus: adapted here, at the edge, in one place."""
