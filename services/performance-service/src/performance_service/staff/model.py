"""Staff 员工 and the team each belongs to, over time. A person is an id here; all else stays with HR."""

from datetime import date
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from contracts.performance import StaffRole
from performance_service.model_base import Base
from servicekit.database import Versioned
from servicekit.problems import Conflict


class AlreadyOnStaff(Conflict):
    """This person is on the staff already. Move them instead of joining them again."""


class NotOnStaff(Conflict):
    """This person has left, or never joined. Only someone on the staff can be moved or leave."""


class StaffMember(Versioned, Base):
    """A member of staff as of now: who they are in the organisation, and since when."""

    __tablename__ = "staff_member"

    staff_id: Mapped[UUID] = mapped_column(primary_key=True)
    entity_id: Mapped[str]
    team_id: Mapped[UUID]
    role: Mapped[StaffRole]
    joined_on: Mapped[date]
    left_on: Mapped[date | None]

    def move(self, team_id: UUID) -> None:
        if self.left_on is not None:
            raise NotOnStaff(self.staff_id)
        self.team_id = team_id

    def leave(self, on: date) -> None:
        if self.left_on is not None:
            raise NotOnStaff(self.staff_id)
        self.left_on = on


class Membership(Base):
    """From `since` on the person belongs to the team; a null team says they have left."""

    __tablename__ = "membership"
    __table_args__ = (sa.Index("membership_team", "team_id"),)

    staff_id: Mapped[UUID] = mapped_column(primary_key=True)
    since: Mapped[date] = mapped_column(primary_key=True)
    entity_id: Mapped[str]
    team_id: Mapped[UUID | None]
