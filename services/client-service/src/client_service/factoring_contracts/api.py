"""Drafting and signing contracts. A signature moves an approved client to signed, by the lifecycle's guards."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Response
from pydantic import AfterValidator, BaseModel, Field, model_validator
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from client_service.clients.model import Client, UnknownClient
from client_service.clients.queries import get_client
from client_service.factoring_contracts.model import (
    ContractAlreadySigned,
    ContractState,
    ContractTermOver,
    FactoringContract,
    SignedInFuture,
    UnknownContract,
)
from client_service.lifecycle.model import LifecycleStep
from client_service.lifecycle.rules import NoRating, RatingNotValid, StageNotReachable, may_sign
from client_service.lifecycle.standing import standing_of
from client_service.organisation.model import today
from client_service.requests import Line
from contracts.bank.ledger import FeeKind
from contracts.base import Money
from contracts.client import ContractSigned, LifecycleChanged, LifecycleReason, Product, Stage
from eventing.outbox import emit
from servicekit.auth import Principal, may
from servicekit.clock import Now
from servicekit.concurrency import etag, next_version
from servicekit.database import ReadTx, Tx
from servicekit.examples import example
from servicekit.problems import problems
from servicekit.requests import Body, Date, known

router = APIRouter(prefix="/clients/{client_id}/contracts", tags=["contracts"])


class FeeBasis(StrEnum):
    """What a fee's rate is a share of."""

    GROSS = "gross"
    FUNDS_IN_USE_PER_YEAR = "funds_in_use_per_year"


class Fee(Body):
    """A fee that was agreed: a share of the receivables' gross, or of the funds in use per year."""

    kind: Annotated[FeeKind, AfterValidator(known)] = Field(examples=["service"])
    basis: FeeBasis
    rate: Decimal = Field(ge=0, le=1, max_digits=9, decimal_places=8, examples=["0.005"])


class DisputeForum(StrEnum):
    """Who decides disputes."""

    COURT = "court"
    ARBITRATION = "arbitration"


class DisputeClause(Body):
    """Who decides a dispute over the contract, and where."""

    forum: DisputeForum
    seat: Line = Field(examples=["上海国际经济贸易仲裁委员会"])


class NewContract(Body):
    """The terms of a factoring contract."""

    model_config = example(
        effective_from="2026-12-01",
        expires_on="2027-11-30",
        limit={"amount": "2000000.00", "currency": "CNY"},
        fees=[
            {"kind": "service", "basis": "gross", "rate": "0.005"},
            {"kind": "interest", "basis": "funds_in_use_per_year", "rate": "0.062"},
        ],
        dispute_clause={"forum": "arbitration", "seat": "上海国际经济贸易仲裁委员会"},
    )

    product: Annotated[Product, AfterValidator(known)] = Field(examples=["domestic"])
    recourse: bool
    disclosed: bool = Field(description="Whether debtors are notified (明保理)")
    advance_rate: Decimal = Field(gt=0, le=1, max_digits=7, decimal_places=6, examples=["0.8"])
    limit: Money
    fees: list[Fee] = Field(default=[], max_length=20)
    dispute_clause: DisputeClause
    effective_from: Date
    expires_on: Date

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.expires_on <= self.effective_from:
            raise ValueError("expires_on must come after effective_from")
        if self.limit.amount <= 0:
            raise ValueError("the limit must be more than zero")
        return self


class Signature(Body):
    """The day both parties had signed."""

    model_config = example(signed_on="2026-11-20")

    signed_on: Date


class ContractView(BaseModel):
    """A factoring contract."""

    model_config = example(
        id="0199a7c0-6666-7aaa-8aaa-000000000007",
        state="signed",
        effective_from="2026-12-01",
        expires_on="2027-11-30",
        drafted_at="2026-11-18T06:40:00Z",
        signed_on="2026-11-20",
        limit={"amount": "2000000.00", "currency": "CNY"},
        dispute_clause={"forum": "arbitration", "seat": "上海国际经济贸易仲裁委员会"},
        version=2,
    )

    id: UUID
    client_id: UUID
    state: ContractState
    product: Product
    recourse: bool
    disclosed: bool
    advance_rate: Decimal
    limit: Money
    fees: list[Fee]
    dispute_clause: DisputeClause
    effective_from: date
    expires_on: date
    drafted_at: datetime
    signed_on: date | None
    version: int

    @classmethod
    def of(cls, contract: FactoringContract) -> Self:
        return cls(
            id=contract.id,
            client_id=contract.client_id,
            state=contract.state,
            product=contract.product,
            recourse=contract.recourse,
            disclosed=contract.disclosed,
            advance_rate=contract.advance_rate,
            limit=Money(amount=contract.limit_amount, currency=contract.currency),
            fees=[Fee.model_validate(fee) for fee in contract.fees],
            dispute_clause=DisputeClause.model_validate(contract.dispute_clause),
            effective_from=contract.effective_from,
            expires_on=contract.expires_on,
            drafted_at=contract.drafted_at,
            signed_on=contract.signed_on,
            version=next_version(contract),
        )


