"""KPIs over HTTP: what they mean, what they are, and the events behind each."""

from datetime import date
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from contracts.base import Instant
from contracts.performance import KpiSubject
from performance_service.kpis.definitions import DEFINITIONS, Definition, Kpi, Month
from performance_service.kpis.measure import Score, scores
from performance_service.kpis.model import Measurement
from performance_service.staff.model import StaffMember
from servicekit.access import visible
from servicekit.auth import Principal, may
from servicekit.database import ReadTx
from servicekit.examples import example
from servicekit.pagination import Page, Paging, paginate, total_of
from servicekit.problems import Invalid, NotFound, problems

router = APIRouter(prefix="/kpis", tags=["kpis"])

PeriodText = Annotated[str, Query(alias="period", pattern=r"^\d{4}-(0[1-9]|1[0-2])$", examples=["2026-10"])]


class UnknownSubject(NotFound):
    """Nobody, or no team, with this id whose figures you may see. Check the id, and whose figures your role opens."""


class DefinitionView(BaseModel):
    """What a KPI means, and which version of that."""

    model_config = example(
        kpi="visits-on-time",
        version="1",
        formula="visits completed by their due date ÷ visits completed or missed in the month",
        counts="Cancelled visits do not count.",
        target="0.9",
    )

    kpi: Kpi
    version: str
    formula: str
    counts: str
    target: Decimal
    higher_is_better: bool

    @classmethod
    def of(cls, definition: Definition) -> "DefinitionView":
        return cls(
            kpi=definition.kpi,
            version=definition.version,
            formula=definition.formula,
            counts=definition.counts,
            target=definition.target,
            higher_is_better=definition.higher_is_better,
        )


class EvidenceView(BaseModel):
    """One thing that the score counts: what it adds above and below the line, and the events that say so."""

    model_config = example(
        fact_id="0199a7c0-bbbb-7aaa-8aaa-000000000012",
        on="2026-10-22",
        numerator="1",
        denominator="1",
        event_ids=["0199a7c0-dddd-7aaa-8aaa-000000000014"],
    )

    staff_id: UUID
    client_id: UUID
    fact_id: UUID | None = Field(description="The complaint or visit; none for a balance.")
    on: date
    numerator: Decimal
    denominator: Decimal
    event_ids: list[UUID] = Field(description="CloudEvents ids on the bus, in the order they were heard.")


class ScoreView(BaseModel):
    """A KPI of one person or team in a month, with everything needed to compute it again by hand."""

    model_config = example(value="1.0000", target_met=True, numerator="1", denominator="1")

    definition: DefinitionView
    subject_kind: KpiSubject
    subject_id: UUID
    period: str
    value: Decimal | None = Field(description="Four decimals; none where nothing counts.")
    target_met: bool | None
    numerator: Decimal
    denominator: Decimal
    evidence: list[EvidenceView]

    @classmethod
    def of(cls, score: Score) -> "ScoreView":
        definition = DEFINITIONS[score.kpi]
        met = None
        if score.value is not None:
            met = score.value >= definition.target if definition.higher_is_better else score.value <= definition.target
        return cls(
            definition=DefinitionView.of(definition),
            subject_kind=score.subject_kind,
            subject_id=score.subject_id,
            period=str(score.month),
            value=score.value,
            target_met=met,
            numerator=score.numerator,
            denominator=score.denominator,
            evidence=[
                EvidenceView(
                    staff_id=item.staff_id,
                    client_id=item.client_id,
                    fact_id=item.fact_id,
                    on=item.on,
                    numerator=item.numerator,
                    denominator=item.denominator,
                    event_ids=list(item.event_ids),
                )
                for item in score.evidence
            ],
        )


class MeasurementView(BaseModel):
    """A value as it was published."""

    model_config = example(kpi="visits-on-time", definition="visits-on-time@1", value="0.9167")

    kpi: Kpi
    definition: str
    subject_kind: KpiSubject
    subject_id: UUID
    period: str
    revision: int
    value: Decimal | None
    evidence_count: int
    measured_at: Instant


@router.get("")
async def list_kpis(who: Annotated[Principal, may("kpis:read")]) -> list[DefinitionView]:
    """Every KPI there is, with its formula and target."""
    return [DefinitionView.of(definition) for definition in DEFINITIONS.values()]


async def _seen(tx: ReadTx, who: Principal, kind: KpiSubject, subject_id: UUID) -> None:
    """A person's figures open to whom the person is visible; a team's to whom all of its members are."""
    of_subject = StaffMember.staff_id if kind is KpiSubject.STAFF else StaffMember.team_id
    members = sa.select(
        sa.func.count(), sa.func.count().filter(visible(who, StaffMember.staff_id, StaffMember.entity_id))
    ).where(of_subject == subject_id, StaffMember.entity_id == who.entity_id)
    all_members, seen = (await tx.execute(members)).one()
    if not all_members or seen < all_members:
        raise UnknownSubject(subject_id)


@router.get("/{kpi}/{subject_kind}/{subject_id}", responses=problems(UnknownSubject))
async def get_score(
    kpi: Kpi,
    subject_kind: Annotated[KpiSubject, Path()],
    subject_id: UUID,
    tx: ReadTx,
    who: Annotated[Principal, may("kpis:read")],
    period: PeriodText,
) -> ScoreView:
    """A KPI computed now from the events heard so far, down to each of them."""
    await _seen(tx, who, subject_kind, subject_id)
    try:
        month = Month.parse(period)
    except ValueError:
        raise Invalid("query.period", "not a month") from None
    for score in await scores(tx, kpi, who.entity_id, month):
        if (score.subject_kind, score.subject_id) == (subject_kind, subject_id):
            return ScoreView.of(score)
    return ScoreView.of(Score(kpi, subject_kind, subject_id, month, ()))


@router.get("/measurements")
async def list_measurements(
    tx: ReadTx,
    who: Annotated[Principal, may("kpis:read")],
    page: Paging,
    subject_id: UUID | None = None,
    kpi: Kpi | None = None,
) -> Page[MeasurementView]:
    """What was published of the people one may see, newest last, every revision. Team values: see the team's score."""
    wanted = sa.select(Measurement).where(visible(who, Measurement.subject_id, Measurement.entity_id))
    if subject_id is not None:
        wanted = wanted.where(Measurement.subject_id == subject_id)
    if kpi is not None:
        wanted = wanted.where(Measurement.kpi == kpi)
    rows, following = await paginate(tx, wanted, Measurement.id, page=page)
    views = [MeasurementView.model_validate(row, from_attributes=True) for row in rows]
    return Page(items=views, next_cursor=following, total=await total_of(tx, wanted, page))
