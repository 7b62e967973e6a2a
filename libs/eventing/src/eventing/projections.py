"""Which tables are projections: those a rebuild makes anew from events, marked in their definition.

`__table_args__ = {"info": {"projection": True}}`. Aggregates are not rebuilt; they are backed up.
"""

import sqlalchemy as sa


def projection_tables(metadata: sa.MetaData) -> list[sa.Table]:
    """The marked tables, in the order in which they depend on each other."""
    return [table for table in metadata.sorted_tables if is_projection(table)]


def is_projection(table: sa.Table) -> bool:
    """Whether `table` is marked."""
    return table.info.get("projection") is True
