"""A service on one page: its features in a list, and what the command line can do with them.

Invariants: an operation without a permission stops the start; `api` never talks to Kafka; `worker` holds everything
that must run once or in the background (relay, consumers, due work, retention) and ends when one of them fails; `watch`
tells the metrics of what the worker may no longer tell of itself.
"""

import argparse
import asyncio
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
import uvloop
from fastapi import APIRouter, FastAPI
from sqlalchemy.orm import DeclarativeBase

from contracts.asyncapi import asyncapi
from contracts.catalogue import all_events
from eventing.rebuild import Rebuilt, rebuild
from eventing.session import sessions as make_sessions
from eventing.subscriptions import Subscriptions, groups
from servicekit import audit, docs, health, migrations, openapi, ops, problems, processes, telemetry
from servicekit import tables as tables_of_access
from servicekit.auth import Authenticator, KeySet, Roles, fetch_jwks
from servicekit.clock import wall_time
from servicekit.database import make_engine
from servicekit.health import OutboxBound
from servicekit.personal import Keyring, NoMasterKey, rewrap
from servicekit.routing import BodyLimit, adopt, permissions_of, routes_of
from servicekit.runtime import INFO_KEY, Runtime
from servicekit.scheduling import DueHandler, DueWork
from servicekit.settings import ServiceSettings, load, sqlalchemy_url, table

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Feature:
    """One feature folder: its HTTP operations, what it listens to, and its due work."""

    name: str
    router: APIRouter | None = None
    subscriptions: Sequence[Subscriptions] = ()
    due: DueWork | None = None


class WrongService(TypeError):
    """The service's parts do not fit together; the message says which."""


def operation_id(route: Any) -> str:
    """Stable operation ids: the function's name."""
    return str(route.name)


