"""The ledger's postings about our clients, by the month they count in: the facts of C9.

Invariant: a posting counts once, whichever order postings and reversals come in, because each is one row under its own
id and a month's figure is their sum. A reversal takes its amount back in the month from which it counts (value date);
a reversed reversal restores it likewise.
"""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from client_service.model_base import Base, words


class Measure(StrEnum):
    """What a posting adds to. Voided invoices were never due; they are counted, not taken off what was assigned."""

    ASSIGNED = "assigned"
    CREDITED = "credited"
    VOIDED = "voided"
    COLLECTED = "collected"
    FUNDED = "funded"
    REPAID = "repaid"
    FEES = "fees"


class PostingFact(Base):
    """One posting's part in one measure of one month; negative where it undoes, null until it is known what."""

    __tablename__ = "posting_fact"
    __table_args__ = (
        sa.Index("ix_posting_fact_client", "client_id", "entity_id", "month"),
        sa.Index("ix_posting_fact_uncounted", "client_id", postgresql_where=sa.text("measure IS NULL")),
        {"info": {"projection": True}},
    )

    entity_id: Mapped[str] = mapped_column(primary_key=True)
    posting_id: Mapped[UUID] = mapped_column(primary_key=True)
    client_id: Mapped[UUID]
    month: Mapped[date]
    reversed_id: Mapped[UUID | None]
    measure: Mapped[Measure | None] = mapped_column(words(Measure))
    currency: Mapped[str]
    amount: Mapped[Decimal]
    count: Mapped[int] = mapped_column(sa.SmallInteger)
    known_at: Mapped[datetime]
