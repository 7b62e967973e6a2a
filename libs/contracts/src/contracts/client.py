"""What client-service tells: who the clients are, where they stand in their lifecycle, what they signed, who serves them."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from pydantic import Field

from contracts.base import Code, Event, Instant, Money, Number, OpenEnum, Publisher, Token, Topic, Value
from contracts.ids import ClientId, ContractId, PartyId, RecordId, StaffId

CLIENT = Publisher("client", Topic("client.events"))


class Stage(StrEnum):
    """Where the relationship stands (closed)."""

    LEAD = "lead"
    PROSPECT = "prospect"
    UNDER_ASSESSMENT = "under_assessment"
    APPROVED = "approved"
    SIGNED = "signed"
    ACTIVE = "active"
    DORMANT = "dormant"
    SUSPENDED = "suspended"
    EXITING = "exiting"
    TERMINATED = "terminated"
    REJECTED = "rejected"
    LOST = "lost"


class LifecycleReason(OpenEnum):
    """Why a client moved to another stage."""

    QUALIFIED = "qualified"
    ASSESSMENT_STARTED = "assessment_started"
    ASSESSMENT_PASSED = "assessment_passed"
    ASSESSMENT_FAILED = "assessment_failed"
    CONTRACT_SIGNED = "contract_signed"
    FIRST_BUSINESS = "first_business"
    NO_BUSINESS = "no_business"
    BUSINESS_RESUMED = "business_resumed"
    RISK_DECISION = "risk_decision"
    CLIENT_REQUEST = "client_request"
    CONTRACT_ENDED = "contract_ended"
    EXPOSURE_CLEARED = "exposure_cleared"
    COMPLIANCE = "compliance"
    OTHER = "other"
    UNKNOWN = "UNKNOWN"


class PartyRole(OpenEnum):
    """What a party is to the factor."""

    CLIENT = "client"
    DEBTOR = "debtor"
    GUARANTOR = "guarantor"
    INSURER = "insurer"
    PARTNER = "partner"
    UNKNOWN = "UNKNOWN"


class SizeClass(OpenEnum):
    """Size of an enterprise by the official classification."""

    MICRO = "micro"
    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"
    UNKNOWN = "UNKNOWN"


class RegistrationScheme(OpenEnum):
    """Which register gave an identifier: unified social credit code, LEI, or a national register."""

    USCC = "uscc"
    LEI = "lei"
    NATIONAL = "national"
    TAX = "tax"
    UNKNOWN = "UNKNOWN"


class Product(OpenEnum):
    """The kind of factoring agreed."""

    DOMESTIC = "domestic"
    INTERNATIONAL = "international"
    REVERSE = "reverse"
    INSURED = "insured"
    SUPPLY_CHAIN = "supply_chain"
    UNKNOWN = "UNKNOWN"


class ContractEndReason(OpenEnum):
    """Why a contract ended."""

    EXPIRED = "expired"
    TERMINATED_BY_CLIENT = "terminated_by_client"
    TERMINATED_BY_FACTOR = "terminated_by_factor"
    REPLACED = "replaced"
    UNKNOWN = "UNKNOWN"


class ExternalNumber(Value):
    """The number another system knows a party by."""

    system: Code = Field(examples=["core-ledger"])
    number: Token = Field(examples=["S-004711"])


class RegistrationId(Value):
    """A public register's identifier of a legal person."""

    scheme: RegistrationScheme
    value: Token = Field(examples=["91310000MA1FL0000X"])


class ClientRegistered(
    Event,
    publisher=CLIENT,
    name="client-registered",
    key="client_id",
    rely=("risk", "engagement", "performance", "ledger", "kyc", "reporting"),
):
    """A party is on file, with the ids it is known by elsewhere; what came under those ids belongs to it."""

    client_id: ClientId
    external_numbers: tuple[ExternalNumber, ...] = ()
    aliases: tuple[PartyId, ...] = Field(default=(), description="party_id of each external number.")
    roles: tuple[PartyRole, ...] = ()
    industry: Code | None = Field(default=None, description="GB/T 4754 or another code list's code.", examples=["C26"])
    size: SizeClass | None = None
    region: Code | None = Field(default=None, description="ISO 3166-2 code.", examples=["CN-SH"])
    registration_ids: tuple[RegistrationId, ...] = ()


class ClientProfileChanged(
    Event,
    publisher=CLIENT,
    name="client-profile-changed",
    key="client_id",
    rely=("risk", "engagement", "performance", "ledger", "kyc", "reporting"),
):
    """A client's record changed; the fields are named, and the values that are not personal are given as they now are."""

    client_id: ClientId
    version: int = Field(ge=1, examples=[3])
    fields: tuple[Code, ...] = Field(examples=[["industry", "aliases"]])
    industry: Code | None = Field(default=None, examples=["C27"])
    size: SizeClass | None = None
    region: Code | None = Field(default=None, examples=["CN-SH"])
    aliases: tuple[PartyId, ...] = Field(default=(), description="All aliases it now has.")


class LifecycleChanged(
    Event,
    publisher=CLIENT,
    name="lifecycle-changed",
    key="client_id",
    rely=("risk", "engagement", "performance", "ledger", "reporting"),
):
    """A client moved to another stage; terminated is the end of the relationship."""

    client_id: ClientId
    from_stage: Stage = Field(examples=["signed"])
    to_stage: Stage = Field(examples=["active"])
    reason: LifecycleReason = Field(examples=["first_business"])


class ContractSigned(
    Event,
    publisher=CLIENT,
    name="contract-signed",
    key="client_id",
    rely=("risk", "engagement", "performance", "ledger", "registry"),
):
    """A factoring contract is in force from its effective date."""

    client_id: ClientId
    contract_id: ContractId
    product: Product
    recourse: bool
    disclosed: bool
    advance_rate: Number = Field(examples=["0.8"])
    limit: Money
    signed_on: date = Field(examples=["2026-03-02"])
    effective_from: date = Field(examples=["2026-03-10"])
    expires_on: date = Field(examples=["2027-03-09"])


class ContractEnded(
    Event,
    publisher=CLIENT,
    name="contract-ended",
    key="client_id",
    rely=("risk", "engagement", "performance", "ledger", "registry"),
):
    """A contract takes no further assignments."""

    client_id: ClientId
    contract_id: ContractId
    ended_on: date = Field(examples=["2027-03-09"])
    reason: ContractEndReason


class RmAssigned(
    Event,
    publisher=CLIENT,
    name="rm-assigned",
    key="client_id",
    rely=("risk", "engagement", "performance"),
):
    """A member of staff answers for the client from the effective moment on; decides who may see it."""

    client_id: ClientId
    staff_id: StaffId
    from_staff_id: StaffId | None = Field(default=None, examples=["0199a7c0-4444-7aaa-8aaa-000000000105"])
    handover_id: RecordId | None = None
    effective_at: Instant
