"""Migrations: each service's own Alembic directory, run by `python -m X_service migrate`, its rails from `rails_v1`.

`rails_v1` is frozen: a released migration never changes; what is added later is `rails_v2`, and so on.
"""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from alembic import command, context
from alembic.config import Config
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from eventing import schema

log = logging.getLogger(__name__)

_RAILS_V1 = (
    """CREATE TABLE idempotency (
        subject text NOT NULL, operation text NOT NULL, key text NOT NULL, fingerprint bytea NOT NULL,
        status smallint NOT NULL, headers jsonb NOT NULL, body bytea NOT NULL, created_at timestamptz NOT NULL,
        CONSTRAINT idempotency_pkey PRIMARY KEY (subject, operation, key))""",
    "CREATE INDEX idempotency_created_at ON idempotency (created_at)",
    """CREATE TABLE audit (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL, actor text, entity_id text,
        operation text NOT NULL, table_name text NOT NULL, row_id text NOT NULL, action text NOT NULL,
        before jsonb, after jsonb, correlation_id text, causation_id text, sealed_order bigint, sealed_hash bytea)""",
    "CREATE INDEX audit_row ON audit (table_name, row_id, id)",
    "CREATE INDEX audit_unsealed ON audit (id) WHERE sealed_order IS NULL",
    """CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' AND OLD.sealed_order IS NULL AND NEW.sealed_order IS NOT NULL
           AND (to_jsonb(NEW) - 'sealed_order' - 'sealed_hash') = (to_jsonb(OLD) - 'sealed_order' - 'sealed_hash') THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'the audit trail is append-only' USING ERRCODE = 'restrict_violation';
    END $$""",
    "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit"
    " FOR EACH ROW EXECUTE FUNCTION audit_is_append_only()",
    "CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit"
    " FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()",
    """CREATE TABLE due_work (
        id uuid PRIMARY KEY, kind text NOT NULL, clock text NOT NULL, due_at timestamptz, due_on date,
        payload jsonb NOT NULL, attempts smallint NOT NULL DEFAULT 0, retry_at timestamptz, error text,
        correlation_id text, traceparent text,
        CONSTRAINT due_work_one_due CHECK ((due_at IS NULL) <> (due_on IS NULL)))""",
    "CREATE INDEX due_work_wall ON due_work (coalesce(retry_at, due_at)) WHERE clock = 'wall'",
    "CREATE INDEX due_work_business ON due_work (clock, due_on) WHERE due_on IS NOT NULL",
    """CREATE TABLE person_key (
        person_id uuid PRIMARY KEY, master_id text NOT NULL, wrapped bytea NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now())""",
    """CREATE TABLE access_owner (
        object_id uuid PRIMARY KEY, entity_id text NOT NULL, owner_id uuid, at timestamptz NOT NULL)""",
    "CREATE INDEX access_owner_owner ON access_owner (owner_id, entity_id)",
    """CREATE TABLE access_member (
        member_id uuid PRIMARY KEY, entity_id text NOT NULL, group_id uuid, at timestamptz NOT NULL)""",
    "CREATE INDEX access_member_group ON access_member (group_id, entity_id)",
    "CREATE TABLE alias (alias_id uuid PRIMARY KEY, target_id uuid NOT NULL, at timestamptz NOT NULL)",
    "CREATE INDEX alias_target ON alias (target_id)",
)


def rails_v1(op: Operations) -> None:
    """The tables of eventing and servicekit; a service's first migration begins with it."""
    schema.create_v1(op)
    for statement in _RAILS_V1:
        op.execute(statement)


def config(migrations: Path, dsn: str) -> Config:
    """Alembic's configuration for a service's migrations directory."""
    found = Config()
    found.set_main_option("script_location", str(migrations).replace("%", "%%"))
    found.attributes["dsn"] = dsn
    return found


def migrate(migrations: Path, dsn: str) -> None:
    """Bring the database to the newest revision. Two at once are safe: the second waits, then has nothing to do.

    Args:
        dsn: postgresql+asyncpg address without a pooler.
    """
    command.upgrade(config(migrations, dsn), "head")


def known(migrations: Path) -> tuple[str, ...]:
    """The revisions that this release knows, newest first."""
    scripts = ScriptDirectory.from_config(config(migrations, ""))
    return tuple(script.revision for script in scripts.walk_revisions())


async def migrated(connection: AsyncConnection, known: Sequence[str]) -> bool:
    """Whether the database has what this release needs. A revision it does not know is a later release's: while that
    one is rolled out, this one goes on serving (expand, release, contract)."""
    if await connection.scalar(sa.text("SELECT to_regclass('alembic_version')")) is None:
        return not known
    found = set(await connection.scalars(sa.text("SELECT version_num FROM alembic_version")))
    return bool(found) and found.isdisjoint(known[1:])


async def wait(dsn: str, known: Sequence[str], *, pause: float = 1.0) -> None:
    """Return once the database is migrated, however long that takes.

    Args:
        dsn: postgresql+asyncpg address without a pooler.
    """
    engine = create_async_engine(dsn, connect_args={"timeout": 5})
    try:
        while True:
            try:
                async with engine.connect() as connection:
                    if await migrated(connection, known):
                        return
                log.info("waiting for the migrations of this release")
            except (OSError, SQLAlchemyError) as error:
                log.info("waiting for the database", extra={"error_class": type(error).__name__})
            await asyncio.sleep(pause)
    finally:
        await engine.dispose()


def run() -> None:
    """The whole of a service's migrations/env.py: `from servicekit.migrations import run` and `run()`."""
    asyncio.run(_run(context.config.attributes["dsn"]))


async def _run(dsn: str) -> None:
    engine = create_async_engine(dsn)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_upgrade)
            await connection.commit()
    finally:
        await engine.dispose()


def _upgrade(connection: sa.Connection) -> None:
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(7236150001)"))
    context.configure(connection=connection, transactional_ddl=True, transaction_per_migration=False)
    with context.begin_transaction():
        context.run_migrations()
