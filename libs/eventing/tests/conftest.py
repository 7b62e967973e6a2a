"""A database with the rails' tables and a topic of its own for each test, on real PostgreSQL and real Kafka."""

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from contracts.base import Topic
from eventing import KafkaSettings, schema, sessions, topics

sys.path.insert(0, str(Path(__file__).parent))

from eventing_bus import SEEN, SOURCE, Bus, database, other_on, thing_on


@pytest.fixture(scope="session")
async def template(postgres_url: str) -> AsyncIterator[str]:
    """A database with the rails' tables, to copy from."""
    name = f"eventing_{uuid.uuid4().hex[:10]}"
    server = create_async_engine(postgres_url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    async with server.connect() as connection:
        await connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine = create_async_engine(database(postgres_url, name), poolclass=NullPool)
    async with engine.begin() as connection:

        def create(sync: sa.Connection) -> None:
            schema.create_v1(Operations(MigrationContext.configure(sync)))

        await connection.run_sync(create)
        await connection.execute(sa.text(SEEN))
    yield name
    async with server.connect() as connection:
        await connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
async def bus(postgres_url: str, kafka_bootstrap: str, template: str) -> AsyncIterator[Bus]:
    name = f"{template}_{uuid.uuid4().hex[:10]}"
    server = create_async_engine(postgres_url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    async with server.connect() as connection:
        await connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    url = database(postgres_url, name)
    engine = create_async_engine(url, pool_size=20)
    topic = f"t{uuid.uuid4().hex[:12]}.events"
    yield Bus(
        engine=engine,
        sessions=sessions(engine, source=SOURCE),
        dsn=url,
        kafka=KafkaSettings(kafka_bootstrap),
        topic=topic,
        service=topic.partition(".")[0],
        Thing=thing_on(topic),
        Other=other_on(topic),
        _next={},
    )
    await engine.dispose()
    async with server.connect() as connection:
        await connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
async def live(bus: Bus) -> Bus:
    """A bus whose topic is there, with three partitions."""
    await asyncio.to_thread(topics.create, bus.kafka, [Topic(bus.topic, partitions=3)])
    return bus
