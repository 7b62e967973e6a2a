"""Questions that several features ask of the postings."""

from datetime import date
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from risk_service.receivables.model import DayClose, Posting

BEFORE_ALL = date(1970, 1, 1)


async def latest_date(tx: AsyncSession, entity_id: str, clients: list[UUID] | None, scope: ColumnElement[bool]) -> date:
    """The last business date the ledger closed for these clients (or anyone in the entity), else the last value date.

    1970-01-01 where nothing was ever booked.
    """
    closed = select(func.max(DayClose.business_date)).where(DayClose.entity_id == entity_id)
    if clients is not None:
        closed = closed.where(DayClose.client_id.in_(clients))
    return await tx.scalar(closed) or await tx.scalar(select(func.max(Posting.value_date)).where(scope)) or BEFORE_ALL
