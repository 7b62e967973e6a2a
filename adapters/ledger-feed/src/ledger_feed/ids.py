"""Ids that come out the same each time a file is fed, so that a repeat is recognised by whoever has seen it.

A row of a file without ids of its own is identified by the file's hash, the legal entity it is fed for and the row's
number; a record the ledger numbers itself (the `ledger` shape), by the ledger's system and that number.
"""

from typing import Final
from uuid import UUID, uuid5

FILES: Final = UUID("0f6d5b5e-6b0a-5d0c-8f0e-3c1f5a1b7e21")
LEDGERS: Final = UUID("7c2b1b58-9d37-5f1e-a4c4-0e9a7c1d2f63")


def file_space(sha256: str, entity_id: str) -> UUID:
    """The namespace of all ids of a file's rows and day-closes in a legal entity's book: the same file fed for two
    legal entities tells different receivables."""
    return uuid5(uuid5(FILES, sha256), entity_id)


def ledger_space(system: str) -> UUID:
    """The namespace of all ids of one ledger's own numbers."""
    return uuid5(LEDGERS, system)
