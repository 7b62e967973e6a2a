"""What the registry of movables financing (中登) answers: searches, registrations and their life."""

from datetime import date

from pydantic import Field

from contracts.base import Code, Count, Event, Hash, Instant, OpenEnum, Publisher, Token, Topic
from contracts.ids import ClientId, ContractId, RecordId

REGISTRY = Publisher("registry", Topic("registry.events"))


class CancellationReason(OpenEnum):
    """Why a registration was cancelled."""

    SETTLED = "settled"
    ERROR = "error"
    OBJECTION = "objection"
    COURT = "court"
    UNKNOWN = "UNKNOWN"


class Filing(Event):
    """What every answer about a registration says."""

    client_id: ClientId
    registry_number: Token = Field(examples=["0427-2026-1103-0001"])


class RegistrySearched(Event, publisher=REGISTRY, name="searched", key="client_id", rely=("risk",)):
    """A search for earlier registrations against a client was answered."""

    client_id: ClientId
    search_id: RecordId
    found: Count = Field(examples=[0])
    certificate_hash: Hash


class AssignmentRegistered(Filing, publisher=REGISTRY, name="registered", key="client_id", rely=("risk", "ledger")):
    """An assignment is registered; its rank counts from this moment."""

    contract_id: ContractId | None = None
    registered_at: Instant
    expires_on: date = Field(examples=["2031-11-02"])
    description_hash: Hash


class RegistrationExtended(Filing, publisher=REGISTRY, name="extended", key="client_id", rely=("risk", "ledger")):
    """A registration runs longer."""

    expires_on: date = Field(examples=["2036-11-02"])


class RegistrationAmended(Filing, publisher=REGISTRY, name="amended", key="client_id", rely=("risk", "ledger")):
    """A registration describes something else; what was added ranks from now."""

    amended_at: Instant
    description_hash: Hash


class RegistrationCancelled(Filing, publisher=REGISTRY, name="cancelled", key="client_id", rely=("risk", "ledger")):
    """A registration no longer stands."""

    cancelled_at: Instant
    reason: CancellationReason


class RegistrationObjected(Filing, publisher=REGISTRY, name="objected", key="client_id", rely=("risk", "engagement")):
    """Someone objected to a registration."""

    objected_at: Instant
    ground: Code = Field(examples=["earlier-right"])
