"""`/ops`: what an operator sees and does about events that could not be handled or published, and the audit trail.

Invariant: every decision here leaves an audit entry, and giving an event up needs a reason.
"""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from eventing import parking, relay
from eventing.outbox import outbox_depth
from eventing.schema import consumer_halt
from eventing.subscriptions import Group, Subscriptions, groups
from servicekit import audit
from servicekit.auth import Principal, may
from servicekit.database import ReadTx, Tx
from servicekit.examples import example
from servicekit.pagination import Page, Paging, paginate, total_of
from servicekit.problems import Conflict, NotFound, Problem, problems
from servicekit.runtime import runtime_of
from servicekit.tables import audit as audit_table
from servicekit.tables import due_work

Reader = Annotated[Principal, may("ops:read")]
Operator = Annotated[Principal, may("ops:write")]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=1000)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=300)]
BigInt = Annotated[int, Path(ge=1, le=2**63 - 1)]


class UnknownParkedEvent(NotFound):
    """No event with this id is parked; it was replayed or discarded, or never was.

    List the parked events again.
    """


class UnknownGroup(NotFound):
    """This service has no such consumer group.

    `GET /ops/consumers` lists them.
    """


class ReplayInterrupted(Conflict):
    """The replay met a conflict of rows or a lost connection, which is not the event's fault.

    Start the replay again: it goes on where it stopped.
    """


