"""Two thousand real complaints, filed through the front door, against a formula that shares no code with the service.

The data is read from where it lies and never copied; only dates, categories and answers are used here.
"""

import csv
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.engagement import ComplaintFiled
from servicekit.testing import Harness

from ..words import ACME

FILE = Path(__file__).parents[5] / "shared/data/complaints/complaints.csv"
CHANNELS = {"Web": "portal", "Phone": "phone", "Referral": "regulator", "Postal mail": "letter", "Fax": "letter"}
WORDS = (
    ("fee", "fees"),
    ("credit limit", "limit"),
    ("attempts to collect", "collection"),
    ("debt", "collection"),
    ("report", "privacy"),
    ("fraud", "privacy"),
    ("loan", "funding"),
    ("customer service", "service"),
    ("account", "service"),
)

pytestmark = [
    pytest.mark.skipif(not FILE.exists(), reason="the shared complaints are not on this machine"),
    pytest.mark.timeout(900),
]


def category(row: dict[str, str]) -> str:
    said = f"{row['Issue']} {row['Product']}".lower()
    return next((found for word, found in WORDS if word in said), "other")


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with FILE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


async def test_each_is_filed_with_the_deadline_of_an_independent_formula(
    office: Harness, as_agent: httpx.AsyncClient, rows: list[dict[str, str]]
) -> None:
    assert len(rows) == 2067
    office.clock.set(datetime(2026, 2, 10, tzinfo=UTC))
    expected: Counter[tuple[str, str]] = Counter()
    for number, row in enumerate(rows):
        received = date.fromisoformat(row["Date received"])
        complex_one = row["Company response to consumer"].startswith("In progress")
        noon_in_shanghai = datetime.combine(received, time(12), UTC) - timedelta(hours=8)
        body: dict[str, Any] = {
            "client_id": str(ACME),
            "category": category(row),
            "channel": CHANNELS.get(row["Submitted via"], "regulator"),
            "complexity": "complex" if complex_one else "simple",
            "received_at": noon_in_shanghai.isoformat(),
            "narrative": row["Consumer complaint narrative"][:8000] or None,
        }
        answer = await as_agent.post("/complaints", json=body)
        assert answer.status_code == 201, (number, answer.text)
        due = date.fromordinal(received.toordinal() + (30 if complex_one else 15))
        assert answer.json()["due_on"] == due.isoformat(), number
        expected[category(row), due.isoformat()] += 1
    totals = (await as_agent.get("/complaints/totals")).json()
    assert totals["total"] == 2067
    by_category: Counter[str] = Counter()
    for (name, _), count in expected.items():
        by_category[name] += count
    assert totals["by_category"] == dict(by_category)
    told = Counter(
        (e.category.value, e.due_on.isoformat())
        for e in await office.emitted(ComplaintFiled)
        if isinstance(e, ComplaintFiled)
    )
    assert told == expected
