"""The factoring contract: drafted, then signed once.

Invariant: a contract's terms are fixed by its signature; other terms are another contract.
"""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from client_service.model_base import Base, words
from contracts.client import Product
from servicekit.database import Versioned
from servicekit.problems import Conflict, NotFound


class ContractState(StrEnum):
    """Where a contract stands."""

    DRAFT = "draft"
    SIGNED = "signed"


class UnknownContract(NotFound):
    """The client has no contract of this id.

    GET /clients/{id}/contracts lists those it has.
    """


class ContractAlreadySigned(Conflict):
    """A contract is signed once, and this one is.

    Draft another one for other terms.
    """


class ContractTermOver(Conflict):
    """The contract's term has ended, so it can no longer be signed.

    Draft one with a term that is still to come.
    """


class SignedInFuture(Conflict):
    """A signature cannot be dated after today.

    Send the day it was signed, in the legal entity's time zone.
    """


class FactoringContract(Versioned, Base):
    """What client and factor agree. `advance_rate` is the share of a receivable's gross that is paid in advance."""

    __tablename__ = "factoring_contract"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    client_id: Mapped[UUID] = mapped_column(index=True)
    entity_id: Mapped[str]
    state: Mapped[ContractState] = mapped_column(words(ContractState))
    product: Mapped[Product] = mapped_column(words(Product))
    recourse: Mapped[bool]
    disclosed: Mapped[bool]
    advance_rate: Mapped[Decimal] = mapped_column(sa.Numeric(7, 6))
    limit_amount: Mapped[Decimal]
    currency: Mapped[str]
    fees: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    dispute_clause: Mapped[dict[str, Any]] = mapped_column(JSONB)
    effective_from: Mapped[date]
    expires_on: Mapped[date]
    drafted_at: Mapped[datetime]
    signed_on: Mapped[date | None]

    def sign(self, signed_on: date, today: date) -> None:
        """Fix the terms. `today` is the date in the legal entity's time zone."""
        if self.state is ContractState.SIGNED:
            raise ContractAlreadySigned(self.id)
        if signed_on > today:
            raise SignedInFuture(self.id)
        if self.expires_on < today:
            raise ContractTermOver(self.id)
        self.state = ContractState.SIGNED
        self.signed_on = signed_on
