"""Alembic's entry: the migrations are run by `python -m risk_service migrate`."""

from servicekit.migrations import run

run()
