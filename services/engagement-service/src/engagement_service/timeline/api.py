"""One timeline per client: contacts, visits and complaints, the latest first."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter
from pydantic import BaseModel, Field

from engagement_service.clients.model import UnknownClient, get_client
from engagement_service.complaints.model import Complaint
from engagement_service.contacts.model import Contact
from engagement_service.visits.model import Visit
from servicekit.access import ids_of, visible
from servicekit.auth import Principal, may
from servicekit.database import ReadTx
from servicekit.examples import example
from servicekit.pagination import Page, Paging, paginate, total_of
from servicekit.problems import problems

router = APIRouter(prefix="/clients", tags=["timeline"])


class Kind(StrEnum):
    """What an entry of the timeline is; its id leads to the record of that kind."""

    CONTACT = "contact"
    VISIT = "visit"
    COMPLAINT = "complaint"


class Entry(BaseModel):
    """What happened, when, and where it stands."""

    model_config = example(about="wechat", state="follow_up", staff_id="0199a7c0-4444-7aaa-8aaa-000000000005")

    at: datetime = Field(description="A contact's start, a complaint's receipt, the moment a visit was planned.")
    kind: Kind
    id: UUID
    about: str = Field(description="A contact's channel, a complaint's category, a visit's reason.")
    state: str = Field(description="A contact's outcome; a complaint's or visit's state.")
    staff_id: UUID | None = Field(description="Who spoke, went, or handles it.")


@router.get("/{client_id}/timeline", responses=problems(UnknownClient))
async def get_timeline(
    client_id: UUID,
    tx: ReadTx,
    who: Annotated[Principal, may("timeline:read")],
    page: Paging,
    kind: Kind | None = None,
) -> Page[Entry]:
    """Everything between this client and us that this service knows, under all ids the client has had."""
    client = await get_client(tx, client_id, visible_to=who)
    ids = await ids_of(tx, client.id)
    about_me = Complaint.about_staff_id.is_distinct_from(who.staff_id) if who.staff_id else sa.true()
    parts = {
        Kind.CONTACT: _part(
            Kind.CONTACT, Contact, Contact.started_at, Contact.channel, Contact.outcome, Contact.staff_id
        ),
        Kind.VISIT: _part(Kind.VISIT, Visit, Visit.raised_at, Visit.reason, Visit.state, Visit.completed_by),
        Kind.COMPLAINT: _part(
            Kind.COMPLAINT, Complaint, Complaint.received_at, Complaint.category, Complaint.state, Complaint.handler_id
        ).where(about_me),
    }
    mine = {
        Kind.CONTACT: visible(who, Contact.client_id, Contact.entity_id) & Contact.client_id.in_(ids),
        Kind.VISIT: visible(who, Visit.client_id, Visit.entity_id) & Visit.client_id.in_(ids),
        Kind.COMPLAINT: visible(who, Complaint.client_id, Complaint.entity_id) & Complaint.client_id.in_(ids),
    }
    wanted = [part.where(mine[name]) for name, part in parts.items() if kind in (None, name)]
    merged = sa.union_all(*wanted).subquery("entry")
    stmt = sa.select(*merged.c)
    rows, cursor = await paginate(tx, stmt, merged.c.at.desc(), merged.c.id.desc(), page=page)
    items = [Entry.model_validate(dict(zip(merged.c.keys(), row, strict=True))) for row in rows]
    return Page(items=items, next_cursor=cursor, total=await total_of(tx, stmt, page))


def _part(
    kind: Kind, model: type[Contact | Visit | Complaint], at: Any, about: Any, state: Any, staff: Any
) -> sa.Select[*tuple[Any, ...]]:
    return sa.select(
        at.label("at"),
        sa.literal(kind.value).label("kind"),
        model.id.label("id"),
        sa.cast(about, sa.Text).label("about"),
        sa.cast(state, sa.Text).label("state"),
        staff.label("staff_id"),
    )
