"""What the collection system tells: cases, suits, and what they bring in. Keyed by the seller."""

from datetime import date

from pydantic import Field

from contracts.base import Code, Event, Money, OpenEnum, Publisher, Topic
from contracts.ids import ClientId, DebtorId, ReceivableId, RecordId

COLLECTION = Publisher("collection", Topic("collection.events"))


class CaseOutcome(OpenEnum):
    """How a case ended."""

    RECOVERED = "recovered"
    PARTLY_RECOVERED = "partly_recovered"
    SETTLED = "settled"
    GIVEN_UP = "given_up"
    WITHDRAWN = "withdrawn"
    UNKNOWN = "UNKNOWN"


class SuitOutcome(OpenEnum):
    """How a court decided."""

    WON = "won"
    PARTLY_WON = "partly_won"
    LOST = "lost"
    SETTLED = "settled"
    DISMISSED = "dismissed"
    UNKNOWN = "UNKNOWN"


class Case(Event):
    """What every event of a collection case says."""

    client_id: ClientId
    case_id: RecordId
    debtor_id: DebtorId


class CollectionCaseOpened(
    Case, publisher=COLLECTION, name="case-opened", key="client_id", rely=("client", "risk", "engagement")
):
    """Receivables are being collected."""

    request_id: RecordId | None = None
    receivable_ids: tuple[ReceivableId, ...]
    amount: Money


class CollectionCaseClosed(
    Case, publisher=COLLECTION, name="case-closed", key="client_id", rely=("client", "risk", "engagement")
):
    """A case is over."""

    outcome: CaseOutcome
    closed_on: date = Field(examples=["2027-03-31"])


class SuitFiled(Case, publisher=COLLECTION, name="suit-filed", key="client_id", rely=("client", "risk", "engagement")):
    """A suit was filed against a debtor."""

    suit_id: RecordId
    court: Code = Field(examples=["CN-SH-0115"])
    amount: Money
    filed_on: date = Field(examples=["2026-12-10"])


class SuitDecided(
    Case, publisher=COLLECTION, name="suit-decided", key="client_id", rely=("client", "risk", "engagement")
):
    """A court decided."""

    suit_id: RecordId
    outcome: SuitOutcome
    awarded: Money | None = None
    decided_on: date = Field(examples=["2027-06-18"])


class RecoveryReceived(
    Case, publisher=COLLECTION, name="recovery-received", key="client_id", rely=("client", "risk", "reporting")
):
    """A case brought money in, at a cost."""

    amount: Money
    cost: Money
    received_on: date = Field(examples=["2027-01-20"])
