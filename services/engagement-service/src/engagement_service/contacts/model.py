"""What was said with a client, when and by which way; a contact is a record and does not change.

The other party may be a debtor of the client; the record still belongs to the client's timeline.
"""

from datetime import date, datetime
from typing import Self
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from contracts.engagement import Channel, ContactDirection, ContactOutcome
from engagement_service.clients.model import Client
from engagement_service.model_base import Base
from servicekit.personal import Personal, PersonalText
from servicekit.problems import Invalid


class ContactTimesWrong(Invalid):
    """A contact starts no later than now, is answered no earlier than it starts, and no later than now.

    State the times with their offset from UTC.
    """


class Contact(Base):
    """One contact. `response_seconds`: how long who turned to us waited, from `started_at` to `answered_at`."""

    __tablename__ = "contact"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    entity_id: Mapped[str]
    client_id: Mapped[UUID]
    debtor_id: Mapped[UUID | None]
    contact_person_id: Mapped[UUID | None]
    staff_id: Mapped[UUID]
    channel: Mapped[Channel]
    direction: Mapped[ContactDirection]
    started_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
    response_seconds: Mapped[int | None]
    outcome: Mapped[ContactOutcome]
    next_step: Mapped[str | None]
    next_step_on: Mapped[date | None]
    note: Mapped[PersonalText | None] = mapped_column(Personal)
    logged_at: Mapped[datetime]

    @classmethod
    def log(
        cls,
        client: Client,
        now: datetime,
        *,
        staff_id: UUID,
        channel: Channel,
        direction: ContactDirection,
        started_at: datetime,
        answered_at: datetime | None,
        outcome: ContactOutcome,
        debtor_id: UUID | None = None,
        contact_person_id: UUID | None = None,
        next_step: str | None = None,
        next_step_on: date | None = None,
    ) -> Self:
        """Record a contact; also with a client whose relationship has ended."""
        if started_at > now:
            raise ContactTimesWrong("started_at", "lies in the future")
        if answered_at is not None and not started_at <= answered_at <= now:
            raise ContactTimesWrong("answered_at", "lies before the start, or in the future")
        waited = answered_at is not None and direction is ContactDirection.INBOUND
        return cls(
            id=uuid7(),
            entity_id=client.entity_id,
            client_id=client.id,
            debtor_id=debtor_id,
            contact_person_id=contact_person_id,
            staff_id=staff_id,
            channel=channel,
            direction=direction,
            started_at=started_at,
            answered_at=answered_at,
            response_seconds=int((answered_at - started_at).total_seconds()) if waited and answered_at else None,
            outcome=outcome,
            next_step=next_step,
            next_step_on=next_step_on,
            logged_at=now,
        )

    @property
    def person_id(self) -> UUID:
        """Whose key seals the note: the contact person's, or the contact's own where no person is named."""
        return self.contact_person_id or self.id