@router.post("", status_code=201, responses=problems(UnknownClient))
async def draft_contract(
    client_id: UUID,
    body: NewContract,
    response: Response,
    tx: Tx,
    who: Annotated[Principal, may("contracts:draft")],
    now: Now,
) -> ContractView:
    """Draft a contract for the client."""
    client = await get_client(tx, client_id, visible_to=who)
    contract = FactoringContract(
        id=uuid7(),
        client_id=client.id,
        entity_id=client.entity_id,
        state=ContractState.DRAFT,
        product=body.product,
        recourse=body.recourse,
        disclosed=body.disclosed,
        advance_rate=body.advance_rate,
        limit_amount=body.limit.amount,
        currency=body.limit.currency,
        fees=[fee.model_dump(mode="json") for fee in body.fees],
        dispute_clause=body.dispute_clause.model_dump(mode="json"),
        effective_from=body.effective_from,
        expires_on=body.expires_on,
        drafted_at=now,
        signed_on=None,
    )
    tx.add(contract)
    response.headers["Location"] = f"/clients/{client.id}/contracts/{contract.id}"
    etag(response, contract)
    return ContractView.of(contract)


@router.get("", responses=problems(UnknownClient))
async def list_contracts(
    client_id: UUID, tx: ReadTx, who: Annotated[Principal, may("contracts:read")]
) -> list[ContractView]:
    """The client's contracts, the latest first."""
    client = await get_client(tx, client_id, visible_to=who)
    found = await tx.scalars(
        sa.select(FactoringContract)
        .where(FactoringContract.client_id == client.id)
        .order_by(FactoringContract.id.desc())
    )
    return [ContractView.of(contract) for contract in found]


@router.get("/{contract_id}", responses=problems(UnknownClient, UnknownContract))
async def get_contract(
    client_id: UUID,
    contract_id: UUID,
    response: Response,
    tx: ReadTx,
    who: Annotated[Principal, may("contracts:read")],
) -> ContractView:
    """One contract."""
    contract = await _contract(tx, await get_client(tx, client_id, visible_to=who), contract_id)
    etag(response, contract)
    return ContractView.of(contract)


@router.post(
    "/{contract_id}/sign",
    status_code=201,
    responses=problems(
        UnknownClient,
        UnknownContract,
        ContractAlreadySigned,
        ContractTermOver,
        SignedInFuture,
        StageNotReachable,
        NoRating,
        RatingNotValid,
    ),
)
async def sign_contract(
    client_id: UUID,
    contract_id: UUID,
    body: Signature,
    response: Response,
    tx: Tx,
    who: Annotated[Principal, may("contracts:sign")],
    now: Now,
) -> ContractView:
    """Record the signature. An approved client becomes signed with it; one already in business stays where it is."""
    client = await get_client(tx, client_id, visible_to=who)
    contract = await _contract(tx, client, contract_id)
    contract.sign(body.signed_on, await today(tx, client.entity_id, now))
    client.contract_until = max(contract.expires_on, client.contract_until or contract.expires_on)
    standing = await standing_of(tx, client, now)
    may_sign(client.stage, standing)
    emit(
        tx,
        ContractSigned(
            entity_id=client.entity_id,
            branch_id=client.branch_id,
            occurred_at=now,
            client_id=client.id,
            contract_id=contract.id,
            product=contract.product,
            recourse=contract.recourse,
            disclosed=contract.disclosed,
            advance_rate=contract.advance_rate,
            limit=Money(amount=contract.limit_amount, currency=contract.currency),
            signed_on=body.signed_on,
            effective_from=contract.effective_from,
            expires_on=contract.expires_on,
        ),
    )
    if client.stage is Stage.APPROVED:
        reason = LifecycleReason.CONTRACT_SIGNED
        step = LifecycleStep.take(client, Stage.SIGNED, reason, known=standing, who=who, now=now)
        tx.add(step)
        emit(
            tx,
            LifecycleChanged(
                entity_id=client.entity_id,
                branch_id=client.branch_id,
                occurred_at=now,
                client_id=client.id,
                from_stage=step.from_stage,
                to_stage=step.to_stage,
                reason=step.reason,
            ),
        )
    etag(response, contract)
    return ContractView.of(contract)


async def _contract(tx: AsyncSession, client: Client, contract_id: UUID) -> FactoringContract:
    contract = await tx.get(FactoringContract, contract_id)
    if contract is None or contract.client_id != client.id:
        raise UnknownContract(contract_id)
    return contract
