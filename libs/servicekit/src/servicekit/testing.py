"""Tests of a service through its front door, on a real PostgreSQL, with really signed tokens.

In a service's tests/conftest.py (the plugin `localplatform.fixtures` gives `postgres_url`):

    from servicekit.testing import Harness, Template

    @pytest.fixture(scope="session")
    async def template(postgres_url: str) -> AsyncIterator[Template]:
        async with Template.of(app, postgres_url) as made:      # runs the service's migrations once
            yield made

    @pytest.fixture
    async def risk(template: Template) -> AsyncIterator[Harness]:
        async with template.harness() as harness:               # its own database, cloned; dropped afterwards
            yield harness

    async def test_…(risk: Harness) -> None:
        await risk.receives(ReceivableAssigned(...))            # each event is delivered twice: effects must come once
        officer = risk.client("risk_officer", entity_id="DEMO-FACTOR")
        answer = await officer.post("/limits", json={...})      # officer is an httpx.AsyncClient
        assert answer.status_code == 201
        assert [type(event) for event in await risk.emitted()] == [LimitApproved]

`risk.clock` is the service's clock (`risk.clock.set(moment)`, `.advance(timedelta)`); `await risk.run_due()` runs what
is due by it; `risk.tx()` is a session for looking into the database; `risk.last_emitted(LimitApproved)` is handy.
An event whose handler fails makes `receives` raise; pass `may_park=True` where the test wants to see it parked.
"""

import asyncio
import contextlib
import hashlib
import re
import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import time
from typing import Any, TypeVar
from uuid import UUID

import httpx
import jwt
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool
from uuid_utils.compat import uuid7

from contracts import catalogue, wire
from contracts.base import Event
from eventing.inbox import Consumer
from eventing.kafka import KafkaSettings
from eventing.records import StoredRecord
from eventing.schema import outbox, parked_event
from servicekit import migrations, openapi
from servicekit.app import Service
from servicekit.auth import Authenticator, KeySet
from servicekit.clock import Clock
from servicekit.runtime import Runtime
from servicekit.scheduling import Runner

E = TypeVar("E", bound=Event)
ISSUER = "https://issuer.test"
AUDIENCE = "factoring-crm"
MASTER_KEY = "test:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


class TestIssuer:
    """A key pair and the tokens signed by it."""

    __test__ = False

    def __init__(self, kid: str = "test-1") -> None:
        self.kid = kid
        self.private = ec.generate_private_key(ec.SECP256R1())

    def jwks(self) -> dict[str, Any]:
        """The public half, as an issuer serves it."""
        key: dict[str, Any] = ECAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {"keys": [{**key, "kid": self.kid, "alg": "ES256", "use": "sig"}]}

    def token(self, **claims: Any) -> str:
        """A signed token; claims overwrite the valid defaults, None takes one away."""
        now = int(time())
        filled: dict[str, Any] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "someone",
            "iat": now,
            "exp": now + 3600,
            **claims,
        }
        return jwt.encode(
            {name: value for name, value in filled.items() if value is not None},
            self.private,
            algorithm="ES256",
            headers={"kid": self.kid},
        )


class Parked(AssertionError):
    """A handler failed, and the event was parked."""


@dataclass
class Template:
    """A database with the service's real migrations, from which each test's own is cloned."""

    service: Service
    admin: AsyncEngine
    name: str
    issuer: TestIssuer = field(default_factory=TestIssuer)

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, service: Service, postgres_url: str) -> AsyncGenerator["Template"]:
        """Create it, and drop it at the end.

        Args:
            postgres_url: any database on the server, of a role that may create databases.
        """
        url = _asyncpg(postgres_url)
        admin = create_async_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        name = f"t_{service.name}_{secrets.token_hex(4)}"
        async with admin.connect() as connection:
            await connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
        try:
            await asyncio.to_thread(migrations.migrate, service.migrations, _text(url.set(database=name)))
            yield cls(service, admin, name)
        finally:
            await _drop(admin, name)
            await admin.dispose()

    @contextlib.asynccontextmanager
    async def harness(self, **settings: Any) -> AsyncGenerator["Harness"]:
        """A service on a database of its own. Settings overwrite the test's defaults."""
        name = f"{self.name}_{secrets.token_hex(4)}"
        async with self.admin.connect() as connection:
            await connection.execute(sa.text(f'CREATE DATABASE "{name}" TEMPLATE "{self.name}"'))
        url = self.admin.url.set(database=name)
        harness = Harness(self.service, url, self.issuer, settings)
        try:
            yield harness
        finally:
            await harness.close()
            await _drop(self.admin, name)


