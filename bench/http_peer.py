"""The least that a POST can do: FastAPI, a checked body, one row by asyncpg. `uvicorn bench.http_peer:app`."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from fastapi import FastAPI, Request
from pydantic import BaseModel
from uuid_utils.compat import uuid7


class Contact(BaseModel):
    """What engagement-service's POST /contacts takes."""

    client_id: UUID
    channel: str
    direction: str
    started_at: datetime
    answered_at: datetime | None = None
    outcome: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """A pool as large as the service's."""
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=10, max_size=20) as pool:
        await pool.execute(
            "CREATE TABLE IF NOT EXISTS bare (id uuid PRIMARY KEY, client_id uuid, channel text, direction text,"
            " started_at timestamptz, answered_at timestamptz, outcome text)"
        )
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/contacts", status_code=201)
async def log_contact(body: Contact, request: Request) -> dict[str, Any]:
    """One row, one commit."""
    identity = uuid7()
    await request.app.state.pool.execute(
        "INSERT INTO bare VALUES ($1, $2, $3, $4, $5, $6, $7)",
        identity,
        body.client_id,
        body.channel,
        body.direction,
        body.started_at,
        body.answered_at,
        body.outcome,
    )
    return {"id": str(identity), **body.model_dump(mode="json")}