@dataclass
class Service:
    """A service before it runs: made once at import, it opens nothing."""

    name: str
    features: Sequence[Feature]
    permissions: Roles
    base: type[DeclarativeBase]
    migrations: Path
    version: str
    settings: type[ServiceSettings] = ServiceSettings
    own_access: frozenset[str] = frozenset()
    due: dict[str, DueHandler] = field(default_factory=dict[str, DueHandler], init=False)

    def __post_init__(self) -> None:
        known = {permission for granted in self.permissions.values() for permission in granted}
        seen: dict[str, str] = {}
        for feature in self.features:
            for kind, handler in (feature.due.handlers if feature.due else {}).items():
                if kind in self.due:
                    raise WrongService(f"due work {kind} is handled by two features")
                self.due[kind] = handler
            for route in routes_of(feature.router) if feature.router else ():
                needed = permissions_of(route)
                if not needed:
                    raise WrongService(
                        f"{feature.name}.{route.name} has no permission; give it `who: Annotated[Principal, may(…)]`"
                    )
                if unknown := set(needed) - known:
                    raise WrongService(f"{feature.name}.{route.name} needs {sorted(unknown)}, which no role has")
                if route.name in seen:
                    raise WrongService(
                        f"two operations are called {route.name}: in {seen[route.name]} and {feature.name}"
                    )
                seen[route.name] = feature.name

        if lacking := {"ops:read", "ops:write"} - known:
            raise WrongService(f"no role has {sorted(lacking)}, so nobody could repair this service")

    @property
    def subscriptions(self) -> list[Subscriptions]:
        """Everything the service listens to."""
        return [each for feature in self.features for each in feature.subscriptions]

    def runtime(
        self, settings: ServiceSettings, *, wake: Callable[[], None] | None = None, worker: bool = False
    ) -> Runtime:
        """The parts of a running process; connections are opened on first use.

        Args:
            wake: called after each commit that put something into the outbox. worker: no limit on statements' time.
        """
        engine = make_engine(
            settings.async_url,
            pool_size=settings.database_pool_size,
            statement_timeout_ms=0 if worker else settings.database_statement_timeout_ms,
            name=f"{self.name}-service {'worker' if worker else 'api'}",
            pooler=settings.database_pooler,
        )
        sessions = make_sessions(engine, source=f"/factoring/{self.name}-service", wake=wake)
        client = httpx.AsyncClient(timeout=5)
        keys = KeySet(fetch_jwks(settings.oidc_issuer, settings.oidc_jwks_url, client))
        runtime = Runtime(
            name=self.name,
            settings=settings,
            engine=engine,
            sessions=sessions,
            clock=wall_time,
            roles=self.permissions,
            authenticator=Authenticator(
                keys,
                issuer=settings.oidc_issuer,
                audience=settings.oidc_audience,
                roles=self.permissions,
                algorithms=settings.oidc_algorithms,
                leeway=settings.oidc_leeway_seconds,
            ),
            keyring=Keyring.parse(settings.master_key.get_secret_value()) if settings.master_key else None,
            due=self.due,
            audited=audit.audited_tables(self.base),
            outbox_bound=OutboxBound(engine, settings.outbox_limit),
            http=client,
        )
        sessions.configure(info={**sessions.kw.get("info", {}), INFO_KEY: runtime})
        audit.watch(sessions)
        return runtime

    def api(self, runtime: Runtime | None = None) -> FastAPI:
        """The HTTP application. Without a runtime it serves its description only (for export)."""

        app = FastAPI(
            title=f"{self.name}-service",
            version=self.version,
            docs_url=None,
            redoc_url=None,
            generate_unique_id_function=operation_id,
            telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
        )
        app.state.runtime = runtime
        if runtime is not None:
            app.add_middleware(BodyLimit, limit=runtime.settings.max_body_bytes)
        app.add_middleware(telemetry.RequestTelemetry, failed=problems.internal_error)
        problems.install(app)
        health.install(app, self.migrations)
        docs.install(app)
        for feature in self.features:
            if feature.router is not None:
                app.include_router(adopt(feature.router))
        app.include_router(adopt(ops.router(self.name, self.subscriptions)))
        openapi.install(app)
        return app

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document of the service."""
        return self.api().openapi()

    def projections(self) -> sa.MetaData:
        """The tables that a rebuild makes anew: the service's own projections, and those that decide access."""
        merged = sa.MetaData()
        tables = [*self.base.metadata.sorted_tables, tables_of_access.access_owner, tables_of_access.access_member]
        for each in [*tables, tables_of_access.alias]:
            if each.info.get("projection") and each.name not in self.own_access:
                each.to_metadata(merged).info["projection"] = True
        return merged

    def asyncapi(self) -> dict[str, Any]:
        """The AsyncAPI document of the service: what it publishes and what it hears."""
        heard = groups(self.name, self.subscriptions)
        return asyncapi(
            self.name,
            [event for event in all_events() if event.publisher is not None and event.publisher.name == self.name],
            [listener.event for group in heard for listener in group.heard.values()],
            groups=[group.id for group in heard],
        )

    def main(self, argv: Sequence[str] | None = None) -> None:
        """`python -m X_service COMMAND`: what the process is to be."""
        parser = argparse.ArgumentParser(prog=f"python -m {self.name}_service")
        parser.add_argument("command", choices=sorted(COMMANDS))
        arguments, rest = parser.parse_known_args(argv)
        COMMANDS[arguments.command](self, rest)


def service(
    name: str,
    *,
    features: Sequence[Feature],
    permissions: Roles,
    base: type[DeclarativeBase],
    migrations: Path,
    version: str,
    settings: type[ServiceSettings] = ServiceSettings,
    own_access: Set[str] = frozenset(),
) -> Service:
    """Put a service together.

    Args:
        name: the bounded context, e.g. "risk"; the process is "risk-service", its source "/factoring/risk-service".
        permissions: the one table of roles → permissions → scope.
        migrations: the Alembic directory (MIGRATIONS_DIR overrides it).
        own_access: those of access_owner, access_member and alias that this service's own commands write, so that a
            rebuild must leave them alone; in other services they are projections.

    Raises:
        WrongService: an operation has no permission or one that no role has, or two operations or kinds share a name.
    """
    return Service(
        name=name,
        features=features,
        permissions=permissions,
        base=base,
        migrations=Path(os.environ.get("MIGRATIONS_DIR") or migrations),
        version=version,
        settings=settings,
        own_access=frozenset(own_access),
    )


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _openapi(service: Service, rest: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="openapi", description="Print the OpenAPI document, or compare or write it.")
    parser.add_argument(
        "--check", action="store_true", help="fail if the committed document is stale or would break callers"
    )
    parser.add_argument("--write", action="store_true", help="write it, unless that would break callers")
    parser.add_argument(
        "--breaking", action="store_true", help="with --write: yes, break them (say so in the changelog)"
    )
    parser.add_argument("--file", type=Path, default=service.migrations.parent / "openapi.json")
    chosen = parser.parse_args(rest)
    document = service.openapi()
    if chosen.check or chosen.write:
        found = openapi.check(document, chosen.file)
        breaks = [line for line in found if chosen.file.name not in line]
        if chosen.check and found:
            raise SystemExit("\n".join(found))
        if chosen.write and breaks and not chosen.breaking:
            raise SystemExit("This would break callers:\n" + "\n".join(breaks))
    if chosen.write:
        chosen.file.write_text(openapi.text_of(document), encoding="utf-8")
    elif not chosen.check:
        sys.stdout.write(openapi.text_of(document))


