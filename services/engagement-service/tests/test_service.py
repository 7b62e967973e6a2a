"""The service as a whole: its schema, its description, who may do what."""

from pathlib import Path
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from engagement_service.app import app
from engagement_service.model_base import Base
from engagement_service.permissions import ROLES
from servicekit import openapi
from servicekit.testing import Harness, misjudged

COMMITTED = Path(__file__).parents[1] / "openapi.json"


async def test_the_migrations_make_the_tables_of_the_models(engagement: Harness) -> None:
    def differences(connection: sa.Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        mine = set(Base.metadata.tables)
        found = cast(list[Any], compare_metadata(context, Base.metadata))
        return [each for each in found if not (each[0].startswith("remove") and _table(each) not in mine)]

    async with engagement.runtime.engine.connect() as connection:
        found = await connection.run_sync(differences)
    assert [each for each in found if each[0] != "remove_index"] == []


def _table(difference: Any) -> str:
    thing = difference[1]
    return str(thing.name if isinstance(thing, sa.Table) else thing.table.name)


def test_the_committed_description_is_the_services() -> None:
    """`python -m engagement_service openapi > openapi.json` brings it up to date."""
    assert openapi.check(app.openapi(), COMMITTED) == []


async def test_every_operation_asks_for_its_permission(engagement: Harness) -> None:
    assert await misjudged(engagement) == []


async def test_nobody_reads_anything_of_a_legal_entity_by_accident(office: Harness) -> None:
    """With every role at once, a stranger's lists and totals are empty."""
    stranger = office.client(*ROLES, entity_id="NOBODY-BANK", staff_id=UUID(int=2))
    for path in ("/contacts", "/complaints", "/visits"):
        assert (await stranger.get(f"{path}?total=true")).json() == {"items": [], "next_cursor": None, "total": 0}
    assert (await stranger.get("/complaints/totals")).json()["total"] == 0
