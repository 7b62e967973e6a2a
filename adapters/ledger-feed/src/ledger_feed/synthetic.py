"""A made-up factoring portfolio for demonstration and tests, labelled synthetic in every name.

It is a function of its options: no clock, no float arithmetic that a platform could round otherwise, only the uniform
numbers of Python's generator, whose sequence is documented as stable. One client goes bad and defaults at a stated
date, one worsens and recovers, the others stay plainly healthy: late, disputed and credited invoices do not pile up.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any, Final
from uuid import UUID, uuid5

from contracts import party_id
from ledger_feed.ledger import COLUMNS
from ledger_feed.uscc import made_up

SYSTEM: Final = "synthetic-ledger"
ENTITY: Final = "DEMO-FACTOR"
CURRENCY: Final = "CNY"
STAFF_SPACE: Final = UUID("3d0b8f7e-0f43-5a35-9a0e-7f6d6f2b9a11")

SEASON: Final = (102, 91, 98, 99, 100, 101, 99, 100, 102, 103, 104, 105)
"""Percent of the usual turnover, January to December: a dip at the Spring Festival, a rise towards the year's end."""
DEFAULT_DAYS: Final = 91
"""A funding more than 90 days overdue has defaulted."""
LAST_QUIET_DAYS: Final = 14
"""The default lies at least so long before the anchor."""
GRACE_DAYS: Final = 7
MATURITY_DAYS: Final = 30
"""From the last due date of what is funded to the funding's maturity."""

FIRST_WORDS: Final = (
    "Harbour", "Lakeside", "Northwind", "Jade", "Riverbend", "Golden Crane", "Silver Pine", "Red Maple", "Blue Ridge",
    "Morning Star", "Evergreen", "Stone Bridge", "White Heron", "Amber", "Orchid", "Bamboo", "Summit", "Coral", "Lotus",
    "Falcon", "Sunrise", "Willow", "Granite", "Meadow",
)  # fmt: skip
TRADES: Final = (
    ("Textiles", "C17"), ("Foods", "C14"), ("Machinery", "C34"), ("Electronics", "C39"), ("Chemicals", "C26"),
    ("Packaging", "C22"), ("Furniture", "C21"), ("Metals", "C33"), ("Logistics", "G58"), ("Plastics", "C29"),
)  # fmt: skip
REGIONS: Final = ("CN-SD", "CN-ZJ", "CN-JS", "CN-GD", "CN-SH", "CN-FJ")
BUYERS: Final = ("Retail", "Trading", "Stores", "Motors", "Construction", "Appliances", "Import", "Wholesale")


class Role(StrEnum):
    """What becomes of a client."""

    BAD = "bad"
    RECOVERS = "recovers"
    HEALTHY = "healthy"


@dataclass(frozen=True, slots=True)
class Client:
    """A made-up seller."""

    nth: int
    number: str
    name: str
    industry: str
    region: str
    size: str
    role: Role
    since: date
    weekday: int
    term: int
    base: int
    """A usual invoice, in cents."""
    advance: int
    """Percent of the invoices that is paid in advance."""
    debtors: tuple[int, ...]


@dataclass(slots=True)
class Entry:
    """A posting to be; `place` orders those of one client and day."""

    day: date
    client: int
    place: int
    fields: dict[str, str]
    reverses: Entry | None = None
    number: str = ""


@dataclass(slots=True)
class Invoice:
    """An assigned invoice and when the debtor pays it, if ever."""

    ref: str
    debtor: str
    amount: int
    issued: date
    due: date
    paid_on: date | None
    void: bool = False


@dataclass(slots=True)
class Story:
    """The dates that a test or a demonstration wants to know."""

    worsens_from: date
    worst_on: date
    normal_from: date | None = None
    stops_on: date | None = None
    default_date: date | None = None
    defaulted_funding: str | None = None


@dataclass(slots=True)
class Calm:
    """Keeps a healthy client's little mishaps apart: one at a time of each kind."""

    late_until: date
    disputed_until: date
    credited_until: date


def weekday_from(day: date) -> date:
    """The day, or the Monday after a weekend."""
    return day + timedelta(days=(0, 0, 0, 0, 0, 2, 1)[day.weekday()])


def weekday_until(day: date) -> date:
    """The day, or the Friday before a weekend."""
    return day - timedelta(days=(0, 0, 0, 0, 0, 1, 2)[day.weekday()])


