"""What a complaint is and may do: its states, its two clocks, who may handle it. No I/O, no clock of its own.

A complaint awaits its answer, is answered, then closed or withdrawn; what is closed changes only by being reopened,
which starts its clocks anew. A deadline that has passed can no longer be moved.
"""

from dataclasses import asdict
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from contracts.engagement import Channel, ComplaintCategory, ComplaintOutcome
from engagement_service.clients.model import Client
from engagement_service.complaints import deadlines
from engagement_service.complaints.deadlines import Complexity, Deadline, Pack
from engagement_service.entities.calendars import day_of
from engagement_service.entities.model import Place
from engagement_service.model_base import Base
from servicekit.database import Versioned
from servicekit.personal import Personal, PersonalText
from servicekit.problems import Conflict, Forbidden, Invalid


class ComplaintState(StrEnum):
    """Where a complaint stands."""

    FILED = "filed"
    ACKNOWLEDGED = "acknowledged"
    REOPENED = "reopened"
    ANSWERED = "answered"
    CLOSED = "closed"
    WITHDRAWN = "withdrawn"


AWAITING_ANSWER = (ComplaintState.FILED, ComplaintState.ACKNOWLEDGED, ComplaintState.REOPENED)
ENDED = (ComplaintState.CLOSED, ComplaintState.WITHDRAWN)


class ComplaintAlreadyAcknowledged(Conflict):
    """The complainant has already been told that the complaint arrived.

    Nothing needs doing.
    """


class ComplaintNotAwaitingAnswer(Conflict):
    """The complaint is answered, closed or withdrawn.

    Reopen it first if the matter goes on.
    """


class ComplaintNotAnswered(Conflict):
    """A complaint is closed after it has been answered.

    Resolve it first, or record its withdrawal.
    """


class ComplaintNotClosed(Conflict):
    """Only an answered or closed complaint can be reopened; this one is still open, or was withdrawn.

    Go on with the open one; file a new one after a withdrawal.
    """


class ComplaintEnded(Conflict):
    """The complaint is closed or withdrawn.

    Reopen a closed one; file a new one after a withdrawal.
    """


class ComplexityOnlyRises(Conflict):
    """A complex case does not become simple again: the complainant was promised the longer term.

    Leave the complexity as it is; an earlier answer is always allowed.
    """


class DeadlinePassed(Conflict):
    """The statutory deadline has passed; it can no longer be moved.

    Answer the complaint: it counts as late.
    """


class ExtensionNotForeseen(Conflict):
    """The rule book that binds this complaint knows no extension.

    Answer in time, or send the response that the rule book asks for instead (FCA DISP 1.6.2R(2)).
    """


class AlreadyExtended(Conflict):
    """A complaint is extended once, and this one was.

    Answer it by its present deadline.
    """


class ExtensionAlreadyRequested(Conflict):
    """An extension of this complaint waits for its approval.

    Have a second person approve or decline it.
    """


class NoExtensionRequested(Conflict):
    """There is no request for an extension to approve or decline.

    The handler requests one first.
    """


class SecondPersonNeeded(Forbidden):
    """An extension is approved by somebody who neither requested it, nor handles the complaint, nor is its subject.

    Ask a colleague with the same permission.
    """


class HandlerHasConflictOfInterest(Conflict):
    """A complaint is not handled by the person it is about.

    Assign somebody without an interest in it.
    """


class HandlerHasLeft(Conflict):
    """This member of staff has left, or belongs to another legal entity.

    Assign somebody who is there.
    """


class ReceivedInFuture(Invalid):
    """A complaint cannot have been received later than now.

    State when it arrived, with its offset from UTC.
    """


class WithdrawnOutOfRange(Invalid):
    """A withdrawal arrives on a day from the complaint's receipt to today.

    State the day it arrived, in the legal entity's zone.
    """


