"""The ids events name things by, each with the example that runs through every document."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

ClientId = Annotated[
    UUID, Field(description="The client, as its publisher knows it.", examples=["0199a7c0-1111-7aaa-8aaa-000000000001"])
]
DebtorId = Annotated[UUID, Field(description="The debtor.", examples=["0199a7c0-2222-7aaa-8aaa-000000000002"])]
PartyId = Annotated[UUID, Field(description="A party of any role.", examples=["0199a7c0-2222-7aaa-8aaa-000000000003"])]
PersonId = Annotated[
    UUID, Field(description="A contact person, by id only.", examples=["0199a7c0-3333-7aaa-8aaa-000000000004"])
]
StaffId = Annotated[UUID, Field(description="A member of staff.", examples=["0199a7c0-4444-7aaa-8aaa-000000000005"])]
TeamId = Annotated[UUID, Field(description="A team.", examples=["0199a7c0-5555-7aaa-8aaa-000000000006"])]
ContractId = Annotated[
    UUID, Field(description="A factoring contract.", examples=["0199a7c0-6666-7aaa-8aaa-000000000007"])
]
ReceivableId = Annotated[UUID, Field(description="A receivable.", examples=["0199a7c0-7777-7aaa-8aaa-000000000008"])]
FundingId = Annotated[UUID, Field(description="A funding.", examples=["0199a7c0-8888-7aaa-8aaa-000000000009"])]
LimitId = Annotated[UUID, Field(description="A limit.", examples=["0199a7c0-9999-7aaa-8aaa-000000000010"])]
AlertId = Annotated[UUID, Field(description="An alert.", examples=["0199a7c0-aaaa-7aaa-8aaa-000000000011"])]
VisitId = Annotated[UUID, Field(description="A visit.", examples=["0199a7c0-bbbb-7aaa-8aaa-000000000012"])]
ComplaintId = Annotated[UUID, Field(description="A complaint.", examples=["0199a7c0-cccc-7aaa-8aaa-000000000013"])]
EventId = Annotated[UUID, Field(description="An event's ce_id.", examples=["0199a7c0-dddd-7aaa-8aaa-000000000014"])]
RecordId = Annotated[
    UUID,
    Field(description="The record concerned.", examples=["0199a7c0-eeee-7aaa-8aaa-000000000015"]),
]
