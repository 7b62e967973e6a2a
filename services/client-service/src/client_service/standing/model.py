"""What risk and engagement say of our clients, as far as we heard: rating, limits, exposure, alerts, complaints …

Rows keep the client id they came with, registered or not; whoever reads asks for all ids of a client and names the
legal entity. A client's events come in order, as they share a key, so the last word of each thing stands; only figures
that carry their own date and revision compare these.
"""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from client_service.model_base import Base, words

_PROJECTION = {"info": {"projection": True}}


class Rating(Base):
    """The rating that risk last published under this id."""

    __tablename__ = "rating"
    __table_args__ = _PROJECTION

    entity_id: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[UUID] = mapped_column(primary_key=True)
    rating_id: Mapped[UUID]
    grade: Mapped[str]
    valid_until: Mapped[date]
    expired: Mapped[bool]
    known_at: Mapped[datetime]


class LimitState(StrEnum):
    """Whether a limit may be used."""

    APPROVED = "approved"
    FROZEN = "frozen"
    EXPIRED = "expired"


class CreditLimit(Base):
    """A limit as it last became. Amount and dates are null while only its freezing or end was heard of."""

    __tablename__ = "credit_limit"
    __table_args__ = _PROJECTION

    limit_id: Mapped[UUID] = mapped_column(primary_key=True)
    entity_id: Mapped[str]
    client_id: Mapped[UUID] = mapped_column(index=True)
    kind: Mapped[str]
    debtor_id: Mapped[UUID | None]
    amount: Mapped[Decimal | None]
    currency: Mapped[str | None]
    effective_from: Mapped[date | None]
    expires_on: Mapped[date | None]
    state: Mapped[LimitState] = mapped_column(words(LimitState))
    known_at: Mapped[datetime]


class Exposure(Base):
    """The figures of the latest business date heard of, by its highest revision, per currency."""

    __tablename__ = "exposure"
    __table_args__ = _PROJECTION

    entity_id: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[UUID] = mapped_column(primary_key=True)
    currency: Mapped[str] = mapped_column(primary_key=True)
    as_of: Mapped[date]
    revision: Mapped[int]
    balance: Mapped[Decimal]
    overdue: Mapped[Decimal]
    funds_in_use: Mapped[Decimal | None]
    credit_limit: Mapped[Decimal | None]
    headroom: Mapped[Decimal | None]
    known_at: Mapped[datetime]


class Alert(Base):
    """A warning of risk. What was raised is null while only its end was heard of."""

    __tablename__ = "alert"
    __table_args__ = _PROJECTION

    alert_id: Mapped[UUID] = mapped_column(primary_key=True)
    entity_id: Mapped[str]
    client_id: Mapped[UUID] = mapped_column(index=True)
    rule: Mapped[str | None]
    severity: Mapped[str | None]
    indicator: Mapped[str | None]
    value: Mapped[Decimal | None] = mapped_column(sa.Numeric(30, 12))
    threshold: Mapped[Decimal | None] = mapped_column(sa.Numeric(30, 12))
    as_of: Mapped[date | None]
    due_on: Mapped[date | None]
    level: Mapped[int | None]
    closed: Mapped[bool] = mapped_column(server_default=sa.false())
    known_at: Mapped[datetime]


class Complaint(Base):
    """A complaint of a client: open until it is closed or withdrawn. `due_on` is when the answer is owed."""

    __tablename__ = "complaint"
    __table_args__ = _PROJECTION

    complaint_id: Mapped[UUID] = mapped_column(primary_key=True)
    entity_id: Mapped[str]
    client_id: Mapped[UUID] = mapped_column(index=True)
    category: Mapped[str | None]
    received_on: Mapped[date | None]
    due_on: Mapped[date | None]
    answered_on: Mapped[date | None]
    closed: Mapped[bool] = mapped_column(server_default=sa.false())
    known_at: Mapped[datetime]


class VisitState(StrEnum):
    """What became of a visit. A missed one may still be completed."""

    PLANNED = "planned"
    MISSED = "missed"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class Visit(Base):
    """A visit to a client."""

    __tablename__ = "visit"
    __table_args__ = _PROJECTION

    visit_id: Mapped[UUID] = mapped_column(primary_key=True)
    entity_id: Mapped[str]
    client_id: Mapped[UUID] = mapped_column(index=True)
    reason: Mapped[str | None]
    staff_id: Mapped[UUID | None]
    due_on: Mapped[date | None]
    completed_on: Mapped[date | None]
    state: Mapped[VisitState] = mapped_column(words(VisitState))
    known_at: Mapped[datetime]


class LastContact(Base):
    """The latest contact with a client, by when it took place."""

    __tablename__ = "last_contact"
    __table_args__ = _PROJECTION

    entity_id: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[UUID] = mapped_column(primary_key=True)
    contact_id: Mapped[UUID]
    at: Mapped[datetime]
    channel: Mapped[str]
    direction: Mapped[str]
    outcome: Mapped[str]
    staff_id: Mapped[UUID]
    known_at: Mapped[datetime]
