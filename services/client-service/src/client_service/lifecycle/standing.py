"""What the lifecycle's guards need to know of a client, read from what was heard of it."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from client_service.clients.model import Client
from client_service.lifecycle.rules import Standing
from client_service.organisation.model import today
from client_service.standing.model import Complaint, Exposure, Rating
from contracts.base import Money
from servicekit.access import ids_of


async def standing_of(tx: AsyncSession, client: Client, now: datetime) -> Standing:
    """The client's standing under all its ids. What was not heard of stands in the way of a start, never of an end."""
    ids = await ids_of(tx, client.id)
    as_of = await today(tx, client.entity_id, now)
    rating = await tx.scalar(
        sa.select(Rating)
        .where(Rating.entity_id == client.entity_id, Rating.client_id.in_(ids))
        .order_by(Rating.known_at.desc(), Rating.rating_id.desc())
        .limit(1)
    )
    exposures = await tx.scalars(
        sa.select(Exposure)
        .where(
            Exposure.entity_id == client.entity_id,
            Exposure.client_id.in_(ids),
            sa.or_(Exposure.balance != 0, sa.func.coalesce(Exposure.funds_in_use, 0) != 0),
        )
        .order_by(Exposure.currency, Exposure.client_id)
    )
    complaints = await tx.scalar(
        sa.select(sa.func.count()).where(
            Complaint.entity_id == client.entity_id, Complaint.client_id.in_(ids), Complaint.closed.is_(False)
        )
    )
    return Standing(
        today=as_of,
        rating_valid_until=rating.valid_until if rating else None,
        rating_expired=rating.expired if rating else False,
        exposure=tuple(
            Money(amount=each.balance if each.balance else each.funds_in_use or each.balance, currency=each.currency)
            for each in exposures
        ),
        open_complaints=complaints or 0,
        contract_signed=client.contract_until is not None and client.contract_until >= as_of,
    )