class Complaint(Versioned, Base):
    """A client's complaint and its two clocks. A closed complaint changes only by being reopened."""

    __tablename__ = "complaint"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    entity_id: Mapped[str]
    client_id: Mapped[UUID]
    category: Mapped[ComplaintCategory]
    complexity: Mapped[Complexity]
    channel: Mapped[Channel]
    state: Mapped[ComplaintState]
    complainant_id: Mapped[UUID | None]
    about_staff_id: Mapped[UUID | None]
    handler_id: Mapped[UUID | None]
    narrative: Mapped[PersonalText | None] = mapped_column(Personal)
    answer: Mapped[PersonalText | None] = mapped_column(Personal)

    received_at: Mapped[datetime]
    received_on: Mapped[date]
    filed_at: Mapped[datetime]
    rule: Mapped[str]
    calendar: Mapped[str]
    zone: Mapped[str]
    place_assumed: Mapped[bool]
    round: Mapped[int]
    started_on: Mapped[date]
    due_on: Mapped[date]
    target_on: Mapped[date]
    clocks: Mapped[dict[str, Any]]

    acknowledged_at: Mapped[datetime | None]
    reminded_at: Mapped[datetime | None]
    missed_at: Mapped[datetime | None]
    extension_requested_by: Mapped[str | None]
    extension_requested_at: Mapped[datetime | None]
    extension_approved_by: Mapped[str | None]
    extended: Mapped[bool]
    answered_at: Mapped[datetime | None]
    answered_on: Mapped[date | None]
    outcome: Mapped[ComplaintOutcome | None]
    closed_at: Mapped[datetime | None]
    withdrawn_on: Mapped[date | None]

    @classmethod
    def file(
        cls,
        client: Client,
        place: Place,
        now: datetime,
        *,
        category: ComplaintCategory,
        channel: Channel,
        complexity: Complexity,
        received_at: datetime,
        complainant_id: UUID | None = None,
        about_staff_id: UUID | None = None,
    ) -> Self:
        """Register a complaint; its clocks start on the day it was received, not on the day it is typed in."""
        client.must_be_served()
        if received_at > now:
            raise ReceivedInFuture("received_at", "lies in the future")
        received_on = place.day(received_at)
        complaint = cls(
            id=uuid7(),
            entity_id=client.entity_id,
            client_id=client.id,
            category=category,
            channel=channel,
            complexity=complexity,
            state=ComplaintState.FILED,
            complainant_id=complainant_id,
            about_staff_id=about_staff_id,
            received_at=received_at,
            received_on=received_on,
            filed_at=now,
            rule=deadlines.pack_for(place.calendar, received_on).rule,
            calendar=place.calendar,
            zone=place.zone,
            place_assumed=place.assumed,
            round=1,
            started_on=received_on,
            extended=False,
        )
        complaint._set_clocks()
        return complaint

    @property
    def person_id(self) -> UUID:
        """Whose key seals the texts: the complainant's, or the complaint's own where no person is named."""
        return self.complainant_id or self.id

    @property
    def pack(self) -> Pack:
        """The version of the rule book that this complaint began under, and stays under."""
        return deadlines.pack_named(self.rule)

    @property
    def statutory(self) -> Deadline:
        return deadlines.statutory(self.pack, self.started_on, self.complexity, extended=self.extended)

    @property
    def awaits_answer(self) -> bool:
        return self.state in AWAITING_ANSWER

    @property
    def on_time(self) -> bool | None:
        """Whether the answer came by the statutory deadline; None while there is none."""
        return None if self.answered_on is None else self.answered_on <= self.due_on

    def place_day(self, at: datetime) -> date:
        """The date on the wall of the complaint's legal entity."""
        return day_of(at, self.zone)

    def acknowledge(self, now: datetime) -> None:
        self._must_await_answer()
        if self.acknowledged_at is not None:
            raise ComplaintAlreadyAcknowledged(self.id)
        self.acknowledged_at = now
        if self.state is ComplaintState.FILED:
            self.state = ComplaintState.ACKNOWLEDGED

    def classify(self, category: ComplaintCategory, complexity: Complexity, now: datetime) -> bool:
        """Correct the category, or find the case complex. Returns whether that moved the statutory deadline."""
        self._must_await_answer()
        if self.complexity is Complexity.COMPLEX and complexity is Complexity.SIMPLE:
            raise ComplexityOnlyRises(self.id)
        self.category = category
        if complexity is self.complexity:
            return False
        self._must_be_movable(now)
        before = self.due_on
        self.complexity = complexity
        self._set_clocks()
        return self.due_on != before

    def assign(self, handler_id: UUID, relationship_manager: UUID | None) -> None:
        """Give the case to somebody without an interest in it.

        Excluded are the person complained about and, where conduct is at issue and nobody is named, the client's own
        relationship manager.
        """
        self._must_await_answer()
        conduct = self.category is ComplaintCategory.STAFF_CONDUCT
        interested = self.about_staff_id or (relationship_manager if conduct else None)
        if handler_id == interested:
            raise HandlerHasConflictOfInterest(self.id)
        self.handler_id = handler_id

    def request_extension(self, by: str, now: datetime) -> None:
        self._must_await_answer()
        if self.pack.extension is None:
            raise ExtensionNotForeseen(self.rule)
        if self.extended:
            raise AlreadyExtended(self.id)
        if self.extension_requested_by is not None:
            raise ExtensionAlreadyRequested(self.id)
        self._must_be_movable(now)
        self.extension_requested_by, self.extension_requested_at = by, now

    def approve_extension(self, by: str, staff_id: UUID | None, now: datetime) -> None:
        self._must_be_second_person(by, staff_id)
        self._must_be_movable(now)
        self.extension_approved_by, self.extended = by, True
        self._set_clocks()

    def decline_extension(self, by: str, staff_id: UUID | None) -> None:
        self._must_be_second_person(by, staff_id)
        self.extension_requested_by = self.extension_requested_at = None

    def resolve(self, outcome: ComplaintOutcome, now: datetime) -> None:
        """The complainant has the answer, now."""
        self._must_await_answer()
        self.state, self.outcome = ComplaintState.ANSWERED, outcome
        self.answered_at, self.answered_on = now, self.place_day(now)

    def close(self, now: datetime) -> None:
        if self.state is not ComplaintState.ANSWERED:
            raise (ComplaintEnded if self.state in ENDED else ComplaintNotAnswered)(self.id)
        self.state, self.closed_at = ComplaintState.CLOSED, now

    def reopen(self, now: datetime) -> None:
        """The complainant disputes the answer: the case goes on, with clocks that start today."""
        if self.state not in (ComplaintState.ANSWERED, ComplaintState.CLOSED):
            raise ComplaintNotClosed(self.id)
        self.state, self.round, self.started_on = ComplaintState.REOPENED, self.round + 1, self.place_day(now)
        self.rule = deadlines.pack_for(self.calendar, self.started_on).rule
        self.answered_at = self.answered_on = self.outcome = self.closed_at = None
        self.acknowledged_at = self.missed_at = self.reminded_at = None
        self.extension_requested_by = self.extension_requested_at = self.extension_approved_by = None
        self.extended = False
        self._set_clocks()

    def withdraw(self, withdrawn_on: date | None, now: datetime) -> date:
        """The complainant takes it back; the procedure ends the day the withdrawal arrived, which is returned."""
        if self.state in ENDED:
            raise ComplaintEnded(self.id)
        today = self.place_day(now)
        day = withdrawn_on or today
        if not self.received_on <= day <= today:
            raise WithdrawnOutOfRange("withdrawn_on", f"must lie between {self.received_on} and {today}")
        self.state, self.withdrawn_on = ComplaintState.WITHDRAWN, day
        return day

    def miss(self, now: datetime) -> bool:
        """The statutory deadline has passed. Returns whether that is news: no answer yet, and nobody noted it."""
        if not self.awaits_answer or self.missed_at is not None or self.place_day(now) <= self.due_on:
            return False
        self.missed_at = now
        return True

    def remind(self, now: datetime) -> bool:
        """The deadline comes near. Returns whether anybody still has something to do about it."""
        if not self.awaits_answer:
            return False
        self.reminded_at = now
        return True

    def _must_await_answer(self) -> None:
        if not self.awaits_answer:
            raise ComplaintNotAwaitingAnswer(self.id)

    def _must_be_movable(self, now: datetime) -> None:
        if self.place_day(now) > self.due_on:
            raise DeadlinePassed(self.id)

    def _must_be_second_person(self, by: str, staff_id: UUID | None) -> None:
        self._must_await_answer()
        if self.extension_requested_by is None or self.extended:
            raise NoExtensionRequested(self.id)
        if by == self.extension_requested_by or (staff_id and staff_id in (self.handler_id, self.about_staff_id)):
            raise SecondPersonNeeded(self.id)

    def _set_clocks(self) -> None:
        pack, start = self.pack, self.started_on
        target = deadlines.target(pack, start, self.complexity, self.calendar)
        self.due_on, self.target_on = self.statutory.due_on, target.due_on
        clocks = {
            "statutory": self.statutory,
            "target": target,
            "acknowledgement": deadlines.acknowledgement(pack, start, self.calendar),
            "summary": deadlines.summary(pack, start, self.calendar),
        }
        self.clocks = {
            name: asdict(found) | {"due_on": found.due_on.isoformat()} for name, found in clocks.items() if found
        }
