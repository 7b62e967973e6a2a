"""The migrations make exactly the tables that the models describe; what the API says of itself is committed."""

import json
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from risk_service.app import app
from servicekit.testing import Harness

OPENAPI = Path(__file__).parents[1] / "openapi.json"


async def test_models_and_migrations_agree(risk: Harness) -> None:
    def differences(connection: sa.Connection) -> list[Any]:
        def ours(name: str | None, kind: str, _: object) -> bool:
            return kind != "table" or name in app.base.metadata.tables

        context = MigrationContext.configure(connection, opts={"include_name": ours, "compare_type": True})
        return compare_metadata(context, app.base.metadata)

    async with risk.runtime.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


def test_the_committed_openapi_is_current() -> None:
    assert json.loads(OPENAPI.read_text("utf-8")) == json.loads(json.dumps(app.openapi()))