class _View(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class ParkedKeyView(_View):
    """A key that is held: its first event failed, the others wait behind it in order."""

    model_config = example(events=3, error_class="UnknownLimit", error="There is no such limit.")

    consumer_group: str
    topic: str
    key: str
    since: datetime
    events: int
    error_class: str
    error: str


class ParkedEventView(_View):
    """An event that could not be handled, or waits behind one."""

    model_config = example(
        id=4711,
        partition=5,
        offset=18231,
        ce_id="0199a7c0-dddd-7aaa-8aaa-000000000014",
        ce_type="factoring.ledger.receivable-assigned.v1",
        error_class="UnknownLimit",
        error="There is no such limit.",
        behind=False,
        attempts=5,
        status="parked",
    )

    id: int
    consumer_group: str
    topic: str
    partition: int
    offset: int
    key: str
    ce_id: str | None
    ce_type: str | None
    error_class: str
    error: str
    behind: bool = Field(description="Not at fault itself: an earlier event of its key is")
    attempts: int
    parked_at: datetime
    status: str
    settled_at: datetime | None
    settled_by: str | None
    reason: str | None


class HeldKey(BaseModel):
    """Which key's events to replay."""

    consumer_group: Name = Field(examples=["risk.main"])
    topic: Name = Field(examples=["ledger.events"])
    key: Name = Field(examples=["0192f0c1-2b1a-7c3e-9f1d-000000000001"])


class ReplayResult(BaseModel):
    """How far the replay came."""

    model_config = example(done=3)

    done: int = Field(description="Events that took effect now")
    failed: ParkedEventView | None = Field(description="The event that failed again, if any; it stays parked")


class Discard(BaseModel):
    """Why the event may be given up."""

    reason: Reason = Field(examples=["Sent by mistake during the migration test; see INC-4711"])


class RefusedKeyView(_View):
    """A key that the relay stopped publishing, because Kafka refused one of its events three times."""

    model_config = example(
        topic="risk.events",
        key="0199a7c0-1111-7aaa-8aaa-000000000001",
        seq=90214,
        error="MSG_SIZE_TOO_LARGE",
        attempts=3,
        stopped=True,
    )

    topic: str
    key: str
    seq: int
    error: str
    attempts: int
    stopped: bool
    since: datetime


class RefusedKey(BaseModel):
    """Which key to publish again."""

    model_config = example(topic="risk.events", key="0199a7c0-1111-7aaa-8aaa-000000000001")

    topic: Name
    key: Name


class ConsumerView(BaseModel):
    """A consumer group of this service."""

    model_config = example(group="risk.main", topics=["client.events", "ledger.events"])

    group: str
    topics: list[str]
    halted: str | None = Field(description="Why its alarm stopped it; null when it may run")


class OutboxView(BaseModel):
    """What waits to be published."""

    model_config = example(rows=12, oldest_age_seconds=0.4, limit=1000000)

    rows: int = Field(description="An estimate above 10 000")
    oldest_age_seconds: float
    limit: int


class DueView(_View):
    """A piece of due work that failed."""

    model_config = example(kind="remind-handler", clock="wall", due_at="2026-11-03T02:15:00Z", error="TimeoutError")

    id: UUID
    kind: str
    clock: str
    due_at: datetime | None
    attempts: int
    retry_at: datetime | None
    error: str | None


class AuditView(_View):
    """Who did which command to which row."""

    model_config = example(
        id=90412,
        actor="0199a7c0-4444-7aaa-8aaa-000000000005",
        operation="register_client",
        table_name="client",
        row_id="0199a7c0-1111-7aaa-8aaa-000000000001",
        action="insert",
        after={"stage": "lead", "version": 1},
        entity_id="DEMO-FACTOR",
        correlation_id="0199a7c0-dddd-7aaa-8aaa-000000000014",
    )

    id: int
    at: datetime
    actor: str | None
    entity_id: str | None
    operation: str
    table_name: str
    row_id: str
    action: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    correlation_id: str | None
    causation_id: str | None


def router(service: str, subscriptions: list[Subscriptions]) -> APIRouter:
    """The operations of `/ops` for a service that listens to these."""
    api = APIRouter(prefix="/ops", tags=["ops"])
    known: dict[str, Group] = {group.id: group for group in groups(service, subscriptions)}

    def group_of(name: str) -> Group:
        if name not in known:
            raise UnknownGroup
        return known[name]

    @api.get("/parked-keys")
    async def list_parked_keys(
        tx: ReadTx, who: Reader, limit: Annotated[int, Query(ge=1, le=10_000)] = 1000
    ) -> list[ParkedKeyView]:
        """Keys held by a parked event, the oldest first."""
        return [ParkedKeyView.model_validate(key) for key in await parking.list_parked_keys(tx, limit=limit)]

    @api.get("/parked-events")
    async def list_parked_events(
        tx: ReadTx,
        who: Reader,
        consumer_group: str | None = None,
        topic: str | None = None,
        key: str | None = None,
        status: Annotated[str, Query(pattern="^(parked|replayed|discarded)$")] = "parked",
        after: Annotated[int, Query(ge=0, le=2**63 - 1, description="The id of the last one seen")] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> list[ParkedEventView]:
        """Parked events in order of their id; replayed and discarded ones by `status`."""
        found = await parking.list_parked(
            tx, group=consumer_group, topic=topic, key=key, status=status, after=after, limit=limit
        )
        return [ParkedEventView.model_validate(event) for event in found]

    @api.post("/parked-keys/replay", responses=problems(UnknownGroup, ReplayInterrupted))
    async def replay_parked_key(body: HeldKey, request: Request, tx: Tx, who: Operator) -> ReplayResult:
        """Handle a key's parked events again, in order, each in its own transaction; stops at the first that fails."""
        group = group_of(body.consumer_group)
        try:
            result = await parking.replay(runtime_of(request).sessions, group, body.topic, body.key, actor=who.subject)
        except Problem:
            raise
        except Exception as error:
            raise ReplayInterrupted from error
        row_id = f"{body.consumer_group}/{body.topic}/{body.key}"
        audit.append(tx, table="parked_key", row_id=row_id, action="replay", after={"done": result.done})
        failed = ParkedEventView.model_validate(result.failed) if result.failed else None
        return ReplayResult(done=result.done, failed=failed)

    @api.post("/parked-events/{event_id}/discard", status_code=204, responses=problems(UnknownParkedEvent))
    async def discard_parked_event(event_id: BigInt, body: Discard, tx: Tx, who: Operator) -> None:
        """Give a parked event up, for a reason that is kept."""
        try:
            await parking.discard(tx, event_id, reason=body.reason, actor=who.subject)
        except parking.UnknownParked:
            raise UnknownParkedEvent from None
        audit.append(tx, table="parked_event", row_id=str(event_id), action="discard", after={"reason": body.reason})

    @api.get("/refused-keys")
    async def list_refused_keys(tx: ReadTx, who: Reader) -> list[RefusedKeyView]:
        """Keys whose events Kafka refused; `stopped` ones stand still until resumed."""
        return [RefusedKeyView.model_validate(each) for each in await relay.list_refused(tx)]

    @api.post("/refused-keys/resume", status_code=204, responses=problems(NotFound))
    async def resume_refused_key(body: RefusedKey, tx: Tx, who: Operator) -> None:
        """Let the relay try this key again."""
        seq = await relay.resume_key(tx, body.topic, body.key)
        if seq is None:
            raise NotFound
        audit.append(tx, table="relay_refused", row_id=f"{body.topic}/{body.key}", action="resume", after={"seq": seq})

    @api.get("/consumers")
    async def list_consumers(tx: ReadTx, who: Reader) -> list[ConsumerView]:
        """The consumer groups of this service, and which the alarm has stopped."""
        rows = await tx.execute(sa.select(consumer_halt.c.consumer_group, consumer_halt.c.error))
        halted: dict[str, str] = {row.consumer_group: row.error for row in rows}
        return [
            ConsumerView(group=group.id, topics=group.topics, halted=halted.get(group.id)) for group in known.values()
        ]

    @api.post("/consumers/{group}/resume", status_code=204, responses=problems(UnknownGroup))
    async def resume_consumer(group: str, tx: Tx, who: Operator) -> None:
        """Let a stopped consumer group go on, once the release is mended."""
        found = group_of(group)
        await parking.resume_group(tx, found.id)
        audit.append(tx, table="consumer_halt", row_id=found.id, action="resume", after={})

    @api.get("/outbox")
    async def get_outbox(request: Request, tx: ReadTx, who: Reader) -> OutboxView:
        """What waits to be published, and the bound above which changes are refused."""
        depth = await outbox_depth(tx)
        limit = runtime_of(request).settings.outbox_limit
        return OutboxView(rows=depth.rows_estimate, oldest_age_seconds=depth.oldest_age_seconds, limit=limit)

    @api.get("/due-work")
    async def list_failed_due_work(tx: ReadTx, who: Reader) -> list[DueView]:
        """Due work that failed; after ten attempts it waits here for `retry`."""
        rows = await tx.execute(
            sa.select(due_work).where(due_work.c.attempts > 0).order_by(due_work.c.due_at, due_work.c.id).limit(1000)
        )
        return [DueView.model_validate(row) for row in rows]

    @api.post("/due-work/{work_id}/retry", status_code=204, responses=problems(NotFound))
    async def retry_due_work(work_id: UUID, tx: Tx, who: Operator) -> None:
        """Try a failed piece of due work again, from its first attempt."""
        found = await tx.execute(
            sa.update(due_work)
            .where(due_work.c.id == work_id, due_work.c.attempts > 0)
            .values(attempts=0, retry_at=None)
            .returning(due_work.c.error)
        )
        row = found.first()
        if row is None:
            raise NotFound(work_id)
        audit.append(tx, table="due_work", row_id=str(work_id), action="retry", after={"error": row.error})

    @api.get("/audit")
    async def list_audit(
        tx: ReadTx,
        who: Reader,
        page: Paging,
        table_name: str | None = None,
        row_id: str | None = None,
        actor: str | None = None,
    ) -> Page[AuditView]:
        """Who did what in one's own legal entity, the latest first; personal fields are ciphertext."""
        columns = [column for column in audit_table.c if not column.name.startswith("sealed")]
        stmt = sa.select(*columns).where(audit_table.c.entity_id == who.entity_id)
        for column, value in (("table_name", table_name), ("row_id", row_id), ("actor", actor)):
            if value is not None:
                stmt = stmt.where(audit_table.c[column] == value)
        rows, cursor = await paginate(tx, stmt, audit_table.c.id.desc(), page=page)
        names = [column.name for column in columns]
        items = [AuditView.model_validate(dict(zip(names, row, strict=True))) for row in rows]
        return Page(items=items, next_cursor=cursor, total=await total_of(tx, stmt, page))

    return api
