"""The migrations make exactly the tables that the models describe."""

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from client_service.model_base import Base
from servicekit.testing import Harness


async def test_models_and_migrations_agree(service: Harness) -> None:
    ours = set(Base.metadata.tables)

    def differences(connection: sa.Connection) -> list[object]:
        def is_ours(_: object, name: str | None, kind: str, reflected: bool, __: object) -> bool:
            if kind == "table":
                return name in ours
            # Indexes for search and lists are the database's own business.
            return not (kind == "index" and reflected)

        options = {"include_object": is_ours, "compare_type": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata))

    async with service.runtime.engine.connect() as connection:
        assert await connection.run_sync(differences) == []
