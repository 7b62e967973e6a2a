"""Which member of staff answers for a client, over time. Who it is decides who may see the client."""

from datetime import date, datetime, time
from typing import Self
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from client_service.clients.model import Client
from client_service.model_base import Base
from client_service.organisation.model import StaffMember
from servicekit.auth import Principal
from servicekit.problems import Conflict, Invalid


class UnknownStaff(Invalid):
    """Nobody of this id works for the client's legal entity, as far as performance-service has told.

    Check the id; a new member of staff must have joined there first.
    """


class StaffDeparted(Conflict):
    """This member of staff has left.

    Choose one who works here.
    """


class AlreadyManager(Conflict):
    """This member of staff is the client's relationship manager already."""


class EffectiveDayOutOfRange(Invalid):
    """A relationship manager answers for a client from today on, or from an earlier day that is being recorded now.

    Give a day that is not in the future, and not before the manager before them took the client on.
    """


class RmAssignment(Base):
    """A relationship manager taking a client on. `reason` is in the words of whoever assigned."""

    __tablename__ = "rm_assignment"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    client_id: Mapped[UUID] = mapped_column(index=True)
    staff_id: Mapped[UUID]
    from_staff_id: Mapped[UUID | None]
    reason: Mapped[str]
    assigned_at: Mapped[datetime]
    effective_at: Mapped[datetime]
    assigned_by: Mapped[str]

    @classmethod
    def assign(
        cls,
        client: Client,
        staff: StaffMember | None,
        before: Self | None,
        reason: str,
        *,
        who: Principal,
        now: datetime,
        effective_on: date | None,
        zone: ZoneInfo,
    ) -> Self:
        """Make this member of staff the client's relationship manager, from now or from the start of an earlier day."""
        effective_at = datetime.combine(effective_on, time.min, zone) if effective_on else now
        if effective_at > now or (before is not None and effective_at < before.effective_at):
            raise EffectiveDayOutOfRange("body.effective_on", "in the future, or before the manager before")
        if staff is None or staff.entity_id != client.entity_id:
            raise UnknownStaff("body.staff_id", "nobody of this id works for this legal entity")
        if staff.departed:
            raise StaffDeparted(staff.staff_id, field="body.staff_id")
        if client.rm_id == staff.staff_id:
            raise AlreadyManager(staff.staff_id, field="body.staff_id")
        assignment = cls(
            id=uuid7(),
            client_id=client.id,
            staff_id=staff.staff_id,
            from_staff_id=client.rm_id,
            reason=reason,
            assigned_at=now,
            effective_at=effective_at,
            assigned_by=who.subject,
        )
        client.rm_id = staff.staff_id
        return assignment
