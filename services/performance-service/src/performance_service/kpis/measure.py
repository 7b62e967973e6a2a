"""Measuring: from the facts of a month to a value per person and team, with the evidence behind each.

Everything here is computed from projections alone, so that the same events always give the same score. Publishing
compares with what was last said and tells only what changed, as a new revision.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from contracts.performance import KpiMeasured, KpiSubject
from eventing import emit
from performance_service.kpis.definitions import DEFINITIONS, Kpi, Month, ratio
from performance_service.kpis.facts import Deed, Exposure
from performance_service.kpis.model import Measurement
from performance_service.organisation.model import Unit
from performance_service.portfolios.model import Assignment, end_of
from performance_service.staff.model import Membership
from servicekit.access import resolved


@dataclass(frozen=True)
class Evidence:
    """One fact that a score counts, the staff member it counts for, and the events it was made from."""

    staff_id: UUID
    client_id: UUID
    fact_id: UUID | None
    on: date
    numerator: Decimal
    denominator: Decimal
    event_ids: tuple[UUID, ...]


@dataclass(frozen=True)
class Score:
    """A KPI of one person or team in one month."""

    kpi: Kpi
    subject_kind: KpiSubject
    subject_id: UUID
    month: Month
    evidence: tuple[Evidence, ...]

    @property
    def numerator(self) -> Decimal:
        return sum((item.numerator for item in self.evidence), Decimal(0))

    @property
    def denominator(self) -> Decimal:
        return sum((item.denominator for item in self.evidence), Decimal(0))

    @property
    def value(self) -> Decimal | None:
        """Four decimals; None where nothing counts."""
        return ratio(self.numerator, self.denominator)


async def _entity(tx: AsyncSession, entity_id: str) -> Unit | None:
    return await tx.get(Unit, (entity_id, entity_id))


async def _deeds(tx: AsyncSession, kpi: Kpi, entity: Unit, month: Month) -> list[Evidence]:
    """Each deed decided in the month counts for whoever managed the client at the end of that day."""
    day_end = sa.cast(
        sa.func.timezone(entity.time_zone, sa.cast(Deed.decided_on + 1, sa.DateTime)), sa.DateTime(timezone=True)
    )
    holder = (
        sa.select(Assignment.staff_id)
        .where(resolved(Assignment.client_id) == resolved(Deed.client_id), Assignment.entity_id == Deed.entity_id)
        .where(Assignment.effective_at < day_end)
        .order_by(Assignment.effective_at.desc(), Assignment.event_id.desc())
        .limit(1)
        .lateral()
    )
    facts = (
        sa.select(Deed, holder.c.staff_id)
        .join(holder, sa.true())
        .where(Deed.kpi == kpi, Deed.entity_id == entity.entity_id, Deed.decided_on.between(month.first, month.last))
    )
    return [
        Evidence(
            staff_id, deed.client_id, deed.id, deed.decided_on, Decimal(deed.kept), Decimal(1), tuple(deed.event_ids)
        )
        for deed, staff_id in await tx.execute(facts.order_by(Deed.decided_on, Deed.id))
        if deed.decided_on is not None and deed.kept is not None
    ]


async def _exposures(tx: AsyncSession, entity: Unit, month: Month) -> list[Evidence]:
    """Each client held at the month's end counts with its last figure as of that day or before."""
    ranked = (
        sa.select(Assignment.client_id, Assignment.staff_id)
        .where(Assignment.entity_id == entity.entity_id, Assignment.effective_at < end_of(month.last, entity.zone))
        .ext(distinct_on(Assignment.client_id))
        .order_by(Assignment.client_id, Assignment.effective_at.desc(), Assignment.event_id.desc())
        .subquery()
    )
    last = (
        sa.select(Exposure, resolved(Exposure.client_id).label("owner"))
        .where(
            Exposure.entity_id == entity.entity_id,
            Exposure.currency == entity.currency,
            Exposure.as_of <= month.last,
        )
        .ext(distinct_on(Exposure.client_id))
        .order_by(Exposure.client_id, Exposure.as_of.desc())
        .subquery()
    )
    facts = sa.select(ranked.c.staff_id, last).join(last, last.c.owner == resolved(ranked.c.client_id))
    return [
        Evidence(row.staff_id, row.client_id, None, row.as_of, row.overdue, row.balance, (row.event_id,))
        for row in await tx.execute(facts.order_by(last.c.client_id))
    ]


async def _teams(tx: AsyncSession, entity_id: str, month: Month) -> dict[UUID, UUID]:
    """Each staff member's team on the month's last day; whoever left before is in none."""
    rows = await tx.execute(
        sa.select(Membership.staff_id, Membership.team_id)
        .where(Membership.entity_id == entity_id, Membership.since <= month.last)
        .ext(distinct_on(Membership.staff_id))
        .order_by(Membership.staff_id, Membership.since.desc())
    )
    return {staff_id: team_id for staff_id, team_id in rows if team_id is not None}


