"""What the sources of external information tell: the economy, industries, countries, and signals about companies."""

from datetime import date

from pydantic import Field

from contracts.base import Code, Country, Event, Hash, Number, OpenEnum, Period, Publisher, Topic
from contracts.ids import ClientId, PartyId, RecordId
from contracts.risk import Severity

MARKET = Publisher("market", Topic("market.events"))


class MacroKind(OpenEnum):
    """What kind of figure it is."""

    INTEREST_RATE = "interest_rate"
    EXCHANGE_RATE = "exchange_rate"
    INFLATION = "inflation"
    GROWTH = "growth"
    UNKNOWN = "UNKNOWN"


class Outlook(OpenEnum):
    """Where something is heading."""

    POSITIVE = "positive"
    STABLE = "stable"
    NEGATIVE = "negative"
    UNKNOWN = "UNKNOWN"


class SignalKind(OpenEnum):
    """What was heard of a company."""

    LAWSUIT = "lawsuit"
    INSOLVENCY = "insolvency"
    NEWS = "news"
    POLICY = "policy"
    DISHONEST_DEBTOR = "dishonest_debtor"
    MANAGEMENT_CHANGE = "management_change"
    UNKNOWN = "UNKNOWN"


class MacroIndicatorPublished(
    Event, publisher=MARKET, name="macro-indicator-published", key="indicator", rely=("risk", "reporting")
):
    """An economic figure is out."""

    indicator: Code = Field(examples=["CN-LPR-1Y"])
    kind: MacroKind
    period: Period
    value: Number = Field(examples=["0.031"])
    published_on: date = Field(examples=["2026-10-20"])


class IndustryOutlookPublished(
    Event, publisher=MARKET, name="industry-outlook-published", key="industry", rely=("client", "risk", "reporting")
):
    """Where an industry is heading."""

    industry: Code = Field(examples=["C26"])
    outlook: Outlook
    score: Number | None = Field(default=None, examples=["58"])
    valid_from: date = Field(examples=["2026-10-01"])


class CountryRiskPublished(
    Event, publisher=MARKET, name="country-risk-published", key="country", rely=("risk", "reporting")
):
    """How risky a country is."""

    country: Country
    grade: Code = Field(examples=["A2"])
    outlook: Outlook | None = None
    valid_from: date = Field(examples=["2026-07-01"])


class CompanySignalPublished(
    Event, publisher=MARKET, name="company-signal-published", key="party_id", rely=("client", "risk", "engagement")
):
    """Something was heard of a company; the source keeps the text under its reference."""

    party_id: PartyId
    signal_id: RecordId
    kind: SignalKind
    severity: Severity = Field(examples=["warning"])
    provider: Code = Field(examples=["court-gazette"])
    happened_on: date = Field(examples=["2026-10-27"])


class CreditReportReceived(Event, publisher=MARKET, name="credit-report-received", key="client_id", rely=("risk",)):
    """A bureau's report on a client is on file, fetched under the authorisation named."""

    client_id: ClientId
    report_id: RecordId
    authorisation_id: RecordId
    as_of: date = Field(examples=["2026-10-31"])
    sha256: Hash
    score: Number | None = Field(default=None, examples=["702"])
