"""The three KPIs computed a second time, from a raw dump of the topics alone, sharing no code with the services."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from bus import Told

Month = str
Subject = tuple[str, str, Month]
"""kpi, staff id, month"""


class Sum(NamedTuple):
    """What counts above and below the line."""

    above: Decimal
    below: Decimal

    @property
    def value(self) -> str | None:
        return str((self.above / self.below).quantize(Decimal("0.0001"), ROUND_HALF_EVEN)) if self.below else None


def kpis(told: Iterable[Told], entity: str, months: Sequence[Month]) -> dict[Subject, Sum]:
    """Every KPI of every member of staff in these months, where anything counts. Events come in each key's order."""
    seen: set[str] = set()
    alias: dict[str, str] = {}
    zone, currency = ZoneInfo("UTC"), ""
    managers: dict[str, list[tuple[datetime, str, str]]] = defaultdict(list)
    complaints: dict[str, dict[str, Any]] = defaultdict(dict[str, Any])
    visits: dict[str, dict[str, Any]] = defaultdict(dict[str, Any])
    exposure: dict[tuple[str, str, str], dict[str, Any]] = {}
    for each in told:
        data = each.data
        if each.headers["ce_id"] in seen or data.get("entity_id") != entity:
            continue
        seen.add(each.headers["ce_id"])
        match each.type:
            case "performance.organisation-changed" if data["kind"] == "entity":
                zone, currency = ZoneInfo(data["time_zone"]), data["currency"]
            case "client.client-registered" | "client.client-profile-changed":
                known_as: list[str] = data.get("aliases") or []
                client_id: str = data["client_id"]
                alias.update(dict.fromkeys(known_as, client_id))
            case "client.rm-assigned":
                since = datetime.fromisoformat(data["effective_at"])
                managers[data["client_id"]].append((since, each.headers["ce_id"], data["staff_id"]))
            case "engagement.complaint-filed" | "engagement.complaint-extended":
                complaints[data["complaint_id"]] |= {
                    "client": data["client_id"],
                    "due": data["due_on"],
                    "missed": False,
                }
            case "engagement.complaint-reopened":
                complaints[f"{data['complaint_id']} until {each.headers['ce_id']}"] = complaints[data["complaint_id"]]
                complaints[data["complaint_id"]] = {"client": data["client_id"], "due": data["due_on"]}
            case "engagement.complaint-resolved":
                complaints[data["complaint_id"]] |= {"due": data["due_on"], "done": data["answered_on"]}
            case "engagement.complaint-deadline-missed":
                complaints[data["complaint_id"]] |= {"due": data["due_on"], "missed": True}
            case "engagement.complaint-withdrawn":
                complaints[data["complaint_id"]]["dropped"] = True
            case "engagement.visit-planned":
                visits[data["visit_id"]] |= {"client": data["client_id"], "due": data["due_on"]}
            case "engagement.visit-completed":
                visits[data["visit_id"]] |= {"due": data["due_on"], "done": data["completed_on"]}
            case "engagement.visit-missed":
                visits[data["visit_id"]] |= {"due": data["due_on"], "missed": True}
            case "engagement.visit-cancelled":
                visits[data["visit_id"]]["dropped"] = True
            case "risk.exposure-changed":
                figure = (data["client_id"], data["as_of"], data["balance"]["currency"])
                if figure not in exposure or exposure[figure]["revision"] < data["revision"]:
                    exposure[figure] = dict(data)
            case _:
                pass

    def manager(client: str, day: date) -> str | None:
        after = datetime.combine(day + timedelta(days=1), datetime.min.time(), zone)
        held = [each for each in managers[alias.get(client, client)] if each[0] < after]
        return max(held)[2] if held else None

    sums: dict[Subject, Sum] = defaultdict(lambda: Sum(Decimal(0), Decimal(0)))

    def count(kpi: str, client: str, day: date, above: Decimal, below: Decimal, month: Month) -> None:
        if month in months and (who := manager(client, day)) is not None:
            so_far = sums[(kpi, who, month)]
            sums[(kpi, who, month)] = Sum(so_far.above + above, so_far.below + below)

    for kpi, deeds in (("complaint-deadlines-kept", complaints), ("visits-on-time", visits)):
        for deed in deeds.values():
            if deed.get("dropped") or not ("done" in deed or deed.get("missed")):
                continue
            decided = min(deed.get("done", deed["due"]), deed["due"])
            kept = "done" in deed and deed["done"] <= deed["due"]
            count(kpi, deed["client"], date.fromisoformat(decided), Decimal(kept), Decimal(1), decided[:7])

    parties = {party for party, _, _ in exposure}
    for month in months:
        last_day = (date.fromisoformat(f"{month}-28") + timedelta(days=4)).replace(day=1) - timedelta(days=1)
        for party in parties:
            known = [
                day for each, day, money in exposure if (each, money) == (party, currency) and day <= str(last_day)
            ]
            if known:
                figure = exposure[(party, max(known), currency)]
                balance, overdue = Decimal(figure["balance"]["amount"]), Decimal(figure["overdue"]["amount"])
                count("portfolio-overdue-rate", party, last_day, overdue, balance, month)
    return dict(sums)