class Harness:
    """One service in this process: HTTP in front, events delivered as the worker would, a clock that tests set."""

    def __init__(self, service: Service, url: URL, issuer: TestIssuer, settings: Mapping[str, Any]) -> None:
        self.service = service
        self.url = url
        self.issuer = issuer
        self.twice = True
        self.clock = Clock()
        chosen: dict[str, Any] = {
            "database_url": _text(url).replace("+asyncpg", ""),
            "oidc_issuer": ISSUER,
            "oidc_audience": AUDIENCE,
            "master_key": MASTER_KEY,
            "database_pool_size": 5,
            **settings,
        }
        self.settings = service.settings(**chosen)
        self.runtime: Runtime = service.runtime(self.settings)
        self.runtime.clock = self.clock

        async def keys() -> Mapping[str, Any]:
            return issuer.jwks()

        self.runtime.authenticator = Authenticator(
            KeySet(keys), issuer=ISSUER, audience=AUDIENCE, roles=service.permissions
        )
        self.app = service.api(self.runtime)
        self.consumer = Consumer(
            self.runtime.sessions,
            KafkaSettings("127.0.0.1:1"),
            service=service.name,
            subscriptions=service.subscriptions,
        )
        self._clients: list[httpx.AsyncClient] = []
        self._offsets: dict[tuple[str, int], int] = {}

    def token(
        self, *roles: str, entity_id: str = "DEMO-FACTOR", staff_id: UUID | None = None, subject: str | None = None
    ) -> str:
        """A token that this service accepts."""
        who = subject or (str(staff_id) if staff_id else "-".join(roles) or "nobody")
        return self.issuer.token(
            sub=who, entity_id=entity_id, staff_id=str(staff_id) if staff_id else None, roles=list(roles)
        )

    def client(
        self, *roles: str, entity_id: str = "DEMO-FACTOR", staff_id: UUID | None = None, subject: str | None = None
    ) -> httpx.AsyncClient:
        """An HTTP client of the service, in this process, with a token for these roles."""
        headers = {
            "Authorization": f"Bearer {self.token(*roles, entity_id=entity_id, staff_id=staff_id, subject=subject)}"
        }
        return self._client(headers)

    def anonymous(self) -> httpx.AsyncClient:
        """An HTTP client without a token."""
        return self._client({})

    def _client(self, headers: dict[str, str]) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        client = httpx.AsyncClient(transport=transport, base_url="http://service.test", headers=headers)
        self._clients.append(client)
        return client

    def tx(self) -> AsyncSession:
        """A session on the service's database: `async with harness.tx() as tx:`; `tx.begin()` to write."""
        return self.runtime.sessions()

    async def receives(self, *events: Event, may_park: bool = False, ids: Sequence[UUID] | None = None) -> None:
        """Deliver events as the worker would, in this order, each one twice (`harness.twice = False`: once).

        Raises:
            Parked: a handler failed, unless `may_park`.
        """
        for record in self._records(events, ids):
            for _ in range(2 if self.twice else 1):
                await self.consumer.deliver([self._placed(record)])
        if not may_park:
            await self._raise_parked()

    async def receives_together(self, *events: Event, ids: Sequence[UUID] | None = None, size: int = 500) -> None:
        """Deliver events in polls of `size`, each event once, as a busy worker fetches them.

        Raises:
            Parked: a handler failed.
        """
        records = [self._placed(record) for record in self._records(events, ids)]
        for start in range(0, len(records), size):
            await self.consumer.deliver(records[start : start + size])
        await self._raise_parked()

    def _records(self, events: Sequence[Event], ids: Sequence[UUID] | None) -> list[StoredRecord]:
        return [
            self._record(event, ids[index] if ids else event.meta.id if event.meta else uuid7())
            for index, event in enumerate(events)
        ]

    def _placed(self, record: StoredRecord) -> StoredRecord:
        """The record at the next free offset of its partition."""
        place = record.topic, record.partition
        offset = self._offsets.get(place, 0)
        self._offsets[place] = offset + 1
        return replace(record, offset=offset)

    def _record(self, event: Event, id: UUID) -> StoredRecord:
        now = self.clock()
        meta = event.meta
        key, value, headers = wire.to_wire(
            event, id=id, source="/factoring/test", time=now,
            correlation_id=meta.correlation_id if meta else None,
            causation_id=meta.causation_id if meta else None,
            actor=meta.actor if meta else None,
            traceparent=meta.traceparent if meta else None,
        )  # fmt: skip
        partition = int.from_bytes(hashlib.sha256(key).digest()[:2], "big") % 12
        known_at = meta.known_at if meta else now
        return StoredRecord(event.topic, partition, 0, int(known_at.timestamp() * 1000), key, value, headers)

    async def _raise_parked(self) -> None:
        async with self.tx() as tx:
            rows = (
                await tx.execute(
                    sa.select(parked_event.c.ce_type, parked_event.c.error_class, parked_event.c.error).where(
                        parked_event.c.status == "parked"
                    )
                )
            ).all()
        if rows:
            raise Parked("; ".join(f"{row.ce_type}: {row.error_class}: {row.error}" for row in rows))

    async def emitted(self, *types: type[Event]) -> list[Event]:
        """What the service has told the world so far, in order, read back from its outbox; of these types, if given."""
        async with self.tx() as tx:
            rows = (await tx.execute(sa.select(outbox).order_by(outbox.c.seq))).all()
        found: list[Event] = []
        for row in rows:
            event = catalogue.by_type(row.type)
            if event is None:
                raise LookupError(row.type)
            if not types or event in types:
                found.append(event.model_validate_json(row.payload))
        return found

    async def last_emitted(self, type: type[E]) -> E:
        """The latest event of this type."""
        found = [event for event in await self.emitted(type) if isinstance(event, type)]
        if not found:
            raise AssertionError(f"no {type.__name__} was emitted")
        return found[-1]

    async def rows(self, *tables: str) -> dict[str, list[str]]:
        """Every row of these tables as text, in no order that could differ: what two ways of getting there compare."""
        async with self.tx() as tx:
            texts = {
                table: sa.select(sa.cast(sa.literal_column(table), sa.Text)).select_from(sa.table(table))
                for table in tables
            }
            return {table: sorted((await tx.scalars(text)).all()) for table, text in texts.items()}

    async def forget_emitted(self) -> None:
        """As if the relay had published everything."""
        async with self.tx() as tx, tx.begin():
            await tx.execute(sa.delete(outbox))

    async def run_due(self) -> int:
        """Run the wall-time work that is due by the clock; how many pieces."""
        return await Runner(self.runtime).run_all()

    async def close(self) -> None:
        """Give everything back."""
        for client in self._clients:
            await client.aclose()
        await self.runtime.close()


