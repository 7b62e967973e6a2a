"""The table of permissions, operation by operation: each role gets in exactly where it says, and only to its own."""

from typing import Any

import httpx
import pytest

from client_service.app import app
from client_service.permissions import PERMISSIONS
from client_service.testing import LI, NORTH_LEAD, TERMS, TODAY, WANG, ZHAO, Desk
from contracts.client import Stage
from servicekit.auth import Scope
from servicekit.testing import Harness, misjudged

ROLES = [
    "relationship_manager",
    "team_lead",
    "risk_officer",
    "service_agent",
    "operations",
    "auditor",
    "bank_system",
    "administrator",
]
OPERATIONS: dict[str, tuple[str, str, str, Any]] = {
    "register_client": ("clients:register", "POST", "/clients", {"name": "新客户"}),
    "list_clients": ("clients:read", "GET", "/clients", None),
    "get_client_by_id": ("clients:read", "GET", "/clients/{client}", None),
    "change_client": ("clients:change", "PATCH", "/clients/{client}", {"industry": "C1"}),
    "list_client_history": ("clients:history", "GET", "/clients/{client}/history", None),
    "add_contact_person": ("persons:change", "POST", "/clients/{client}/contact-persons", {"name": "王某某"}),
    "list_contact_persons": ("persons:read", "GET", "/clients/{client}/contact-persons", None),
    "get_contact_person": ("persons:read", "GET", "/clients/{client}/contact-persons/{person}", None),
    "change_contact_person": ("persons:change", "PATCH", "/clients/{client}/contact-persons/{person}", {"name": "王"}),
    "erase_contact_person": ("persons:change", "DELETE", "/clients/{client}/contact-persons/{person}", None),
    "get_lifecycle": ("lifecycle:read", "GET", "/clients/{client}/lifecycle", None),
    "move_client": ("lifecycle:move", "POST", "/clients/{client}/lifecycle", {"to": "lost", "reason": "other"}),
    "draft_contract": ("contracts:draft", "POST", "/clients/{client}/contracts", TERMS),
    "list_contracts": ("contracts:read", "GET", "/clients/{client}/contracts", None),
    "get_contract": ("contracts:read", "GET", "/clients/{client}/contracts/{contract}", None),
    "sign_contract": (
        "contracts:sign",
        "POST",
        "/clients/{client}/contracts/{contract}/sign",
        {"signed_on": str(TODAY)},
    ),
    "assign_relationship_manager": (
        "assignments:assign",
        "POST",
        "/clients/{client}/relationship-manager",
        {"staff_id": str(ZHAO), "reason": "portfolio"},
    ),
    "list_relationship_managers": ("assignments:read", "GET", "/clients/{client}/relationship-managers", None),
    "get_facts": ("facts:read", "GET", "/clients/{client}/facts", None),
    "get_overview": ("overview:read", "GET", "/clients/{client}/overview", None),
}


def test_every_operation_is_in_this_test() -> None:
    found = {
        operation["operationId"]: operation["security"][0]["oidc"]
        for path in app.openapi()["paths"].values()
        for operation in path.values()
        if operation["operationId"] in OPERATIONS or "ops" not in operation.get("tags", [])
    }
    assert {name: [permission] for name, (permission, *_) in OPERATIONS.items()} == {
        name: scopes for name, scopes in found.items() if scopes
    }


def test_the_roles_are_those_of_the_tokens() -> None:
    assert sorted(PERMISSIONS) == sorted(ROLES)


async def test_every_role_and_nobody_at_every_operation(service: Harness) -> None:
    assert await misjudged(service) == []


async def call(caller: httpx.AsyncClient, operation: str, ids: dict[str, str]) -> int:
    _, method, path, body = OPERATIONS[operation]
    answer = await caller.request(method, path.format(**ids), json=body, headers={"If-Match": "*"})
    assert answer.status_code < 500, answer.text
    return answer.status_code


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_each_role_gets_in_where_the_table_says(desk: Desk, operation: str) -> None:
    """Li's client is asked for by Li, Li's team lead and everybody else; then by Wang and by another legal entity."""
    client = await desk.approved()
    await desk.give(client["id"], LI)
    await desk.rated(client["id"])
    permission = OPERATIONS[operation][0]
    for role in ROLES:
        ids = {"client": client["id"]}
        if "{contract}" in OPERATIONS[operation][2]:
            ids["contract"] = (await desk.draft(client["id"]))["id"]
        if "{person}" in OPERATIONS[operation][2]:
            added = await desk.operations.post(f"/clients/{client['id']}/contact-persons", json={"name": "王某某"})
            ids["person"] = added.json()["id"]
        staff = {"relationship_manager": LI, "team_lead": NORTH_LEAD}.get(role)
        granted = PERMISSIONS[role].get(permission)
        status = await call(desk.service.client(role, staff_id=staff), operation, ids)
        if granted is None:
            assert status == 403, role
            continue
        assert status in {200, 201, 204, 409}, role
        if operation == "move_client" and status == 201:
            await desk.move(client["id"], Stage.LEAD, Stage.PROSPECT, Stage.UNDER_ASSESSMENT, Stage.APPROVED)
        if operation == "assign_relationship_manager":
            await desk.give(client["id"], LI)
        if "{client}" not in OPERATIONS[operation][2]:
            continue
        if granted is Scope.OWN:
            assert await call(desk.service.client(role, staff_id=WANG), operation, ids) == 404, role
        stranger = desk.service.client(role, staff_id=staff, entity_id="OTHER-FACTOR")
        assert await call(stranger, operation, ids) == 404, role
    assert (
        await call(desk.service.anonymous(), operation, {"client": client["id"], "contract": "x", "person": "x"}) == 401
    )
