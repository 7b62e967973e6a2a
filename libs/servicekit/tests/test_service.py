"""A service is put together rightly or not at all; its migrations make the tables the rails expect."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID, uuid4

import httpx
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from fastapi import APIRouter
from sample import notes
from sample.app import ROLES, app
from sqlalchemy.ext.asyncio import create_async_engine

from contracts.client import ClientRegistered
from eventing import schema
from eventing.schema import consumer_offset, inbox
from servicekit import migrations, tables
from servicekit.app import Feature, Service, WrongService, service
from servicekit.auth import KeySet, Principal, Roles, Scope, may
from servicekit.database import ReadTx
from servicekit.problems import Conflict, Problem, slug
from servicekit.scheduling import DueWork
from servicekit.testing import Harness, Template
from servicekit.worker import retain


def of(*features: Feature, permissions: Roles = ROLES) -> Service:
    return service(
        "sample",
        features=features,
        permissions=permissions,
        base=notes.Base,
        migrations=app.migrations,
        version="1",
    )


def test_an_operation_without_a_permission_stops_the_start() -> None:
    router = APIRouter()

    @router.get("/open")
    async def open_to_all(tx: ReadTx) -> None:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        return None

    with pytest.raises(WrongService, match="open_to_all has no permission"):
        of(Feature("f", router=router))


def test_an_operation_inside_an_included_router_is_seen_too() -> None:
    inner, outer = APIRouter(), APIRouter(prefix="/outer")

    @inner.get("/open")
    async def hidden(tx: ReadTx) -> None:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        return None

    outer.include_router(inner)
    with pytest.raises(WrongService, match="hidden has no permission"):
        of(Feature("f", router=outer))


def test_a_permission_that_no_role_has_stops_the_start() -> None:
    router = APIRouter()

    @router.get("/x")
    async def typo(who: Annotated[Principal, may("notes:raed")]) -> None:  # pyright: ignore[reportUnusedFunction]
        return None

    with pytest.raises(WrongService, match="notes:raed"):
        of(Feature("f", router=router))


def test_someone_must_be_able_to_repair() -> None:
    with pytest.raises(WrongService, match="ops:read"):
        of(permissions={"reader": {"notes:read": Scope.ALL}})


def test_names_are_unique() -> None:
    with pytest.raises(WrongService, match="two operations are called make_note"):
        of(notes.feature, Feature("again", router=notes.router))
    work = DueWork()

    @work("notes.remind")
    async def again(*_: Any) -> None:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        return None

    with pytest.raises(WrongService, match="due work"):
        of(notes.feature, Feature("again", due=work))


def test_two_problems_cannot_share_a_page() -> None:
    class SomethingOnlyHere(Conflict):
        """Once."""

    assert slug(SomethingOnlyHere) == "something-only-here"
    with pytest.raises(TypeError, match="something-only-here"):
        type("SomethingOnlyHere", (Conflict,), {"__doc__": "Twice.", "__qualname__": "Elsewhere"})
    assert slug(type("KYCNotDone", (Conflict,), {"__doc__": "x"})) == "kyc-not-done"


def test_a_problem_is_about_ids_and_not_about_things() -> None:
    with pytest.raises(TypeError):
        Conflict({"name": "Li Wei"})
    assert Problem(UUID(int=1), 5).about == [str(UUID(int=1)), "5"]


def test_a_rebuild_makes_projections_and_access_anew_but_nothing_that_commands_wrote() -> None:
    assert {table.name for table in app.projections().sorted_tables} == {
        "seen_client", "access_owner", "access_member", "alias",
    }  # fmt: skip
    owner = service(
        "sample",
        features=[],
        permissions=ROLES,
        base=notes.Base,
        migrations=app.migrations,
        version="1",
        own_access={"access_owner"},
    )
    assert "access_owner" not in owner.projections().tables


# --- migrations ---


async def test_the_frozen_migration_makes_the_tables_the_code_uses(sample: Harness) -> None:
    merged = sa.MetaData()
    for metadata in (tables.METADATA, schema.METADATA, notes.Base.metadata):
        for table in metadata.sorted_tables:
            table.to_metadata(merged)

    def differences(connection: sa.Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": False})
        return [each for each in compare_metadata(context, merged) if "inbox_" not in str(each)]

    async with sample.runtime.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_migrating_twice_changes_nothing_and_an_old_database_is_not_ready(sample: Harness) -> None:
    url = sample.url.render_as_string(hide_password=False)
    anyone = sample.anonymous()
    assert (await anyone.get("/health/ready")).json()["checks"]["database"] == "ok"
    async with sample.tx() as tx, tx.begin():
        await tx.execute(sa.text("DELETE FROM alembic_version"))
    ready = await anyone.get("/health/ready")
    assert (ready.status_code, ready.json()["checks"]["database"]) == (503, "migrations are missing: run `migrate`")
    async with sample.tx() as tx, tx.begin():
        await tx.execute(sa.text("INSERT INTO alembic_version VALUES ('0001')"))
    await asyncio.to_thread(migrations.migrate, app.migrations, url)
    assert (await anyone.get("/health/ready")).status_code == 200


async def test_a_database_without_any_table_is_not_ready(postgres_url: str) -> None:
    engine = create_async_engine(postgres_url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.connect() as connection:
        assert not await migrations.migrated(connection, ["0001"])
    await engine.dispose()


async def test_a_release_waits_for_its_migrations_and_serves_on_while_a_later_one_migrates(sample: Harness) -> None:
    async def migrated(*known: str) -> bool:
        async with sample.tx() as tx:
            return await migrations.migrated(await tx.connection(), known)

    assert migrations.known(app.migrations) == ("0001",)
    assert await migrated("0001")
    assert not await migrated("0002", "0001")
    waiting = asyncio.create_task(
        migrations.wait(sample.url.render_as_string(hide_password=False), ["0002", "0001"], pause=0.01)
    )
    await asyncio.sleep(0.3)
    assert not waiting.done()
    async with sample.tx() as tx, tx.begin():
        await tx.execute(sa.text("UPDATE alembic_version SET version_num = '0002'"))
    await asyncio.wait_for(waiting, 10)
    assert await migrated("0002", "0001")
    assert (await sample.anonymous().get("/health/ready")).status_code == 200


# --- health ---


async def test_readiness_needs_known_keys_but_not_a_provider_that_answers(sample: Harness) -> None:
    away = True

    async def fetch() -> Mapping[str, Any]:
        if away:
            raise httpx.ConnectError("away")
        return sample.issuer.jwks()

    sample.runtime.authenticator.keys = KeySet(fetch, min_interval=0.0)
    anyone = sample.anonymous()
    unready = await anyone.get("/health/ready")
    assert (unready.status_code, unready.json()["checks"]["identity provider"]) == (503, "its keys are not known yet")
    away = False
    assert (await anyone.get("/health/ready")).status_code == 200
    away = True
    assert (await anyone.get("/health/ready")).status_code == 200
    assert (await anyone.get("/health/live")).json() == {"status": "live"}


# --- retention ---


async def test_retention_deletes_what_its_time_has_ended_and_keeps_the_trail(sample: Harness) -> None:
    officer = sample.client("risk_officer")
    await officer.post("/notes", json={"client_id": str(uuid4()), "code": "A"}, headers={"Idempotency-Key": "k"})
    await retain(sample.runtime)
    async with sample.tx() as tx:
        assert await tx.scalar(sa.select(sa.func.count()).select_from(tables.idempotency)) == 1
    sample.clock.advance(timedelta(hours=25))
    await retain(sample.runtime)
    async with sample.tx() as tx:
        assert await tx.scalar(sa.select(sa.func.count()).select_from(tables.idempotency)) == 0
        assert await tx.scalar(sa.select(sa.func.count()).select_from(tables.audit)) == 1


# --- the harness itself ---


async def test_events_are_delivered_twice_and_take_effect_once(sample: Harness) -> None:
    event = ClientRegistered.example()
    await sample.receives(event)
    async with sample.tx() as tx:
        assert await tx.scalar(sa.select(notes.SeenClient.times)) == 1
        assert await tx.scalar(sa.select(consumer_offset.c.next_offset)) == 2
        assert await tx.scalar(sa.select(sa.func.count()).select_from(inbox)) == 1
    await sample.receives(event)
    async with sample.tx() as tx:
        assert await tx.scalar(sa.select(notes.SeenClient.times)) == 2


async def test_each_test_has_a_database_of_its_own(template: Template) -> None:
    async with template.harness() as one, template.harness() as two:
        await one.receives(ClientRegistered.example())
        async with two.tx() as tx:
            assert await tx.scalar(sa.select(sa.func.count()).select_from(notes.SeenClient)) == 0