async def misjudged(harness: Harness) -> list[str]:
    """Every operation, as every role, as a stranger to the table and without a token: the answers that contradict it.

    401 without a token, 403 that names the permission where the role lacks it, else neither; before the body is read.
    """
    found: list[str] = []
    callers = {role: harness.client(role, staff_id=UUID(int=1)) for role in (*harness.service.permissions, "nobody")}
    for path, method, operation in openapi.operations(harness.app.openapi()):
        url = re.sub(r"\{\w+\}", str(UUID(int=1)), path)
        (permission,) = openapi.permissions_of(operation)
        answer = await harness.anonymous().request(method, url, content=b"{broken")
        if answer.status_code != 401:
            found.append(f"{method} {path} without a token: {answer.status_code}")
        for role, caller in callers.items():
            answer = await caller.request(method, url, content=b"{broken")
            granted = permission in harness.service.permissions.get(role, {})
            refused = answer.status_code == 403 and permission in answer.json()["detail"]
            if answer.status_code == 401 or granted == refused:
                found.append(f"{method} {path} as {role}: {answer.status_code}")
    return found


def _asyncpg(url: str) -> URL:
    return make_url(url).set(drivername="postgresql+asyncpg")


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


async def _drop(admin: AsyncEngine, name: str) -> None:
    async with admin.connect() as connection:
        await connection.execute(sa.text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))
