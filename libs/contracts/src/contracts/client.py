"""What client-service tells: who the clients are, where they stand, what they signed, who serves them."""

from datetime import date
from enum import StrEnum

from pydantic import Field

from contracts.base import Code, Event, Hash, Instant, Money, Number, OpenEnum, Publisher, Token, Topic, Value, Version
from contracts.ids import ClientId, ContractId, PartyId, PersonId, RecordId, StaffId

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
    """A client's record changed; the fields are named, and values that are not personal are given."""

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


class LeadSource(OpenEnum):
    """How a lead came to us."""

    MARKET_RESEARCH = "market_research"
    REFERRAL = "referral"
    ADVERTISING = "advertising"
    ONLINE = "online"
    EXHIBITION = "exhibition"
    PARTNER = "partner"
    UNKNOWN = "UNKNOWN"


class LostReason(OpenEnum):
    """Why a lead came to nothing."""

    PRICE = "price"
    COMPETITOR = "competitor"
    NO_NEED = "no_need"
    NOT_ELIGIBLE = "not_eligible"
    NO_ANSWER = "no_answer"
    OTHER = "other"
    UNKNOWN = "UNKNOWN"


class Relation(OpenEnum):
    """How another party stands to a client."""

    PARENT = "parent"
    SUBSIDIARY = "subsidiary"
    SAME_CONTROLLER = "same_controller"
    GUARANTOR = "guarantor"
    SHAREHOLDER = "shareholder"
    TRADE_PARTNER = "trade_partner"
    COMPETITOR = "competitor"
    UNKNOWN = "UNKNOWN"


class SuspensionReason(OpenEnum):
    """Why a contract takes no new business for now."""

    RISK_DECISION = "risk_decision"
    COMPLIANCE = "compliance"
    CLIENT_REQUEST = "client_request"
    OTHER = "other"
    UNKNOWN = "UNKNOWN"


class NeedKind(OpenEnum):
    """What a client needs."""

    FUNDING = "funding"
    COLLECTION = "collection"
    CREDIT_PROTECTION = "credit_protection"
    LEDGER_ADMINISTRATION = "ledger_administration"
    FOREIGN_TRADE = "foreign_trade"
    ADVICE = "advice"
    TRAINING = "training"
    UNKNOWN = "UNKNOWN"


class RecommendationAnswer(OpenEnum):
    """What a client made of a recommendation."""

    ACCEPTED = "accepted"
    DECLINED = "declined"
    LATER = "later"
    EXPIRED = "expired"
    UNKNOWN = "UNKNOWN"


class ConsentPurpose(OpenEnum):
    """What a contact person's data may be used for."""

    CONTRACT = "contract"
    MARKETING = "marketing"
    SURVEY = "survey"
    CREDIT_REPORT = "credit_report"
    TRAINING = "training"
    UNKNOWN = "UNKNOWN"


class ErasureOutcome(OpenEnum):
    """Whether a person's data are gone, or kept under lock because a law says so."""

    ERASED = "erased"
    RESTRICTED = "restricted"
    UNKNOWN = "UNKNOWN"


class DocumentKind(OpenEnum):
    """What a document is."""

    CONTRACT = "contract"
    NOTICE = "notice"
    IDENTITY = "identity"
    CREDIT = "credit"
    FINANCIAL_STATEMENT = "financial_statement"
    AUTHORISATION = "authorisation"
    OTHER = "other"
    UNKNOWN = "UNKNOWN"


class ValueComponent(Value):
    """One indicator group's part of a value score."""

    indicator: Code = Field(examples=["profitability"])
    score: Number = Field(examples=["72.5"])
    weight: Number | None = Field(default=None, examples=["0.35"])


class LeadCaptured(Event, publisher=CLIENT, name="lead-captured", key="client_id", rely=("performance", "reporting")):
    """A possible client is on file; it keeps this id if it becomes one."""

    client_id: ClientId
    source: LeadSource
    campaign: Code | None = Field(default=None, examples=["2026-spring-fair"])
    referrer_id: PartyId | None = None
    industry: Code | None = Field(default=None, examples=["C26"])
    region: Code | None = Field(default=None, examples=["CN-SH"])


class LeadQualified(
    Event, publisher=CLIENT, name="lead-qualified", key="client_id", rely=("engagement", "performance", "reporting")
):
    """A lead is worth pursuing, and someone does."""

    client_id: ClientId
    staff_id: StaffId | None = None
    score: Number | None = Field(default=None, examples=["68"])


class LeadLost(
    Event, publisher=CLIENT, name="lead-lost", key="client_id", rely=("engagement", "performance", "reporting")
):
    """A lead came to nothing."""

    client_id: ClientId
    reason: LostReason
    competitor_id: PartyId | None = None


class RelatedPartyLinked(
    Event, publisher=CLIENT, name="related-party-linked", key="client_id", rely=("risk", "kyc", "reporting")
):
    """Another party stands in this relation to a client; related debtors do not count as eligible."""

    client_id: ClientId
    link_id: RecordId
    related_party_id: PartyId
    relation: Relation
    share: Number | None = Field(default=None, description="Share held, 0 to 1.", examples=["0.51"])


class RelatedPartyUnlinked(
    Event, publisher=CLIENT, name="related-party-unlinked", key="client_id", rely=("risk", "kyc", "reporting")
):
    """A relation between a client and another party no longer holds."""

    client_id: ClientId
    link_id: RecordId
    related_party_id: PartyId
    relation: Relation