def yuan(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


@dataclass(slots=True)
class Portfolio:
    """Made from its options when `write` is called."""

    seed: int
    anchor: date
    clients: int = 20
    debtors: int = 40
    months: int = 21
    _entries: list[Entry] = field(default_factory=list[Entry])
    _stories: dict[int, Story] = field(default_factory=dict[int, Story])

    def write(self, out: Path) -> dict[str, Any]:
        """Writes the CSV (gzipped if its name ends so) and `<name>.manifest.json` beside it; returns the manifest."""
        self._entries, self._stories = [], {}
        firms = [self._client(nth) for nth in range(self.clients)]
        for firm in firms:
            self._live(firm)
        text = self._csv()
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(gzip.compress(text, mtime=0) if out.suffix == ".gz" else text)
        manifest = self._manifest(firms, out.name, hashlib.sha256(text).hexdigest())
        path = out.with_name(out.name.removesuffix(".gz").removesuffix(".csv") + ".manifest.json")
        path.write_text(json.dumps(manifest, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        return manifest

    @property
    def prefix(self) -> str:
        """Begins all of this portfolio's record numbers, so that two portfolios share none."""
        return f"SYN{self.seed}-{self.anchor:%y%m%d}"

    @property
    def first_day(self) -> date:
        return self.anchor - timedelta(days=self.months * 61 // 2)

    # --- who ------------------------------------------------------------------------------------------------------

    def _client(self, nth: int) -> Client:
        rng = Random(f"{self.seed}:client:{nth}")  # nosec B311 # noqa: S311 made-up data, not a secret
        role = (Role.BAD, Role.RECOVERS)[nth] if nth < 2 else Role.HEALTHY
        trade, industry = TRADES[nth % len(TRADES)]
        word = FIRST_WORDS[nth % len(FIRST_WORDS)]
        again = nth // len(FIRST_WORDS)
        pool = list(range(self.debtors))
        chosen = tuple(pool.pop(_below(rng, len(pool))) for _ in range(7))
        return Client(
            nth=nth,
            number=f"SYN-C{nth + 1:03d}",
            name=f"Synthetic – {word} {trade}" + (f" {again + 1}" if again else ""),
            industry=industry,
            region=REGIONS[_below(rng, len(REGIONS))],
            size=("small", "small", "medium")[_below(rng, 3)],
            role=role,
            since=weekday_from(self.first_day + timedelta(days=_below(rng, 60) if role is Role.HEALTHY else 0)),
            weekday=_below(rng, 5),
            term=60 if role is Role.BAD else 45 if role is Role.RECOVERS else (45, 60)[_below(rng, 2)],
            base=4_000_000 + 100_000 * _below(rng, 120),
            advance=(70, 75, 80)[_below(rng, 3)],
            debtors=chosen,
        )

    # --- what happens -----------------------------------------------------------------------------------------------

    def _live(self, firm: Client) -> None:
        """All postings of one client from its first batch to the anchor."""
        rng = Random(f"{self.seed}:life:{firm.nth}")  # nosec B311 # noqa: S311 made-up data, not a secret
        story = self._story(firm)
        calm = Calm(firm.since, firm.since, firm.since)
        funds: dict[date, int] = defaultdict(int)
        assigned: dict[tuple[int, int], int] = defaultdict(int)
        batch = firm.since + timedelta(days=(firm.weekday - firm.since.weekday()) % 7)
        nth = 0
        while batch <= self.anchor and not (story and story.stops_on and batch > story.stops_on):
            stranded = bool(story and story.default_date and self._maturity(firm, batch) >= self._fatal(story))
            invoices = [
                self._invoice(firm, rng, calm, story, batch, nth, place, stranded) for place in range(4 + nth % 2)
            ]
            assigned[batch.year, batch.month] += sum(invoice.amount for invoice in invoices if not invoice.void)
            if nth % 7 != 6:
                self._fund(firm, batch, nth, invoices, funds, story)
            batch += timedelta(days=7)
            nth += 1
        self._fees(firm, funds, assigned)

    def _story(self, firm: Client) -> Story | None:
        if firm.role is Role.BAD:
            batch = self.anchor
            while True:
                batch -= timedelta(days=1)
                if batch.weekday() == firm.weekday and (batch - firm.since).days >= 0:
                    default = self._maturity(firm, batch) + timedelta(days=DEFAULT_DAYS)
                    if default <= self.anchor - timedelta(days=LAST_QUIET_DAYS) and self._funded(firm, batch):
                        break
            story = Story(
                worsens_from=default - timedelta(days=340),
                worst_on=default - timedelta(days=180),
                stops_on=default - timedelta(days=130),
                default_date=default,
            )
        elif firm.role is Role.RECOVERS:
            middle = self.anchor - timedelta(days=330)
            story = Story(
                worsens_from=middle - timedelta(days=90),
                worst_on=middle,
                normal_from=middle + timedelta(days=90),
            )
        else:
            return None
        self._stories[firm.nth] = story
        return story

    def _maturity(self, firm: Client, batch: date) -> date:
        return weekday_from(batch + timedelta(days=firm.term + MATURITY_DAYS))

    def _funded(self, firm: Client, batch: date) -> bool:
        first = firm.since + timedelta(days=(firm.weekday - firm.since.weekday()) % 7)
        return ((batch - first).days // 7) % 7 != 6

    def _fatal(self, story: Story) -> date:
        """The maturity of the funding that is the first never to be repaid."""
        assert story.default_date is not None
        return story.default_date - timedelta(days=DEFAULT_DAYS)

    @staticmethod
    def _severity(story: Story | None, day: date) -> int:
        """How bad it is on that day, 0 to 100."""
        if story is None or day <= story.worsens_from:
            return 0
        if day <= story.worst_on:
            return 100 * (day - story.worsens_from).days // (story.worst_on - story.worsens_from).days
        if story.normal_from is None:
            return 100
        return max(0, 100 * (story.normal_from - day).days // (story.normal_from - story.worst_on).days)

    def _invoice(
        self,
        firm: Client,
        rng: Random,
        calm: Calm,
        story: Story | None,
        batch: date,
        nth: int,
        place: int,
        stranded: bool,
    ) -> Invoice:
        buyer = (
            firm.debtors[0] if place == 0 else firm.debtors[1 + (nth * 3 + place + nth // 2) % (len(firm.debtors) - 1)]
        )
        weight = 150 if place == 0 else 100
        noise = 90 + _below(rng, 21)
        amount = firm.base * weight * noise * SEASON[batch.month - 1] // 1_000_000 + _below(rng, 100)
        issued = batch - timedelta(days=_below(rng, 3))
        due = batch + timedelta(days=firm.term)
        invoice = Invoice(
            ref=f"{self.prefix}-R{firm.nth + 1:03d}{nth:03d}{place}",
            debtor=f"SYN-D{buyer + 1:03d}",
            amount=amount,
            issued=issued,
            due=due,
            paid_on=weekday_until(due - timedelta(days=buyer % 3)),
        )
        self._post(
            firm, batch, 10, "receivable-assigned",
            receivable=invoice.ref, debtor=invoice.debtor,
            document=f"{30_000_000 + firm.nth * 10_000 + nth * 10 + place}",
            issue_date=issued.isoformat(), due_date=due.isoformat(), amount=yuan(amount), contract=self._contract(firm),
        )  # fmt: skip
        severity = self._severity(story, batch)
        if severity:
            self._trouble(firm, rng, invoice, batch, severity, stranded)
        else:
            self._mishap(firm, rng, calm, invoice, batch, place)
        if not invoice.void:
            self._collect(firm, rng, invoice, severity)
        return invoice

    def _mishap(self, firm: Client, rng: Random, calm: Calm, invoice: Invoice, batch: date, place: int) -> None:
        """What happens to a healthy client's invoice: mostly nothing, and never to the largest debtor's."""
        chance = _below(rng, 1000)
        if place == 0:
            return
        if chance < 40 and invoice.due > calm.late_until:
            invoice.paid_on = weekday_from(invoice.due + timedelta(days=3 + _below(rng, 10)))
            calm.late_until = invoice.paid_on + timedelta(days=7)
        elif chance < 46 and batch > max(calm.disputed_until, firm.since + timedelta(days=60)):
            raised = weekday_from(batch + timedelta(days=6 + _below(rng, 6)))
            settled = weekday_from(raised + timedelta(days=10 + _below(rng, 10)))
            self._dispute(firm, invoice, invoice.amount, raised, settled, "debtor_pays")
            calm.disputed_until = settled + timedelta(days=60)
        elif chance < 66 and batch > calm.credited_until:
            self._credit(firm, invoice, invoice.amount * (10 + _below(rng, 20)) // 100, batch + timedelta(days=8))
            calm.credited_until = batch + timedelta(days=30)
        elif chance < 69:
            self._void(firm, invoice, weekday_from(batch + timedelta(days=2)))

    def _trouble(self, firm: Client, rng: Random, invoice: Invoice, batch: date, severity: int, stranded: bool) -> None:
        """What happens to an invoice of a client in difficulty, the more so the higher the severity."""
        bad = firm.role is Role.BAD
        late, disputed, credited = _below(rng, 100), _below(rng, 1000), _below(rng, 1000)
        if late < severity * 90 // 100:
            delay = 4 + severity * (58 if bad else 20) // 100 + _below(rng, 6)
            invoice.paid_on = weekday_from(invoice.due + timedelta(days=delay))
        if stranded and (_below(rng, 100) < 60 or invoice.ref[-1] in "01"):
            invoice.paid_on = None
        if disputed < severity * (35 if bad else 6) // 10:
            raised = weekday_from(batch + timedelta(days=10 + _below(rng, 20)))
            settled = weekday_from(raised + timedelta(days=(35 if bad else 20) + _below(rng, 15)))
            outcome = "reduced" if bad else "debtor_pays"
            self._dispute(firm, invoice, invoice.amount, raised, None if stranded else settled, outcome)
            if stranded:
                invoice.paid_on = None
            elif bad:
                self._credit(firm, invoice, invoice.amount * (15 + _below(rng, 20)) // 100, settled)
        elif credited < severity * (45 if bad else 5) // 10:
            share = (20 + _below(rng, 35)) if bad else (10 + _below(rng, 15))
            self._credit(firm, invoice, invoice.amount * share // 100, weekday_from(batch + timedelta(days=14)))

    def _dispute(
        self, firm: Client, invoice: Invoice, amount: int, raised: date, settled: date | None, outcome: str
    ) -> None:
        about = {"receivable": invoice.ref, "dispute": invoice.ref + "-D"}
        self._post(firm, raised, 20, "receivable-disputed", **about, debtor=invoice.debtor, amount=yuan(amount))
        if settled:
            self._post(firm, settled, 21, "dispute-settled", **about, detail=outcome)
            if invoice.paid_on and invoice.paid_on < settled:
                invoice.paid_on = settled

    def _credit(self, firm: Client, invoice: Invoice, amount: int, day: date) -> None:
        day = weekday_from(day)
        self._post(
            firm, day, 22, "credit-note-issued",
            receivable=invoice.ref, debtor=invoice.debtor, document=f"CN-{invoice.ref}",
            issue_date=day.isoformat(), amount=yuan(amount),
        )  # fmt: skip
        invoice.amount -= amount
        if invoice.paid_on and invoice.paid_on < day:
            invoice.paid_on = day

    def _void(self, firm: Client, invoice: Invoice, day: date) -> None:
        invoice.void = True
        self._post(
            firm, day, 23, "invoice-voided",
            receivable=invoice.ref, debtor=invoice.debtor, document=f"V-{invoice.ref}",
            issue_date=invoice.issued.isoformat(), amount=yuan(invoice.amount),
        )  # fmt: skip

    def _collect(self, firm: Client, rng: Random, invoice: Invoice, severity: int) -> None:
        """The debtor's payment, the overdue mark before it, and now and then one booked wrong and put right."""
        about = {"receivable": invoice.ref, "debtor": invoice.debtor, "amount": yuan(invoice.amount)}
        if invoice.paid_on is None or invoice.paid_on > invoice.due:
            marked = weekday_from(invoice.due + timedelta(days=1))
            self._post(firm, marked, 1, "receivable-overdue", **about, due_date=invoice.due.isoformat())
        if invoice.paid_on is None:
            return
        collected = self._post(firm, invoice.paid_on, 30, "receivable-collected", **about)
        if _below(rng, 1000) < 3 and not severity and invoice.paid_on < invoice.due:
            mended = weekday_from(invoice.paid_on + timedelta(days=1))
            if mended <= invoice.due:
                undone = self._post(
                    firm, mended, 31, "posting-reversed", reverses_kind="receivable-collected",
                    amount=about["amount"], value_date=invoice.paid_on.isoformat(),
                )  # fmt: skip
                undone.reverses = collected
                self._post(firm, mended, 32, "receivable-collected", **about)

    def _fund(
        self, firm: Client, batch: date, nth: int, invoices: list[Invoice], funds: dict[date, int], story: Story | None
    ) -> None:
        """A funding against a batch, repaid as the batch is collected."""
        funded = [invoice for invoice in invoices if not invoice.void]
        amount = sum(invoice.amount for invoice in funded) * firm.advance // 100 // 100_000 * 100_000
        ref, maturity = f"{self.prefix}-F{firm.nth + 1:03d}{nth:03d}", self._maturity(firm, batch)
        self._post(
            firm, batch, 11, "funding-drawn", funding=ref, receivable=" ".join(invoice.ref for invoice in funded),
            amount=yuan(amount), due_date=maturity.isoformat(), days=str(GRACE_DAYS),
        )  # fmt: skip
        funds[batch] += amount
        if story and story.default_date and maturity == self._fatal(story):
            story.defaulted_funding = ref
        payments: dict[date, int] = defaultdict(int)
        for invoice in funded:
            if invoice.paid_on:
                payments[invoice.paid_on] += invoice.amount
        owed = amount
        repaid: list[tuple[date, int]] = []
        for day in sorted(payments):
            part = min(owed, payments[day])
            if part:
                repaid.append((day, part))
                owed -= part
        for day, part in repaid:
            self._post(firm, day, 40, "funding-repaid", funding=ref, amount=yuan(part))
            funds[day] -= part
        for days in (1, 31, 61, DEFAULT_DAYS):
            day = weekday_from(maturity + timedelta(days=days))
            open_ = amount - sum(part for when, part in repaid if when < day)
            if open_ > 0:
                self._post(
                    firm, day, 2, "funding-overdue", funding=ref, amount=yuan(open_), days=str((day - maturity).days)
                )

    def _fees(self, firm: Client, funds: dict[date, int], assigned: dict[tuple[int, int], int]) -> None:
        """At each month's end a service fee on what was assigned and interest on the funds in use."""
        day = firm.since.replace(day=1)
        while True:
            following = (day + timedelta(days=32)).replace(day=1)
            end = weekday_until(following - timedelta(days=1))
            if end > self.anchor:
                return
            if turnover := assigned[day.year, day.month]:
                self._post(firm, end, 50, "fee-charged", detail="service", amount=yuan(max(1, turnover * 4 // 1000)))
            in_use = sum(amount for when, amount in funds.items() if when <= end)
            if in_use > 0:
                self._post(firm, end, 51, "fee-charged", detail="interest", amount=yuan(max(1, in_use * 5 // 1000)))
            day = following

    def _post(self, firm: Client, day: date, place: int, kind: str, **fields: str) -> Entry:
        entry = Entry(day, firm.nth, place, {"kind": kind, "client": firm.number, **fields})
        if firm.since <= day <= self.anchor:
            self._entries.append(entry)
        return entry

    # --- what is written ----------------------------------------------------------------------------------------------

    def _csv(self) -> bytes:
        self._entries.sort(key=lambda entry: (entry.day, entry.client, entry.place))
        for nth, entry in enumerate(self._entries, 1):
            entry.number = f"{self.prefix}-P{nth:06d}"
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for entry in self._entries:
            told = {"posting": entry.number, "business_date": entry.day.isoformat(), **entry.fields}
            if entry.reverses:
                told["reverses"] = entry.reverses.number
            writer.writerow(told.get(column, "") for column in COLUMNS)
        return text.getvalue().encode()

    def _contract(self, firm: Client) -> str:
        return f"SYN-FC-{firm.nth + 1:03d}"

    def _manifest(self, firms: list[Client], file: str, sha256: str) -> dict[str, Any]:
        staff = self._staff()
        managers = [person for person in staff if person["role"] == "relationship_manager"]
        return {
            "synthetic": True,
            "label": "Synthetic portfolio: generated by code, no real firm or person",
            "seed": self.seed,
            "anchor": self.anchor.isoformat(),
            "first_day": self.first_day.isoformat(),
            "file": file,
            "shape": "ledger",
            "rows": len(self._entries),
            "sha256": sha256,
            "entity": ENTITY,
            "currency": CURRENCY,
            "system": SYSTEM,
            "units": [
                {
                    "unit_id": ENTITY, "kind": "entity", "parent": None, "team_id": None,
                    "name": "Synthetic – Demo Factor",
                    "calendar": "CN", "time_zone": "Asia/Shanghai", "currency": CURRENCY,
                },
                *(
                    {"unit_id": unit, "kind": "team", "parent": ENTITY, "team_id": str(_staff_id(unit)), "name": name}
                    for unit, name in TEAMS
                ),
            ],
            "staff": staff,
            "clients": [self._told(firm, managers[firm.nth % len(managers)]) for firm in firms],
            "debtors": [
                {
                    "number": f"SYN-D{nth + 1:03d}",
                    "party_id": str(party_id(SYSTEM, f"SYN-D{nth + 1:03d}")),
                    "name": f"Synthetic – Debtor {nth + 1:02d} {BUYERS[nth % len(BUYERS)]}",
                    "identifiers": [{"scheme": "uscc", "value": made_up(5_000 + nth)}],
                }
                for nth in range(self.debtors)
            ],
        }  # fmt: skip

    def _told(self, firm: Client, manager: dict[str, str]) -> dict[str, Any]:
        story = self._stories.get(firm.nth)
        return {
            "number": firm.number,
            "party_id": str(party_id(SYSTEM, firm.number)),
            "name": firm.name,
            "industry": firm.industry,
            "region": firm.region,
            "size": firm.size,
            "identifiers": [{"scheme": "uscc", "value": made_up(1_000 + firm.nth)}],
            "role": firm.role.value,
            "since": firm.since.isoformat(),
            "rm_id": manager["staff_id"],
            "team_id": manager["team_id"],
            "debtors": [f"SYN-D{nth + 1:03d}" for nth in firm.debtors],
            "contract": {
                "number": self._contract(firm),
                "product": "domestic",
                "recourse": firm.nth % 3 != 0,
                "disclosed": True,
                "advance_rate": f"0.{firm.advance}",
                "limit": {"amount": yuan(firm.base * 50 // 1_000_000 * 1_000_000), "currency": CURRENCY},
                "signed_on": firm.since.isoformat(),
                "expires_on": firm.since.replace(year=firm.since.year + 4, day=1).isoformat(),
            },
            "story": None
            if story is None
            else {
                "worsens_from": story.worsens_from.isoformat(),
                "worst_on": story.worst_on.isoformat(),
                "normal_from": story.normal_from.isoformat() if story.normal_from else None,
                "stops_on": story.stops_on.isoformat() if story.stops_on else None,
                "default_date": story.default_date.isoformat() if story.default_date else None,
                "defaulted_funding": story.defaulted_funding,
            },
        }

    def _staff(self) -> list[dict[str, str]]:
        joined = (self.first_day - timedelta(days=200)).isoformat()
        return [
            {
                "staff_id": str(_staff_id(code)),
                "name": name,
                "role": role,
                "team_id": str(_staff_id(TEAMS[team][0])),
                "joined_on": joined,
            }
            for code, name, role, team in STAFF
        ]


TEAMS: Final = (("DEMO-FACTOR-NORTH", "Synthetic – Team North"), ("DEMO-FACTOR-SOUTH", "Synthetic – Team South"))
STAFF: Final = (
    ("rm-1", "Synthetic RM One", "relationship_manager", 0),
    ("rm-2", "Synthetic RM Two", "relationship_manager", 0),
    ("rm-3", "Synthetic RM Three", "relationship_manager", 1),
    ("rm-4", "Synthetic RM Four", "relationship_manager", 1),
    ("rm-5", "Synthetic RM Five", "relationship_manager", 1),
    ("lead-north", "Synthetic Lead North", "team_lead", 0),
    ("lead-south", "Synthetic Lead South", "team_lead", 1),
    ("risk-officer", "Synthetic Risk Officer", "risk_officer", 0),
    ("service-agent", "Synthetic Service Agent", "service_agent", 0),
)


def _staff_id(code: str) -> UUID:
    return uuid5(STAFF_SPACE, code)


def _below(rng: Random, bound: int) -> int:
    return int(rng.random() * bound)