async def scores(tx: AsyncSession, kpi: Kpi, entity_id: str, month: Month) -> list[Score]:
    """The KPI of everyone in the entity for whom something counts in the month, then of every team.

    Empty where the legal entity is not in the organisation yet: its calendar, zone and currency are not known.
    """
    entity = await _entity(tx, entity_id)
    if entity is None:
        return []
    if kpi is Kpi.PORTFOLIO_OVERDUE_RATE:
        evidence = await _exposures(tx, entity, month)
    else:
        evidence = await _deeds(tx, kpi, entity, month)
    teams = await _teams(tx, entity_id, month)
    by_subject: dict[tuple[KpiSubject, UUID], list[Evidence]] = defaultdict(list)
    for item in evidence:
        by_subject[(KpiSubject.STAFF, item.staff_id)].append(item)
        if item.staff_id in teams:
            by_subject[(KpiSubject.TEAM, teams[item.staff_id])].append(item)
    return [Score(kpi, kind, subject, month, tuple(items)) for (kind, subject), items in by_subject.items()]


async def months_with_facts(tx: AsyncSession, kpi: Kpi, entity_id: str, since: Month) -> list[Month]:
    """The months from `since` on in which something was decided or an exposure is known."""
    if kpi is Kpi.PORTFOLIO_OVERDUE_RATE:
        days = sa.select(Exposure.as_of.label("day")).where(Exposure.entity_id == entity_id)
    else:
        days = sa.select(Deed.decided_on.label("day")).where(Deed.entity_id == entity_id, Deed.kpi == kpi)
    day = days.subquery().c.day
    months = sa.select(sa.func.to_char(day, "YYYY-MM")).where(day >= since.first).distinct()
    return sorted((Month.parse(text) for text in await tx.scalars(months)), key=str)


async def measure(tx: AsyncSession, kpi: Kpi, entity_id: str, since: Month, now: datetime) -> None:
    """Publish every score from `since` on that differs from what was last published.

    One measurement of a KPI and entity runs at a time, so that two never take the same revision.
    """
    await tx.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(f"{kpi}/{entity_id}", 0))))
    published = await _published(tx, kpi, entity_id, since)
    months = {*await months_with_facts(tx, kpi, entity_id, since), *(Month.parse(period) for _, period in published)}
    for month in sorted(months, key=str):
        current = {score.subject_id: score for score in await scores(tx, kpi, entity_id, month)}
        gone = [last for (_, period), last in published.items() if period == str(month)]
        for last in gone:
            if last.subject_id not in current:
                current[last.subject_id] = Score(kpi, last.subject_kind, last.subject_id, month, ())
        _publish(tx, entity_id, current.values(), published, now)


async def _published(tx: AsyncSession, kpi: Kpi, entity_id: str, since: Month) -> dict[tuple[UUID, str], Measurement]:
    rows = await tx.scalars(
        sa.select(Measurement)
        .where(Measurement.kpi == kpi, Measurement.entity_id == entity_id, Measurement.period >= str(since))
        .ext(distinct_on(Measurement.subject_id, Measurement.period))
        .order_by(Measurement.subject_id, Measurement.period, Measurement.revision.desc())
    )
    return {(row.subject_id, row.period): row for row in rows}


def _publish(
    tx: AsyncSession,
    entity_id: str,
    current: Iterable[Score],
    published: dict[tuple[UUID, str], Measurement],
    now: datetime,
) -> None:
    for score in current:
        last = published.get((score.subject_id, str(score.month)))
        said = (last.value, last.numerator, last.denominator, last.evidence_count) if last else None
        if said == (score.value, score.numerator, score.denominator, len(score.evidence)):
            continue
        definition = DEFINITIONS[score.kpi]
        measurement = Measurement(
            id=uuid7(),
            entity_id=entity_id,
            kpi=score.kpi,
            definition=definition.version,
            subject_kind=score.subject_kind,
            subject_id=score.subject_id,
            period=str(score.month),
            revision=last.revision + 1 if last else 1,
            value=score.value,
            numerator=score.numerator,
            denominator=score.denominator,
            evidence_count=len(score.evidence),
            measured_at=now,
        )
        tx.add(measurement)
        emit(
            tx,
            KpiMeasured(
                entity_id=entity_id,
                occurred_at=now,
                kpi=score.kpi,
                subject_kind=score.subject_kind,
                subject_id=score.subject_id,
                period=str(score.month),
                value=score.value,
                target=definition.target,
                evidence_count=len(score.evidence),
                revision=measurement.revision,
            ),
        )
