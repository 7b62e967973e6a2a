"""`python -m ledger_feed`."""

from ledger_feed.cli import app

if __name__ == "__main__":
    app()