class ContractAmended(
    Event,
    publisher=CLIENT,
    name="contract-amended",
    key="client_id",
    rely=("risk", "engagement", "performance", "ledger", "registry"),
):
    """A contract's terms are other from the effective date; those that changed are given."""

    client_id: ClientId
    contract_id: ContractId
    fields: tuple[Code, ...] = Field(examples=[["limit", "expires_on"]])
    advance_rate: Number | None = Field(default=None, examples=["0.75"])
    limit: Money | None = None
    effective_from: date = Field(examples=["2026-09-01"])
    expires_on: date | None = Field(default=None, examples=["2027-08-31"])


class ContractSuspended(
    Event, publisher=CLIENT, name="contract-suspended", key="client_id", rely=("risk", "engagement", "ledger")
):
    """A contract takes no new funding until it is amended or ended; what runs goes on."""

    client_id: ClientId
    contract_id: ContractId
    suspended_from: date = Field(examples=["2026-10-15"])
    reason: SuspensionReason


class PayeeAccountChanged(
    Event, publisher=CLIENT, name="payee-account-changed", key="client_id", rely=("risk", "ledger")
):
    """Money goes to another account from now on; it was called back and approved by two."""

    client_id: ClientId
    account_token: Token = Field(description="Stands for the account; never its number.", examples=["acct_7f3a9c"])
    previous_account_token: Token | None = Field(default=None, examples=["acct_11b2d0"])
    verifier_ids: tuple[StaffId, ...]
    effective_at: Instant


class ClientsMerged(
    Event,
    publisher=CLIENT,
    name="clients-merged",
    key="client_id",
    rely=("risk", "engagement", "performance", "ledger", "kyc", "reporting"),
):
    """Two records were one client: the absorbed id is an alias of the survivor."""

    client_id: ClientId = Field(description="The survivor.")
    absorbed_id: PartyId
    merge_id: RecordId


class MergeReverted(
    Event,
    publisher=CLIENT,
    name="merge-reverted",
    key="client_id",
    rely=("risk", "engagement", "performance", "ledger", "kyc", "reporting"),
):
    """A merge was wrong: the absorbed id is a client of its own again."""

    client_id: ClientId = Field(description="The survivor.")
    absorbed_id: PartyId
    merge_id: RecordId


class SegmentEntered(
    Event, publisher=CLIENT, name="segment-entered", key="client_id", rely=("engagement", "performance", "reporting")
):
    """A client meets a segment's rule."""

    client_id: ClientId
    segment: Code = Field(examples=["stable-exporters"])
    version: int = Field(ge=1, examples=[2])


class SegmentLeft(
    Event, publisher=CLIENT, name="segment-left", key="client_id", rely=("engagement", "performance", "reporting")
):
    """A client no longer meets a segment's rule."""

    client_id: ClientId
    segment: Code = Field(examples=["stable-exporters"])
    version: int = Field(ge=1, examples=[2])


class ValueAssessed(
    Event,
    publisher=CLIENT,
    name="value-assessed",
    key="client_id",
    rely=("risk", "engagement", "performance", "reporting"),
):
    """A model put a value on a client; the run can be reproduced."""

    client_id: ClientId
    assessment_id: RecordId
    model: Code = Field(examples=["ahp"])
    model_version: Version = Field(examples=["ahp-2026.1"])
    score: Number = Field(examples=["71.3"])
    components: tuple[ValueComponent, ...] = ()
    clv: Money | None = None
    horizon_months: int | None = Field(default=None, ge=1, examples=[36])


class TierChanged(
    Event, publisher=CLIENT, name="tier-changed", key="client_id", rely=("engagement", "performance", "reporting")
):
    """A client is served by another tier's strategy."""

    client_id: ClientId
    from_tier: Code | None = Field(default=None, examples=["B"])
    to_tier: Code = Field(examples=["A"])
    strategy: Code = Field(examples=["monthly-visit-senior-rm"])


class NeedRecorded(Event, publisher=CLIENT, name="need-recorded", key="client_id", rely=("engagement", "reporting")):
    """A client's need is on file."""

    client_id: ClientId
    need_id: RecordId
    kind: NeedKind


class ProductRecommended(
    Event, publisher=CLIENT, name="product-recommended", key="client_id", rely=("engagement", "performance")
):
    """A product would suit a client, for the reasons given."""

    client_id: ClientId
    recommendation_id: RecordId
    product: Product
    reasons: tuple[Code, ...] = Field(examples=[["export-share-rising"]])


class RecommendationAnswered(
    Event,
    publisher=CLIENT,
    name="recommendation-answered",
    key="client_id",
    rely=("engagement", "performance", "reporting"),
):
    """A client took a recommended product, or did not."""

    client_id: ClientId
    recommendation_id: RecordId
    answer: RecommendationAnswer


class ConsentChanged(
    Event, publisher=CLIENT, name="consent-changed", key="client_id", rely=("engagement", "gateway", "kyc")
):
    """A contact person's consent to one purpose was given or withdrawn; without it nothing may be done for it."""

    client_id: ClientId
    person_id: PersonId
    purpose: ConsentPurpose
    granted: bool
    valid_until: date | None = Field(default=None, examples=["2028-11-02"])


class PersonErased(
    Event,
    publisher=CLIENT,
    name="person-erased",
    key="client_id",
    rely=("risk", "engagement", "performance", "gateway", "kyc", "ledger"),
):
    """A contact person's data are gone here; whoever holds any under this id deletes them too."""

    client_id: ClientId
    person_id: PersonId
    outcome: ErasureOutcome


class DocumentFiled(Event, publisher=CLIENT, name="document-filed", key="client_id", rely=("risk", "kyc", "reporting")):
    """A version of a document is on file, and can be told by its hash."""

    client_id: ClientId
    document_id: RecordId
    kind: DocumentKind
    sha256: Hash
    version: int = Field(ge=1, examples=[1])
    contract_id: ContractId | None = None
    retain_until: date | None = Field(default=None, examples=["2037-03-09"])
