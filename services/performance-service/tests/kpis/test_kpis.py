"""The three KPIs from events, down to each event, published when they change."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import pytest

from contracts import Event, Money
from contracts.client import ClientRegistered, RmAssigned
from contracts.engagement import (
    ComplaintDeadlineMissed,
    ComplaintExtended,
    ComplaintFiled,
    ComplaintReopened,
    ComplaintResolved,
    ComplaintWithdrawn,
    VisitCancelled,
    VisitCompleted,
    VisitMissed,
    VisitPlanned,
)
from contracts.performance import KpiMeasured, KpiSubject
from contracts.risk import ExposureChanged
from servicekit.testing import Harness

E = TypeVar("E", bound=Event)


def made(kind: type[E], **changed: Any) -> E:
    return kind.example().model_copy(update={"entity_id": "DEMO-FACTOR", **changed})


def cny(amount: str) -> Money:
    return Money(amount=Decimal(amount), currency="CNY")


@pytest.fixture
async def teams(performance: Harness, names: Any, staffed: Any) -> tuple[UUID, UUID]:
    """Li manages Acme (which the ledger knows by another id), Zhou manages Bolt, since January 2026."""
    north, south = await staffed()
    start = datetime(2026, 1, 1, tzinfo=UTC)
    await performance.receives(
        made(RmAssigned, client_id=names.acme, staff_id=names.li, effective_at=start),
        made(RmAssigned, client_id=names.bolt, staff_id=names.zhou, effective_at=start),
        made(ClientRegistered, client_id=names.acme, aliases=(names.acme_in_ledger,)),
    )
    await settle(performance)
    await performance.forget_emitted()
    return north, south


async def settle(performance: Harness) -> None:
    performance.clock.advance(timedelta(seconds=3))
    await performance.run_due()


async def score(performance: Harness, kpi: str, subject: UUID, period: str, kind: str = "staff") -> dict[str, Any]:
    answer = await performance.client("auditor").get(f"/kpis/{kpi}/{kind}/{subject}", params={"period": period})
    assert answer.status_code == 200, answer.text
    return answer.json()


def visit(number: int, client: UUID, due: date) -> VisitPlanned:
    return made(VisitPlanned, visit_id=UUID(int=0x900 + number), client_id=client, due_on=due)


def completed(planned: VisitPlanned, on: date) -> VisitCompleted:
    return made(
        VisitCompleted, visit_id=planned.visit_id, client_id=planned.client_id, due_on=planned.due_on, completed_on=on
    )


async def test_visits_on_time_counts_each_visit_once_for_who_managed_the_client(
    performance: Harness, names: Any, teams: tuple[UUID, UUID]
) -> None:
    kept, late, missed, cancelled = (visit(n, names.acme_in_ledger, date(2026, 3, 10 + n)) for n in range(4))
    await performance.receives(kept, late, missed, cancelled)
    await performance.receives(
        completed(kept, date(2026, 3, 9)),
        made(VisitMissed, visit_id=late.visit_id, client_id=late.client_id, due_on=late.due_on),
        completed(late, date(2026, 4, 2)),
        made(VisitMissed, visit_id=missed.visit_id, client_id=missed.client_id, due_on=missed.due_on),
        made(VisitCancelled, visit_id=cancelled.visit_id, client_id=cancelled.client_id),
    )
    result = await score(performance, "visits-on-time", names.li, "2026-03")
    assert (result["value"], result["numerator"], result["denominator"]) == ("0.3333", "1", "3")
    assert [len(item["event_ids"]) for item in result["evidence"]] == [2, 3, 2]
    assert result["target_met"] is False
    assert await score(performance, "visits-on-time", names.li, "2026-04") | {"definition": None} == {
        "definition": None, "subject_kind": "staff", "subject_id": str(names.li), "period": "2026-04",
        "value": None, "target_met": None, "numerator": "0", "denominator": "0", "evidence": [],
    }  # fmt: skip
    team = await score(performance, "visits-on-time", teams[0], "2026-03", "team")
    assert team["value"] == "0.3333"


async def test_complaint_deadlines_follow_extension_and_withdrawal(
    performance: Harness, names: Any, teams: tuple[UUID, UUID]
) -> None:
    first, second, third = (UUID(int=0xA00 + n) for n in range(3))
    filed = [
        made(ComplaintFiled, complaint_id=c, client_id=names.acme, due_on=date(2026, 3, 18))
        for c in (first, second, third)
    ]
    await performance.receives(*filed)
    await performance.receives(
        made(ComplaintExtended, complaint_id=first, client_id=names.acme, due_on=date(2026, 4, 17)),
        made(
            ComplaintResolved,
            complaint_id=first,
            client_id=names.acme,
            answered_on=date(2026, 4, 10),
            due_on=date(2026, 4, 17),
        ),
        made(ComplaintDeadlineMissed, complaint_id=second, client_id=names.acme, due_on=date(2026, 3, 18)),
        made(ComplaintWithdrawn, complaint_id=third, client_id=names.acme),
    )  # fmt: skip
    march = await score(performance, "complaint-deadlines-kept", names.li, "2026-03")
    april = await score(performance, "complaint-deadlines-kept", names.li, "2026-04")
    assert (march["value"], march["denominator"]) == ("0.0000", "1")
    assert (april["value"], april["denominator"]) == ("1.0000", "1")


async def test_a_reopened_complaint_counts_again_by_its_new_deadline(
    performance: Harness, names: Any, teams: tuple[UUID, UUID]
) -> None:
    about = {"complaint_id": UUID(int=0xA10), "client_id": names.acme}
    march, april = date(2026, 3, 18), date(2026, 4, 17)
    await performance.receives(
        made(ComplaintFiled, **about, due_on=march),
        made(ComplaintResolved, **about, answered_on=date(2026, 3, 20), due_on=march),
        made(ComplaintReopened, **about, due_on=april),
        made(ComplaintDeadlineMissed, **about, due_on=april),
        made(ComplaintResolved, **about, answered_on=date(2026, 4, 20), due_on=april),
    )
    for period in ("2026-03", "2026-04"):
        result = await score(performance, "complaint-deadlines-kept", names.li, period)
        assert (result["value"], result["denominator"]) == ("0.0000", "1"), period


def exposure(client: UUID, as_of: date, balance: str, overdue: str, revision: int = 1) -> ExposureChanged:
    return made(
        ExposureChanged, client_id=client, as_of=as_of, revision=revision, balance=cny(balance), overdue=cny(overdue)
    )


async def test_overdue_rate_takes_the_last_figure_of_the_month_at_its_highest_revision(
    performance: Harness, names: Any, teams: tuple[UUID, UUID]
) -> None:
    await performance.receives(
        exposure(names.acme_in_ledger, date(2026, 2, 27), "900.00", "0.00"),
        exposure(names.acme_in_ledger, date(2026, 3, 30), "1000.00", "500.00", revision=2),
        exposure(names.acme_in_ledger, date(2026, 3, 30), "1000.00", "100.00"),
        exposure(names.bolt, date(2026, 3, 30), "1000.00", "900.00"),
    )
    march = await score(performance, "portfolio-overdue-rate", names.li, "2026-03")
    assert (march["value"], march["numerator"], march["denominator"]) == ("0.5000", "500.0000", "1000.0000")
    assert (await score(performance, "portfolio-overdue-rate", names.li, "2026-02"))["value"] == "0.0000"


async def test_a_handover_takes_the_clients_figures_along_from_that_day(
    performance: Harness, names: Any, teams: tuple[UUID, UUID]
) -> None:
    early, later = visit(1, names.acme, date(2026, 3, 5)), visit(2, names.acme, date(2026, 3, 25))
    await performance.receives(early, later, completed(early, date(2026, 3, 5)), completed(later, date(2026, 3, 26)))
    handover = datetime(2026, 3, 15, tzinfo=UTC)
    await performance.receives(made(RmAssigned, client_id=names.acme, staff_id=names.wang, effective_at=handover))
    assert (await score(performance, "visits-on-time", names.li, "2026-03"))["value"] == "1.0000"
    assert (await score(performance, "visits-on-time", names.wang, "2026-03"))["value"] == "0.0000"


async def test_a_change_is_published_once_and_a_correction_as_a_new_revision(
    performance: Harness, names: Any, teams: tuple[UUID, UUID]
) -> None:
    done = visit(1, names.acme, date(2026, 3, 10))
    await performance.receives(done, completed(done, date(2026, 3, 10)))
    await settle(performance)
    first = [event for event in await performance.emitted(KpiMeasured) if isinstance(event, KpiMeasured)]
    assert {(e.subject_kind, e.subject_id, e.value, e.revision) for e in first} == {
        (KpiSubject.STAFF, names.li, Decimal("1.0000"), 1),
        (KpiSubject.TEAM, teams[0], Decimal("1.0000"), 1),
    }
    await settle(performance)
    assert len(await performance.emitted(KpiMeasured)) == 2

    handover = datetime(2026, 3, 1, tzinfo=UTC)
    await performance.receives(made(RmAssigned, client_id=names.acme, staff_id=names.zhou, effective_at=handover))
    await settle(performance)
    second = [event for event in await performance.emitted(KpiMeasured) if isinstance(event, KpiMeasured)][2:]
    assert {(e.subject_id, e.value, e.evidence_count, e.revision) for e in second} == {
        (names.li, None, 0, 2),
        (teams[0], None, 0, 2),
        (names.zhou, Decimal("1.0000"), 1, 1),
        (teams[1], Decimal("1.0000"), 1, 1),
    }
    listed = await performance.client("relationship_manager", staff_id=names.li).get("/kpis/measurements")
    assert [(m["revision"], m["value"]) for m in listed.json()["items"]] == [(1, "1.0000"), (2, None)]


async def test_a_figure_opens_to_oneself_ones_lead_and_no_one_else(
    performance: Harness, names: Any, teams: tuple[UUID, UUID]
) -> None:
    async def status(role: str, staff_id: UUID, kind: str, subject: UUID, entity: str = "DEMO-FACTOR") -> int:
        caller = performance.client(role, staff_id=staff_id, entity_id=entity)
        return (await caller.get(f"/kpis/visits-on-time/{kind}/{subject}", params={"period": "2026-03"})).status_code

    assert await status("relationship_manager", names.li, "staff", names.li) == 200
    assert await status("relationship_manager", names.li, "staff", names.wang) == 404
    assert await status("relationship_manager", names.li, "team", teams[0]) == 404
    assert await status("team_lead", names.lead, "staff", names.wang) == 200
    assert await status("team_lead", names.lead, "team", teams[0]) == 200
    assert await status("team_lead", names.lead, "staff", names.zhou) == 404
    assert await status("team_lead", names.lead, "team", teams[1]) == 404
    assert await status("auditor", names.li, "staff", names.li, entity="OTHER-BANK") == 404
    assert await status("bank_system", names.li, "staff", names.li) == 403


async def test_what_is_no_month_is_refused_with_the_field(performance: Harness, names: Any, teams: Any) -> None:
    auditor = performance.client("auditor")
    for period in ("2026-13", "", "0000-01", "2026-3"):
        answer = await auditor.get(f"/kpis/visits-on-time/staff/{names.li}", params={"period": period})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "query.period")
