"""The people and firms of these tests, and what other services say of them."""

from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID, uuid4

from contracts.base import Event, Money, party_id
from contracts.client import (
    ClientProfileChanged,
    ClientRegistered,
    LifecycleChanged,
    LifecycleReason,
    RmAssigned,
    Stage,
)
from contracts.performance import OrganisationChanged, StaffJoined, StaffLeft, StaffRole, UnitKind
from contracts.risk import (
    AlertClosed,
    AlertOutcome,
    AlertRaised,
    Direction,
    ExposureChanged,
    RatingAssigned,
    Severity,
)

DEMO, OTHER, LONDON = "DEMO-FACTOR", "OTHER-BANK", "UK-FACTOR"
ACME, BOLT, CEDAR, THAMES = (UUID(int=0xC1_0000 + n) for n in range(4))
LI, WANG, ZHOU, CHEN, AGENT = (UUID(int=0x5A_0000 + n) for n in range(5))
"""Li and Wang are relationship managers in Chen's team NORTH, Zhou is one in another team; the agent takes calls."""
NORTH, SOUTH = UUID(int=0x7E_0001), UUID(int=0x7E_0002)
ACME_IN_LEDGER = party_id("core-ledger", "S-1")
START = datetime(2026, 1, 1, tzinfo=UTC)


def client_registered(id: UUID = ACME, *aliases: UUID, entity_id: str = DEMO) -> ClientRegistered:
    return ClientRegistered(entity_id=entity_id, occurred_at=START, client_id=id, aliases=aliases)


def aliases_added(id: UUID, *aliases: UUID, entity_id: str = DEMO) -> ClientProfileChanged:
    return ClientProfileChanged(
        entity_id=entity_id, occurred_at=START, client_id=id, version=2, fields=("aliases",), aliases=aliases
    )


def lifecycle_changed(id: UUID, to: Stage, *, entity_id: str = DEMO, at: datetime = START) -> LifecycleChanged:
    return LifecycleChanged(
        entity_id=entity_id,
        occurred_at=at,
        client_id=id,
        from_stage=Stage.ACTIVE,
        to_stage=to,
        reason=LifecycleReason.OTHER,
    )


def rm_assigned(id: UUID, to: UUID, *, at: datetime = START, entity_id: str = DEMO) -> RmAssigned:
    return RmAssigned(entity_id=entity_id, occurred_at=at, client_id=id, staff_id=to, effective_at=at)


def staff_joined(id: UUID, team: UUID, *, entity_id: str = DEMO) -> StaffJoined:
    return StaffJoined(
        entity_id=entity_id,
        occurred_at=START,
        staff_id=id,
        team_id=team,
        role=StaffRole.RELATIONSHIP_MANAGER,
        joined_on=START.date(),
    )


def staff_left(id: UUID, *, entity_id: str = DEMO) -> StaffLeft:
    at = datetime(2026, 1, 20, tzinfo=UTC)
    return StaffLeft(entity_id=entity_id, occurred_at=at, staff_id=id, left_on=at.date())


def entity_placed(id: str, calendar: str, time_zone: str, *, at: datetime = START) -> OrganisationChanged:
    return OrganisationChanged(
        entity_id=id, occurred_at=at, unit_id=id, kind=UnitKind.ENTITY, calendar=calendar, time_zone=time_zone
    )


def alert_raised(
    client: UUID = ACME,
    *,
    as_of: date = date(2026, 2, 10),
    severity: Severity = Severity.SERIOUS,
    alert_id: UUID | None = None,
    entity_id: str = DEMO,
) -> AlertRaised:
    return AlertRaised(
        entity_id=entity_id,
        occurred_at=datetime(as_of.year, as_of.month, as_of.day, 10, tzinfo=UTC),
        client_id=client,
        alert_id=alert_id or uuid4(),
        rule="overdue-rate-high",
        severity=severity,
        cause_key=f"overdue-rate-high.{as_of}",
        as_of=as_of,
        due_on=as_of,
    )


def alert_closed(alert: AlertRaised, *, as_of: date) -> AlertClosed:
    return AlertClosed(
        entity_id=alert.entity_id,
        occurred_at=datetime(as_of.year, as_of.month, as_of.day, 10, tzinfo=UTC),
        client_id=alert.client_id,
        alert_id=alert.alert_id,
        outcome=AlertOutcome.CLEARED,
        as_of=as_of,
    )


def rating_assigned(
    client: UUID = ACME,
    *,
    direction: Direction = Direction.DOWN,
    at: datetime = datetime(2026, 2, 9, 20, tzinfo=UTC),
    entity_id: str = DEMO,
) -> RatingAssigned:
    return RatingAssigned(
        entity_id=entity_id,
        occurred_at=at,
        client_id=client,
        rating_id=uuid4(),
        grade="B3",
        pd=Decimal("0.05"),
        model_version="behaviour-1.0",
        override=False,
        valid_until=date(2027, 2, 9),
        previous_grade="B1",
        direction=direction,
    )


def business_date(as_of: date, client: UUID = ACME, *, revision: int = 1, entity_id: str = DEMO) -> ExposureChanged:
    """The client's figures of a business date: what moves its business clock."""
    money = Money(amount=Decimal(100), currency="CNY")
    return ExposureChanged(
        entity_id=entity_id,
        occurred_at=datetime(as_of.year, as_of.month, as_of.day, 12, tzinfo=UTC),
        client_id=client,
        as_of=as_of,
        revision=revision,
        balance=money,
        overdue=money,
    )


def the_office() -> list[Event]:
    """Two legal entities, a team and a half, four clients: three of DEMO's and one of London's."""
    return [
        entity_placed(DEMO, "CN", "Asia/Shanghai"),
        entity_placed(LONDON, "GB", "Europe/London"),
        *(staff_joined(who, team) for who, team in ((LI, NORTH), (WANG, NORTH), (CHEN, NORTH), (ZHOU, SOUTH))),
        *(client_registered(id) for id in (ACME, BOLT, CEDAR)),
        client_registered(THAMES, entity_id=LONDON),
        rm_assigned(ACME, LI),
        rm_assigned(BOLT, WANG),
        rm_assigned(CEDAR, ZHOU),
    ]
