"""The table of permissions: every operation, as every role, as none and without a token."""

from servicekit.testing import Harness, misjudged


async def test_each_role_gets_in_where_the_table_says(risk: Harness) -> None:
    assert await misjudged(risk) == []
