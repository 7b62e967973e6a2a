"""The overview: one call, all that was heard, and "unknown yet" where nothing was."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from client_service.testing import LI, NORTH, NOW, OTHER_ENTITY, Desk, cny, said
from contracts.base import Event, party_id
from contracts.engagement import (
    Channel,
    ComplaintClosed,
    ComplaintExtended,
    ComplaintFiled,
    ContactLogged,
    VisitCancelled,
    VisitCompleted,
    VisitMissed,
    VisitPlanned,
)
from contracts.performance import KpiMeasured, KpiSubject
from contracts.risk import (
    AlertClosed,
    AlertEscalated,
    AlertRaised,
    ExposureChanged,
    LimitAdjusted,
    LimitApproved,
    LimitExpired,
    LimitFrozen,
    RatingAssigned,
)

SELLER = party_id("core", "S-1")
NUMBERS = [{"system": "core", "number": "S-1"}]
KNOWN = NOW.isoformat().replace("+00:00", "Z")
PARTS = ["rating", "limits", "exposure", "alerts", "complaints", "last_contact", "next_visit", "kpis"]

THINGS = ("visit_id", "alert_id", "limit_id", "complaint_id", "contact_id", "rating_id")


def about(kind: type[Event], n: int = 0, **values: Any) -> Event:
    """An event about the seller; its thing is numbered n."""
    thing = next(
        (name for name in THINGS if name in kind.model_fields),
        None,
    )
    return said(kind, client_id=SELLER, **({thing: UUID(int=n)} if thing else {}), **values)


async def overview(desk: Desk, client_id: str | UUID = SELLER) -> dict[str, Any]:
    answer = await desk.operations.get(f"/clients/{client_id}/overview")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_of_a_new_client_nothing_is_known_yet(desk: Desk) -> None:
    client = await desk.register()
    view = await overview(desk, client["id"])
    assert view["client"] == client
    assert (view["manager"], view["contract"]) == (None, None)
    for part in PARTS:
        assert view[part] == {"state": "unknown yet", "as_of": None, "known_at": None, "value": None}, part


async def test_one_call_tells_what_all_four_services_know(desk: Desk) -> None:
    """Everything the others tell arrives before the client is registered, and is the client's afterwards."""
    await desk.service.receives(
        about(RatingAssigned, 1, grade="B2", valid_until=date(2027, 1, 31)),
        about(LimitApproved, 2, amount=cny(5_000_000), debtor_id=None, expires_on=None),
        about(
            ExposureChanged,
            as_of=date(2026, 11, 2),
            revision=1,
            balance=cny("1200.50"),
            overdue=cny("200.5"),
            funds_in_use=cny(800),
            limit=cny(5_000_000),
            headroom=cny("4999200"),
        ),
        about(AlertRaised, 3, rule="overdue-rate-high", value=Decimal("0.1632"), due_on=date(2026, 11, 9)),
        about(ComplaintFiled, 4, due_on=date(2026, 11, 18)),
        about(ContactLogged, 5, channel=Channel.WECHAT),
        about(VisitPlanned, 6, due_on=date(2026, 11, 9)),
        said(
            KpiMeasured,
            subject_kind=KpiSubject.STAFF,
            subject_id=LI,
            kpi="visits-on-time",
            period="2026-10",
            value=Decimal("0.9"),
            revision=1,
        ),
        said(
            KpiMeasured,
            subject_kind=KpiSubject.TEAM,
            subject_id=NORTH,
            kpi="visits-on-time",
            period="2026-10",
            value=None,
            revision=1,
        ),
    )
    client = await desk.approved(external_numbers=NUMBERS)
    await desk.give(client["id"], LI)
    contract = await desk.draft(client["id"])
    assert (await desk.sign(client["id"], contract["id"])).status_code == 201

    view = await overview(desk, client["id"])
    assert view["client"]["stage"] == "signed"
    assert view["manager"] == {"staff_id": str(LI), "team_id": str(NORTH), "team": "NORTH", "departed": False}
    assert view["contract"]["id"] == contract["id"]
    for part in PARTS:
        assert (view[part]["state"], view[part]["known_at"]) == ("known", KNOWN), part
    assert view["rating"]["value"] == {"grade": "B2", "valid_until": "2027-01-31", "valid": True}
    (limit,) = view["limits"]["value"]
    assert (limit["amount"], limit["state"]) == ({"amount": "5000000.0000", "currency": "CNY"}, "approved")
    assert view["exposure"]["as_of"] == "2026-11-02"
    (exposure,) = view["exposure"]["value"]
    assert {name: exposure[name]["amount"] for name in ("balance", "overdue", "funds_in_use", "limit", "headroom")} == {
        "balance": "1200.5000",
        "overdue": "200.5000",
        "funds_in_use": "800.0000",
        "limit": "5000000.0000",
        "headroom": "4999200.0000",
    }
    (alert,) = view["alerts"]["value"]
    assert (alert["rule"], Decimal(alert["value"]), alert["due_on"]) == (
        "overdue-rate-high",
        Decimal("0.1632"),
        "2026-11-09",
    )
    (complaint,) = view["complaints"]["value"]
    assert complaint["due_on"] == "2026-11-18"
    assert view["last_contact"]["value"]["channel"] == "wechat"
    assert (view["next_visit"]["value"]["visit_id"], view["next_visit"]["value"]["due_on"]) == (
        str(UUID(int=6)),
        "2026-11-09",
    )
    assert [(kpi["subject"], kpi["value"] and Decimal(kpi["value"])) for kpi in view["kpis"]["value"]] == [
        ("staff", Decimal("0.9")),
        ("team", None),
    ]


