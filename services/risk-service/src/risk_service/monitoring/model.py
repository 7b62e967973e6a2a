"""Daily snapshots of a client's figures, and how far each client has been evaluated.

Invariant: a snapshot shows what the postings up to its `position` say of its date; a change of it raises its revision.
Snapshots are derived by the worker, not commanded by a person, so they are not audited.
"""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from risk_service.model_base import Base

NOT_AUDITED: dict[str, Any] = {"info": {"audit": False}}


class Snapshot(Base):
    """A client's figures at the close of a business date, in one currency."""

    __tablename__ = "exposure_snapshot"
    __table_args__ = NOT_AUDITED

    entity_id: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[UUID] = mapped_column(primary_key=True)
    as_of: Mapped[date] = mapped_column(primary_key=True)
    currency: Mapped[str] = mapped_column(primary_key=True)
    revision: Mapped[int]
    position: Mapped[int] = mapped_column(BigInteger)
    balance: Mapped[Decimal]
    overdue: Mapped[Decimal]
    funds_in_use: Mapped[Decimal | None]
    limit_amount: Mapped[Decimal | None]
    headroom: Mapped[Decimal | None]
    figures: Mapped[dict[str, Any]]
    """Indicator → decimal string or null; and the counts the warning rules need."""


class Evaluation(Base):
    """How far a client has been evaluated."""

    __tablename__ = "evaluation"
    __table_args__ = NOT_AUDITED

    entity_id: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[UUID] = mapped_column(primary_key=True)
    as_of: Mapped[date]
    """The last closed date."""
    reaches_to: Mapped[date | None]
    """The earliest date, evaluated already, that postings booked since the last close count from."""
