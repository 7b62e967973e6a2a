"""What this service's tests are told in: the people, the events of other services, and the steps they start from."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import httpx

from contracts.base import Event, Money
from contracts.client import Stage
from contracts.performance import OrganisationChanged, StaffJoined, UnitKind
from contracts.risk import RatingAssigned
from servicekit.testing import Harness

E = TypeVar("E", bound=Event)

NOW = datetime(2026, 11, 3, 2, 15, tzinfo=UTC)
TODAY = date(2026, 11, 3)
ENTITY = "DEMO-FACTOR"
OTHER_ENTITY = "OTHER-FACTOR"
LI, WANG, ZHAO = UUID(int=0x101), UUID(int=0x102), UUID(int=0x103)
"""Two managers of the north team, and one of the south team."""
NORTH_LEAD, SOUTH_LEAD = UUID(int=0x111), UUID(int=0x112)
NORTH, SOUTH = UUID(int=0x201), UUID(int=0x202)


def said(kind: type[E], /, **values: Any) -> E:
    """An event of this kind: its example, with these values instead."""
    values = {"entity_id": ENTITY, "branch_id": None, "occurred_at": NOW} | values
    return kind.model_validate(dict(kind.example()) | values)


def cny(amount: str | int) -> Money:
    """An amount in yuan."""
    return Money(amount=Decimal(amount), currency="CNY")


def staffed() -> list[Event]:
    """The organisation and its staff, as performance-service tells them."""
    return [
        said(OrganisationChanged, unit_id=ENTITY, kind=UnitKind.ENTITY, parent=None, team_id=None, active=True),
        *(
            said(OrganisationChanged, unit_id=code, kind=UnitKind.TEAM, parent=ENTITY, team_id=team, time_zone=None)
            for code, team in (("NORTH", NORTH), ("SOUTH", SOUTH))
        ),
        *(
            said(StaffJoined, staff_id=staff, team_id=team)
            for staff, team in ((LI, NORTH), (WANG, NORTH), (NORTH_LEAD, NORTH), (ZHAO, SOUTH), (SOUTH_LEAD, SOUTH))
        ),
    ]


class Desk:
    """client-service with its people at work: one HTTP client each."""

    def __init__(self, service: Harness) -> None:
        self.service = service
        self.operations = service.client("operations")
        self.bank = service.client("bank_system")
        self.risk_officer = service.client("risk_officer")
        self.auditor = service.client("auditor")
        self.agent = service.client("service_agent")
        self.administrator = service.client("administrator")
        self.li = service.client("relationship_manager", staff_id=LI)
        self.wang = service.client("relationship_manager", staff_id=WANG)
        self.zhao = service.client("relationship_manager", staff_id=ZHAO)
        self.north_lead = service.client("team_lead", staff_id=NORTH_LEAD)
        self.south_lead = service.client("team_lead", staff_id=SOUTH_LEAD)
        self.elsewhere = service.client("operations", entity_id=OTHER_ENTITY)

    async def told(self, kind: type[E]) -> list[E]:
        """The events of this kind that the service has emitted."""
        return [event for event in await self.service.emitted(kind) if isinstance(event, kind)]

    async def register(self, name: str = "烟台市东上电子有限公司", **more: Any) -> dict[str, Any]:
        """A registered client, as its view."""
        answer = await self.operations.post("/clients", json={"name": name, **more})
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def give(self, client_id: str, staff_id: UUID) -> httpx.Response:
        """Assign a relationship manager."""
        return await self.operations.post(
            f"/clients/{client_id}/relationship-manager", json={"staff_id": str(staff_id), "reason": "portfolio"}
        )

    async def managed(self, staff_id: UUID, **more: Any) -> dict[str, Any]:
        """A client that this member of staff answers for."""
        client = await self.register(**more)
        answer = await self.give(client["id"], staff_id)
        assert answer.status_code == 201, answer.text
        return client

    async def move(self, client_id: str, *stages: Stage, reason: str = "other") -> httpx.Response:
        """Take these steps one after the other; the answer to the last. All but the last must be granted."""
        answer: httpx.Response | None = None
        for stage in stages:
            assert answer is None or answer.status_code == 201, answer.text
            answer = await self.operations.post(
                f"/clients/{client_id}/lifecycle", json={"to": stage.value, "reason": reason}
            )
        assert answer is not None
        return answer

    async def approved(self, **more: Any) -> dict[str, Any]:
        """A client that was assessed and approved."""
        client = await self.register(**more)
        answer = await self.move(client["id"], Stage.PROSPECT, Stage.UNDER_ASSESSMENT, Stage.APPROVED)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def rated(self, client_id: str | UUID, valid_until: date = date(2027, 11, 2), **more: Any) -> None:
        """Hear that risk rated the client."""
        await self.service.receives(
            said(RatingAssigned, client_id=UUID(str(client_id)), valid_until=valid_until, **more)
        )

    async def draft(self, client_id: str, **more: Any) -> dict[str, Any]:
        """A drafted contract."""
        answer = await self.operations.post(f"/clients/{client_id}/contracts", json=TERMS | more)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def sign(self, client_id: str, contract_id: str, signed_on: date = TODAY) -> httpx.Response:
        """Sign it."""
        return await self.operations.post(
            f"/clients/{client_id}/contracts/{contract_id}/sign", json={"signed_on": str(signed_on)}
        )

    async def signed(self, **more: Any) -> dict[str, Any]:
        """A client that has signed a contract."""
        client = await self.approved(**more)
        await self.rated(client["id"])
        answer = await self.sign(client["id"], (await self.draft(client["id"]))["id"])
        assert answer.status_code == 201, answer.text
        return client


TERMS: dict[str, Any] = {
    "product": "domestic",
    "recourse": True,
    "disclosed": True,
    "advance_rate": "0.8",
    "limit": {"amount": "5000000.00", "currency": "CNY"},
    "fees": [{"kind": "service", "basis": "gross", "rate": "0.005"}],
    "dispute_clause": {"forum": "arbitration", "seat": "上海国际经济贸易仲裁委员会"},
    "effective_from": "2026-11-10",
    "expires_on": "2027-11-09",
}
