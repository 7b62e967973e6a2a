"""What the KYC system tells. Screening has a topic of its own that only risk-service may read: no tipping-off."""

from datetime import date, timedelta

from pydantic import Field

from contracts.base import Code, Event, Number, OpenEnum, Publisher, Topic
from contracts.ids import ClientId, PartyId, RecordId

KYC = Publisher("kyc", Topic("kyc.events"))
SCREENING = Publisher("kyc", Topic("kyc.screening.events", retention=timedelta(days=3653), restricted=True))


class KycRisk(OpenEnum):
    """A client's money-laundering risk."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    UNKNOWN = "UNKNOWN"


class ScreeningHit(Event, publisher=SCREENING, name="screening-hit", key="client_id", rely=("risk",)):
    """A client looks like someone on a list. Never to be shown to the client or those who serve it."""

    client_id: ClientId
    screening_id: RecordId
    list_code: Code = Field(examples=["UN-1267"])
    score: Number = Field(examples=["0.93"])


class ScreeningCleared(Event, publisher=SCREENING, name="screening-cleared", key="client_id", rely=("risk",)):
    """A hit was someone else."""

    client_id: ClientId
    screening_id: RecordId
    list_code: Code = Field(examples=["UN-1267"])


class KycCompleted(Event, publisher=KYC, name="kyc-completed", key="client_id", rely=("client", "risk")):
    """A client is known well enough until a date."""

    client_id: ClientId
    review_id: RecordId
    risk_level: KycRisk
    valid_until: date = Field(examples=["2028-11-02"])


class KycExpired(Event, publisher=KYC, name="kyc-expired", key="client_id", rely=("client", "risk", "engagement")):
    """A client is no longer known well enough for new business."""

    client_id: ClientId
    review_id: RecordId
    expired_on: date = Field(examples=["2028-11-02"])


class BeneficialOwnerChanged(
    Event, publisher=KYC, name="beneficial-owner-changed", key="client_id", rely=("client", "risk")
):
    """Others own or control a client; they are named by id."""

    client_id: ClientId
    owner_ids: tuple[PartyId, ...] = Field(description="All owners it now has.")
    changed_on: date = Field(examples=["2026-10-12"])
