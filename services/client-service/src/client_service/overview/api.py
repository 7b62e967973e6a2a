"""One call that answers who a client is and what all four services know of it.

Read from this service's own tables alone, so it answers with the others down. Each part says of which date it is and
when the bus had it; a part of which nothing was ever heard says so, which is not the same as "none".
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Generic, Literal, Self, TypeVar
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from client_service.clients.api import ClientView
from client_service.clients.model import Client, UnknownClient
from client_service.clients.queries import get_client
from client_service.factoring_contracts.api import ContractView
from client_service.factoring_contracts.model import ContractState, FactoringContract
from client_service.organisation.model import KpiValue, StaffMember, Unit, today
from client_service.standing.model import (
    Alert,
    Complaint,
    CreditLimit,
    Exposure,
    LastContact,
    LimitState,
    Rating,
    Visit,
    VisitState,
)
from contracts.base import Money
from servicekit.access import ids_of
from servicekit.auth import Principal, may
from servicekit.clock import Now
from servicekit.database import ReadTx
from servicekit.examples import example
from servicekit.problems import problems

router = APIRouter(prefix="/clients/{client_id}/overview", tags=["overview"])

T = TypeVar("T")


class Heard(BaseModel, Generic[T]):
    """A part of the overview that another service owns."""

    state: Literal["known", "unknown yet"]
    as_of: date | None = Field(default=None, description="The business date of the figures, where they have one")
    known_at: datetime | None = Field(default=None, description="When the bus had the latest of it")
    value: T | None = None

    @classmethod
    def of(cls, value: T, known_at: Iterable[datetime], as_of: date | None = None) -> Self:
        """Known, if anything was ever heard."""
        latest = max(known_at, default=None)
        if latest is None:
            return cls(state="unknown yet")
        return cls(state="known", as_of=as_of, known_at=latest, value=value)


class ManagerView(BaseModel):
    """Who answers for the client. Team and code are null while performance-service has not told."""

    model_config = example(team_id="0199a7c0-5555-7aaa-8aaa-000000000006", departed=False)

    staff_id: UUID
    team_id: UUID | None
    team: str | None = Field(examples=["DEMO-TEAM-1"])
    departed: bool


class RatingView(BaseModel):
    """The rating last published."""

    model_config = example(grade="G4", valid_until="2027-11-02")

    grade: str
    valid_until: date
    valid: bool = Field(description="On the day of asking, in the legal entity's time zone")


class LimitView(BaseModel):
    """A limit that may be used or is frozen."""

    model_config = example(
        kind="client",
        amount={"amount": "500000.00", "currency": "CNY"},
        state="approved",
        effective_from="2026-11-03",
        expires_on="2027-11-02",
    )

    limit_id: UUID
    kind: str
    debtor_id: UUID | None
    amount: Money | None
    state: LimitState
    effective_from: date | None
    expires_on: date | None


class ExposureView(BaseModel):
    """The figures of one currency at the close of a business date; headroom as risk-service states it."""

    model_config = example(
        balance={"amount": "400000.00", "currency": "CNY"},
        overdue={"amount": "60000.00", "currency": "CNY"},
        funds_in_use={"amount": "320000.00", "currency": "CNY"},
        limit={"amount": "500000.00", "currency": "CNY"},
        headroom={"amount": "180000.00", "currency": "CNY"},
    )

    as_of: date
    balance: Money
    overdue: Money
    funds_in_use: Money | None
    limit: Money | None
    headroom: Money | None


class AlertView(BaseModel):
    """An open warning."""

    model_config = example(
        rule="overdue-rate-high",
        severity="serious",
        indicator="overdue-rate",
        value="0.2150",
        threshold="0.2",
        due_on="2026-11-09",
    )

    alert_id: UUID
    rule: str | None
    severity: str | None
    indicator: str | None
    value: Decimal | None
    threshold: Decimal | None
    as_of: date | None
    due_on: date | None
    level: int | None


class ComplaintView(BaseModel):
    """An open complaint and when its answer is owed."""

    model_config = example(category="fees", received_on="2026-11-03", due_on="2026-11-18")

    complaint_id: UUID
    category: str | None
    received_on: date | None
    due_on: date | None
    answered_on: date | None


class ContactView(BaseModel):
    """The latest contact."""

    model_config = example(channel="wechat", direction="inbound", outcome="follow_up")

    contact_id: UUID
    at: datetime
    channel: str
    direction: str
    outcome: str
    staff_id: UUID


class VisitView(BaseModel):
    """The visit that is due next; a missed one is still owed."""

    model_config = example(reason="alert", due_on="2026-11-09")

    visit_id: UUID
    state: VisitState
    reason: str | None
    due_on: date | None
    staff_id: UUID | None


class KpiView(BaseModel):
    """The latest period of a KPI."""

    model_config = example(value="0.9167", target="0.9")

    kpi: str
    subject: Literal["staff", "team"]
    period: str
    value: Decimal | None
    target: Decimal | None
    evidence_count: int


class Overview(BaseModel):
    """Everything known of a client."""

    client: ClientView
    manager: ManagerView | None = Field(description="Null: nobody is assigned yet")
    contract: ContractView | None = Field(description="The signed contract that runs longest; null: none is signed")
    rating: Heard[RatingView]
    limits: Heard[list[LimitView]]
    exposure: Heard[list[ExposureView]]
    alerts: Heard[list[AlertView]] = Field(description="Those that are open")
    complaints: Heard[list[ComplaintView]] = Field(description="Those that are open")
    last_contact: Heard[ContactView]
    next_visit: Heard[VisitView]
    kpis: Heard[list[KpiView]] = Field(description="Of the client's relationship manager and team")


@router.get("", responses=problems(UnknownClient))
async def get_overview(
    client_id: UUID, tx: ReadTx, who: Annotated[Principal, may("overview:read")], now: Now
) -> Overview:
    """Who the client is, its contract, rating, limits, exposure, alerts, complaints, contacts, next visit and team."""
    client = await get_client(tx, client_id, visible_to=who)
    ids = await ids_of(tx, client.id)
    manager = await _manager(tx, client)
    risk, engagement = await _heard_of(tx, client, ids)
    return Overview(
        client=ClientView.of(client),
        manager=manager,
        contract=await _contract(tx, client),
        rating=await _rating(tx, client, ids, await today(tx, client.entity_id, now)),
        limits=Heard[list[LimitView]].of(await _limits(tx, client, ids), risk),
        exposure=await _exposure(tx, client, ids),
        alerts=Heard[list[AlertView]].of(await _alerts(tx, client, ids), risk),
        complaints=Heard[list[ComplaintView]].of(await _complaints(tx, client, ids), engagement),
        last_contact=await _last_contact(tx, client, ids),
        next_visit=await _next_visit(tx, client, ids),
        kpis=await _kpis(tx, client, manager),
    )


Projection = Rating | CreditLimit | Exposure | Alert | Complaint | Visit | LastContact
P = TypeVar("P", Rating, CreditLimit, Exposure, Alert, Complaint, Visit, LastContact)


def _of_client(model: type[P], client: Client, ids: Sequence[UUID]) -> sa.Select[P]:
    return sa.select(model).where(model.entity_id == client.entity_id, model.client_id.in_(ids))


async def _heard_of(tx: AsyncSession, client: Client, ids: Sequence[UUID]) -> tuple[list[datetime], list[datetime]]:
    """When anything at all about the client was last heard, from risk and from engagement."""

    async def latest(*models: type[Projection]) -> list[datetime]:
        found: list[datetime] = []
        for model in models:
            at = await tx.scalar(
                sa.select(sa.func.max(model.known_at)).where(
                    model.entity_id == client.entity_id, model.client_id.in_(ids)
                )
            )
            found += [at] if at is not None else []
        return found

    return await latest(Rating, CreditLimit, Exposure, Alert), await latest(Complaint, Visit, LastContact)


async def _manager(tx: AsyncSession, client: Client) -> ManagerView | None:
    if client.rm_id is None:
        return None
    found = (
        await tx.execute(
            sa.select(StaffMember, Unit.unit_id)
            .outerjoin(Unit, Unit.team_id == StaffMember.team_id)
            .where(StaffMember.staff_id == client.rm_id)
        )
    ).first()
    if found is None:
        return ManagerView(staff_id=client.rm_id, team_id=None, team=None, departed=False)
    staff, team = found
    return ManagerView(staff_id=client.rm_id, team_id=staff.team_id, team=team, departed=staff.departed)


async def _contract(tx: AsyncSession, client: Client) -> ContractView | None:
    found = await tx.scalar(
        sa.select(FactoringContract)
        .where(FactoringContract.client_id == client.id, FactoringContract.state == ContractState.SIGNED)
        .order_by(FactoringContract.expires_on.desc(), FactoringContract.id.desc())
        .limit(1)
    )
    return ContractView.of(found) if found else None


async def _rating(tx: AsyncSession, client: Client, ids: Sequence[UUID], on: date) -> Heard[RatingView]:
    rating = await tx.scalar(
        _of_client(Rating, client, ids).order_by(Rating.known_at.desc(), Rating.rating_id.desc()).limit(1)
    )
    if rating is None:
        return Heard[RatingView](state="unknown yet")
    valid = not rating.expired and rating.valid_until >= on
    view = RatingView(grade=rating.grade, valid_until=rating.valid_until, valid=valid)
    return Heard[RatingView].of(view, [rating.known_at])


async def _limits(tx: AsyncSession, client: Client, ids: Sequence[UUID]) -> list[LimitView]:
    found = await tx.scalars(
        _of_client(CreditLimit, client, ids)
        .where(CreditLimit.state != LimitState.EXPIRED)
        .order_by(CreditLimit.kind, CreditLimit.limit_id)
    )
    return [
        LimitView(
            limit_id=each.limit_id,
            kind=each.kind,
            debtor_id=each.debtor_id,
            amount=_money(each.amount, each.currency) if each.currency else None,
            state=each.state,
            effective_from=each.effective_from,
            expires_on=each.expires_on,
        )
        for each in found
    ]


async def _exposure(tx: AsyncSession, client: Client, ids: Sequence[UUID]) -> Heard[list[ExposureView]]:
    found = (await tx.scalars(_of_client(Exposure, client, ids).order_by(Exposure.currency, Exposure.client_id))).all()
    views = [
        ExposureView(
            as_of=each.as_of,
            balance=Money(amount=each.balance, currency=each.currency),
            overdue=Money(amount=each.overdue, currency=each.currency),
            funds_in_use=_money(each.funds_in_use, each.currency),
            limit=_money(each.credit_limit, each.currency),
            headroom=_money(each.headroom, each.currency),
        )
        for each in found
    ]
    return Heard[list[ExposureView]].of(
        views, [each.known_at for each in found], max((each.as_of for each in found), default=None)
    )


async def _alerts(tx: AsyncSession, client: Client, ids: Sequence[UUID]) -> list[AlertView]:
    found = await tx.scalars(
        _of_client(Alert, client, ids).where(Alert.closed.is_(False)).order_by(Alert.due_on, Alert.alert_id)
    )
    return [AlertView.model_validate(each, from_attributes=True) for each in found]


async def _complaints(tx: AsyncSession, client: Client, ids: Sequence[UUID]) -> list[ComplaintView]:
    found = await tx.scalars(
        _of_client(Complaint, client, ids)
        .where(Complaint.closed.is_(False))
        .order_by(Complaint.due_on, Complaint.complaint_id)
    )
    return [ComplaintView.model_validate(each, from_attributes=True) for each in found]


async def _last_contact(tx: AsyncSession, client: Client, ids: Sequence[UUID]) -> Heard[ContactView]:
    found = await tx.scalar(
        _of_client(LastContact, client, ids).order_by(LastContact.at.desc(), LastContact.contact_id.desc()).limit(1)
    )
    if found is None:
        return Heard[ContactView](state="unknown yet")
    return Heard[ContactView].of(ContactView.model_validate(found, from_attributes=True), [found.known_at])


async def _next_visit(tx: AsyncSession, client: Client, ids: Sequence[UUID]) -> Heard[VisitView]:
    known_at = await tx.scalar(
        sa.select(sa.func.max(Visit.known_at)).where(Visit.entity_id == client.entity_id, Visit.client_id.in_(ids))
    )
    if known_at is None:
        return Heard[VisitView](state="unknown yet")
    due = await tx.scalar(
        _of_client(Visit, client, ids)
        .where(Visit.state.in_([VisitState.PLANNED, VisitState.MISSED]))
        .order_by(Visit.due_on, Visit.visit_id)
        .limit(1)
    )
    view = VisitView.model_validate(due, from_attributes=True) if due else None
    return Heard[VisitView](state="known", known_at=known_at, value=view)


async def _kpis(tx: AsyncSession, client: Client, manager: ManagerView | None) -> Heard[list[KpiView]]:
    subjects = [manager.staff_id, manager.team_id] if manager else []
    found = (
        await tx.scalars(
            sa.select(KpiValue)
            .where(KpiValue.entity_id == client.entity_id, KpiValue.subject_id.in_(each for each in subjects if each))
            .ext(distinct_on(KpiValue.kpi, KpiValue.subject_kind))
            .order_by(KpiValue.kpi, KpiValue.subject_kind, KpiValue.period.desc())
        )
    ).all()
    views = [
        KpiView(
            kpi=each.kpi,
            subject="team" if each.subject_kind == "team" else "staff",
            period=each.period,
            value=each.value,
            target=each.target,
            evidence_count=each.evidence_count,
        )
        for each in found
    ]
    return Heard[list[KpiView]].of(views, [each.known_at for each in found])


def _money(amount: Decimal | None, currency: str) -> Money | None:
    return None if amount is None else Money(amount=amount, currency=currency)
