"""The synthetic portfolio: who goes bad is flagged long before, who recovers clears, the others raise nothing."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from contracts import AlertClosed, AlertOutcome, AlertRaised, party_id
from ledger_feed.ledger import COLUMNS, Ledger
from ledger_feed.report import RowReport
from ledger_feed.rows import LedgerFile
from ledger_feed.sequence import Sequence
from ledger_feed.shape import Book
from ledger_feed.synthetic import CURRENCY, ENTITY, SYSTEM, Portfolio
from servicekit.testing import Harness

EARLY_DAYS = 60


async def fed(risk: Harness, folder: Path, seed: int, anchor: date) -> dict[str, Any]:
    """The portfolio, delivered as the feed publishes it; its manifest."""
    manifest = Portfolio(seed=seed, anchor=anchor).write(folder / "portfolio.csv")
    book = Book(ENTITY, CURRENCY, SYSTEM)
    report = RowReport()
    with LedgerFile.open(folder / "portfolio.csv", COLUMNS) as file:
        outgoing = list(Sequence.scan(file, Ledger(book), book, report))
    assert report.errors == 0, report.findings[:5]
    await risk.receives_together(*(o.event for o in outgoing), ids=[o.id for o in outgoing])
    return json.loads(json.dumps(manifest, default=str))


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("seed", "anchor"), [(7, date(2026, 10, 30))])
async def test_warnings_come_in_time_clear_and_never_cry_wolf(
    risk: Harness, tmp_path: Path, seed: int, anchor: date
) -> None:
    manifest = await fed(risk, tmp_path, seed, anchor)
    ids = {party_id(SYSTEM, client["number"]): client for client in manifest["clients"]}
    raised = [e for e in await risk.emitted(AlertRaised) if isinstance(e, AlertRaised)]
    closed = {e.alert_id: e for e in await risk.emitted(AlertClosed) if isinstance(e, AlertClosed)}
    by_role: dict[str, list[AlertRaised]] = {"bad": [], "recovers": [], "healthy": []}
    for alert in raised:
        by_role[ids[alert.client_id]["role"]].append(alert)

    assert by_role["healthy"] == []

    bad = next(client for client in ids.values() if client["role"] == "bad")
    first = min(alert.as_of for alert in by_role["bad"])
    assert (date.fromisoformat(bad["story"]["default_date"]) - first).days >= EARLY_DAYS
    assert any(alert.alert_id not in closed for alert in by_role["bad"])

    assert by_role["recovers"]
    assert {closed[alert.alert_id].outcome for alert in by_role["recovers"]} == {AlertOutcome.CLEARED}
    assert len({(alert.client_id, alert.cause_key) for alert in raised}) == len(raised)