async def test_none_is_not_unknown(desk: Desk) -> None:
    await desk.register(external_numbers=NUMBERS)
    await desk.service.receives(about(RatingAssigned, 1), about(ContactLogged, 2))
    view = await overview(desk)
    assert (view["alerts"]["state"], view["alerts"]["value"]) == ("known", [])
    assert (view["limits"]["state"], view["limits"]["value"]) == ("known", [])
    assert (view["complaints"]["state"], view["complaints"]["value"]) == ("known", [])
    assert view["exposure"]["state"] == "unknown yet"
    assert view["next_visit"]["state"] == "unknown yet"


async def test_what_ends_is_no_longer_shown(desk: Desk) -> None:
    await desk.register(external_numbers=NUMBERS)
    await desk.service.receives(
        about(AlertRaised, 1, due_on=date(2026, 11, 9)),
        about(AlertRaised, 2),
        about(AlertEscalated, 1, level=2, due_on=date(2026, 11, 12)),
        about(AlertClosed, 2),
        about(AlertClosed, 99),
        about(ComplaintFiled, 1),
        about(ComplaintFiled, 2),
        about(ComplaintClosed, 1),
        about(ComplaintExtended, 2, due_on=date(2026, 12, 3)),
        about(LimitApproved, 1),
        about(LimitAdjusted, 1, amount=cny(7)),
        about(LimitApproved, 2),
        about(LimitFrozen, 1),
        about(LimitExpired, 2),
        about(VisitPlanned, 1, due_on=date(2026, 11, 5)),
        about(VisitPlanned, 2, due_on=date(2026, 11, 6)),
        about(VisitPlanned, 3, due_on=date(2026, 11, 7)),
        about(VisitCompleted, 1),
        about(VisitCancelled, 2),
        about(VisitMissed, 3, due_on=date(2026, 11, 7)),
    )
    view = await overview(desk)
    assert [(each["alert_id"], each["level"], each["due_on"]) for each in view["alerts"]["value"]] == [
        (str(UUID(int=1)), 2, "2026-11-12")
    ]
    assert [(each["complaint_id"], each["due_on"]) for each in view["complaints"]["value"]] == [
        (str(UUID(int=2)), "2026-12-03")
    ]
    assert [(each["limit_id"], each["amount"]["amount"], each["state"]) for each in view["limits"]["value"]] == [
        (str(UUID(int=1)), "7.0000", "frozen")
    ]
    visit = view["next_visit"]["value"]
    assert (visit["visit_id"], visit["state"]) == (str(UUID(int=3)), "missed")
    await desk.service.receives(about(VisitCompleted, 3))
    view = await overview(desk)
    assert (view["next_visit"]["state"], view["next_visit"]["value"]) == ("known", None)


async def test_the_latest_of_each_stands(desk: Desk) -> None:
    client = await desk.managed(LI, external_numbers=NUMBERS)
    kpi = {"subject_kind": KpiSubject.STAFF, "subject_id": LI, "kpi": "visits-on-time"}
    await desk.service.receives(
        about(ContactLogged, 1, occurred_at=NOW, channel=Channel.PHONE),
        about(ContactLogged, 2, occurred_at=NOW - timedelta(days=1), channel=Channel.EMAIL),
        said(KpiMeasured, **kpi, period="2026-10", value=Decimal("0.8"), revision=2),
        said(KpiMeasured, **kpi, period="2026-10", value=Decimal("0.7"), revision=1),
        said(KpiMeasured, **kpi, period="2026-09", value=Decimal("0.6"), revision=5),
        about(RatingAssigned, 1, grade="A1", valid_until=date(2026, 11, 2)),
    )
    view = await overview(desk, client["id"])
    assert view["last_contact"]["value"]["channel"] == "phone"
    assert [(each["period"], Decimal(each["value"])) for each in view["kpis"]["value"]] == [("2026-10", Decimal("0.8"))]
    assert view["rating"]["value"]["valid"] is False


async def test_what_another_entity_hears_is_not_shown(desk: Desk) -> None:
    await desk.register(external_numbers=NUMBERS)
    await desk.service.receives(
        *(
            about(kind, 1, entity_id=OTHER_ENTITY)
            for kind in (RatingAssigned, LimitApproved, AlertRaised, ComplaintFiled)
        ),
        *(about(kind, 1, entity_id=OTHER_ENTITY) for kind in (ContactLogged, VisitPlanned, ExposureChanged)),
    )
    view = await overview(desk)
    for part in PARTS:
        assert view[part]["state"] == "unknown yet", part


async def test_only_who_sees_the_client_sees_its_overview(desk: Desk) -> None:
    client = await desk.managed(LI)
    for caller in (desk.li, desk.north_lead, desk.risk_officer, desk.agent, desk.auditor, desk.operations):
        assert (await caller.get(f"/clients/{client['id']}/overview")).status_code == 200
    for caller in (desk.wang, desk.south_lead, desk.elsewhere):
        assert (await caller.get(f"/clients/{client['id']}/overview")).status_code == 404
    assert (await desk.bank.get(f"/clients/{client['id']}/overview")).status_code == 403
    assert (await desk.service.anonymous().get(f"/clients/{client['id']}/overview")).status_code == 401
