"""A service on one page: its features in a list, and what the command line can do with them.

Invariants: an operation without a permission stops the start; `api` never talks to Kafka; `worker` holds everything
that must run once or in the background (relay, consumers, due work, retention) and ends when one of them fails.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fastapi import APIRouter, FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import DeclarativeBase

from eventing.session import sessions as make_sessions
from eventing.subscriptions import Subscriptions
from servicekit import audit, docs, health, migrations, openapi, ops, problems, processes, telemetry
from servicekit.auth import Authenticator, KeySet, Roles, fetch_jwks
from servicekit.clock import wall_time
from servicekit.database import make_engine
from servicekit.health import OutboxBound
from servicekit.personal import Keyring
from servicekit.routing import adopt, permissions_of, routes_of
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

    @property
    def subscriptions(self) -> list[Subscriptions]:
        """Everything the service listens to."""
        return [each for feature in self.features for each in feature.subscriptions]

    def runtime(self, settings: ServiceSettings, *, engine: AsyncEngine | None = None) -> Runtime:
        """The parts of a running process, opened on first use."""
        engine = engine or make_engine(
            settings.async_url,
            pool_size=settings.database_pool_size,
            statement_timeout_ms=settings.database_statement_timeout_ms,
            name=f"{self.name}-service",
        )
        sessions = make_sessions(engine, source=f"/factoring/{self.name}-service")
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

        @contextlib.asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncIterator[None]:
            yield
            if runtime is not None:
                await runtime.close()

        app = FastAPI(
            title=f"{self.name}-service",
            version=self.version,
            lifespan=lifespan,
            docs_url=None,
            redoc_url=None,
            generate_unique_id_function=operation_id,
            telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
            max_body_size=runtime.settings.max_body_bytes if runtime else None,
        )
        app.state.runtime = runtime
        app.add_middleware(telemetry.RequestTelemetry)
        problems.install(app)
        health.install(app, self.migrations)
        docs.install(app)
        for feature in self.features:
            if feature.router is not None:
                app.include_router(adopt(feature.router))
        app.include_router(adopt(ops.router(self)))
        openapi.install(app)
        return app

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document of the service."""
        return self.api().openapi()

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
) -> Service:
    """Put a service together.

    Args:
        name: the bounded context, e.g. "risk"; the process is "risk-service", its source "/factoring/risk-service".
        permissions: the one table of roles → permissions → scope.
        migrations: the Alembic directory (MIGRATIONS_DIR overrides it).

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
    )


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")


def _openapi(service: Service, rest: Sequence[str]) -> None:
    _print(json.dumps(service.openapi(), indent=2, ensure_ascii=False, sort_keys=True))


def _settings(service: Service, rest: Sequence[str]) -> None:
    _print(table(service.settings))


def _migrate(service: Service, rest: Sequence[str]) -> None:
    settings = load(service.settings)
    telemetry.configure(f"{service.name}-service", level=settings.log_level, endpoint=None)
    migrations.migrate(service.migrations, sqlalchemy_url(settings.direct_dsn))


def _run(service: Service, *, api: bool, worker: bool) -> None:
    settings = load(service.settings)
    asyncio.run(processes.run(service, settings, api=api, worker=worker))


COMMANDS: dict[str, Callable[[Service, Sequence[str]], None]] = {
    "openapi": _openapi,
    "settings": _settings,
    "migrate": _migrate,
    "api": lambda service, rest: _run(service, api=True, worker=False),
    "worker": lambda service, rest: _run(service, api=False, worker=True),
    "all": lambda service, rest: _run(service, api=True, worker=True),
}
