"""The steps a client has taken through its lifecycle: dated, reasoned, attributed, never changed."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from client_service.clients.model import Client
from client_service.lifecycle.rules import Standing, blocked
from client_service.model_base import Base, words
from contracts.client import LifecycleReason, Stage
from servicekit.auth import Principal


class LifecycleStep(Base):
    """One step. `note` is in the words of whoever took it, and stays in this service."""

    __tablename__ = "lifecycle_step"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    client_id: Mapped[UUID] = mapped_column(index=True)
    from_stage: Mapped[Stage] = mapped_column(words(Stage))
    to_stage: Mapped[Stage] = mapped_column(words(Stage))
    reason: Mapped[LifecycleReason] = mapped_column(words(LifecycleReason))
    note: Mapped[str | None]
    taken_at: Mapped[datetime]
    taken_by: Mapped[str]
    staff_id: Mapped[UUID | None]

    @classmethod
    def take(
        cls,
        client: Client,
        to: Stage,
        reason: LifecycleReason,
        *,
        known: Standing,
        who: Principal,
        now: datetime,
        note: str | None = None,
    ) -> "LifecycleStep":
        """Move the client; raises the reason why it may not be moved there."""
        problem = blocked(client.stage, to, known)
        if problem is not None:
            raise problem
        step = cls(
            id=uuid7(),
            client_id=client.id,
            from_stage=client.stage,
            to_stage=to,
            reason=reason,
            note=note,
            taken_at=now,
            taken_by=who.subject,
            staff_id=who.staff_id,
        )
        client.stage = to
        client.stage_since = now
        return step