def _asyncapi(service: Service, rest: Sequence[str]) -> None:
    _print(json.dumps(service.asyncapi(), indent=1, ensure_ascii=False, sort_keys=True))


def _rebuild(service: Service, rest: Sequence[str]) -> None:
    settings = load(service.settings)
    telemetry.configure(f"{service.name}-service", level=settings.log_level, endpoint=None)
    done = asyncio.run(_rebuilt(service, settings))
    _print(f"{', '.join(done.tables)}: made anew from {done.events} events")


async def _rebuilt(service: Service, settings: ServiceSettings) -> Rebuilt:
    engine = make_engine(sqlalchemy_url(settings.direct_dsn), pool_size=2, statement_timeout_ms=0, name="rebuild")
    try:
        return await rebuild(
            engine,
            settings.kafka(),
            service=service.name,
            subscriptions=service.subscriptions,
            metadata=service.projections(),
        )
    finally:
        await engine.dispose()


def _rewrap(service: Service, rest: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="rewrap", description="Wrap every person's key by the first master key, so that the others can go."
    )
    parser.add_argument("--batch", type=int, default=1000, help="persons in a transaction (default: %(default)s)")
    settings = load(service.settings)
    telemetry.configure(f"{service.name}-service", level=settings.log_level, endpoint=None)
    try:
        asyncio.run(_rewrapped(service.runtime(settings, worker=True), parser.parse_args(rest).batch))
    except NoMasterKey:
        raise SystemExit("MASTER_KEY is not set, or lacks a key by which a person's key is wrapped") from None


async def _rewrapped(runtime: Runtime, batch: int) -> None:
    done = 0
    try:
        while True:
            async with runtime.sessions() as tx, tx.begin():
                wrapped = await rewrap(tx, limit=batch)
            done += wrapped
            _print(f"{done} persons' keys wrapped anew" + ("" if wrapped else "; none is left"))
            if not wrapped:
                return
    finally:
        await runtime.close()


def _topics_needs(service: Service, rest: Sequence[str]) -> None:
    heard = groups(service.name, service.subscriptions)
    needs = {
        "service": service.name,
        "writes": sorted(
            {event.topic for event in all_events() if event.publisher and event.publisher.name == service.name}
        ),
        "reads": sorted({topic for group in heard for topic in group.topics}),
        "groups": [group.id for group in heard],
    }
    _print(json.dumps(needs, indent=1))


def _settings(service: Service, rest: Sequence[str]) -> None:
    _print(table(service.settings))


def _migrate(service: Service, rest: Sequence[str]) -> None:
    settings = load(service.settings)
    telemetry.configure(f"{service.name}-service", level=settings.log_level, endpoint=None)
    migrations.migrate(service.migrations, sqlalchemy_url(settings.direct_dsn))


def _migrated(service: Service, rest: Sequence[str]) -> None:
    settings = load(service.settings)
    telemetry.configure(f"{service.name}-service", level=settings.log_level, endpoint=None)
    asyncio.run(migrations.wait(sqlalchemy_url(settings.direct_dsn), migrations.known(service.migrations)))


def _run(service: Service, *, api: bool = False, worker: bool = False, watch: bool = False) -> None:
    settings = load(service.settings)
    uvloop.run(processes.run(service, settings, api=api, worker=worker, watch=watch))


COMMANDS: dict[str, Callable[[Service, Sequence[str]], None]] = {
    "openapi": _openapi,
    "asyncapi": _asyncapi,
    "topics-needs": _topics_needs,
    "settings": _settings,
    "migrate": _migrate,
    "migrated": _migrated,
    "rebuild": _rebuild,
    "rewrap": _rewrap,
    "api": lambda service, rest: _run(service, api=True),
    "worker": lambda service, rest: _run(service, worker=True),
    "all": lambda service, rest: _run(service, api=True, worker=True),
    "watch": lambda service, rest: _run(service, watch=True),
}
