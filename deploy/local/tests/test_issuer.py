"""The local issuer: what it signs verifies by what it publishes, its key survives a restart and is nobody else's."""

import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
import pytest_asyncio

from localplatform.issuer import Issuer
from localplatform.topology import AUDIENCE, CLIENT

URL = "http://issuer.test"


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path / "issuer", URL)


@pytest_asyncio.fixture
async def http(issuer: Issuer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(issuer.app()), base_url=URL) as client:
        yield client


def request(issuer: Issuer, **changed: str) -> dict[str, str]:
    return {
        "grant_type": "client_credentials",
        "client_id": CLIENT,
        "client_secret": issuer.secret,
        "roles": "risk_officer auditor",
        "entity_id": "DEMO-FACTOR",
    } | changed


async def verified(http: httpx.AsyncClient, token: str) -> dict[str, Any]:
    """The claims, checked as a service checks them: discovery, then the key set, then the signature."""
    discovery = (await http.get("/.well-known/openid-configuration")).json()
    keys = jwt.PyJWKSet.from_dict((await http.get(discovery["jwks_uri"])).json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    return jwt.decode(token, key, algorithms=["ES256"], audience=AUDIENCE, issuer=discovery["issuer"])


async def test_a_token_verifies_by_the_published_keys(issuer: Issuer, http: httpx.AsyncClient) -> None:
    staff = uuid4()
    answer = await http.post("/token", data=request(issuer, staff_id=str(staff)))
    claims = await verified(http, answer.json()["access_token"])
    assert claims["roles"] == ["risk_officer", "auditor"]
    assert (claims["entity_id"], claims["staff_id"], claims["sub"]) == ("DEMO-FACTOR", str(staff), str(staff))
    assert claims["exp"] - claims["iat"] == answer.json()["expires_in"]


async def test_tokens_outlive_a_restart_of_the_issuer(issuer: Issuer, http: httpx.AsyncClient, tmp_path: Path) -> None:
    earlier = Issuer(tmp_path / "issuer", URL).token(["operations"], "DEMO-FACTOR")
    assert (await verified(http, earlier))["roles"] == ["operations"]


async def test_another_issuers_token_does_not_verify(http: httpx.AsyncClient, tmp_path: Path) -> None:
    foreign = Issuer(tmp_path / "other", URL).token(["administrator"], "DEMO-FACTOR")
    with pytest.raises(KeyError):
        await verified(http, foreign)


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"client_secret": "guess"}, 401),
        ({"client_id": "somebody"}, 401),
        ({"grant_type": "password"}, 400),
        ({"staff_id": "not-a-uuid"}, 400),
    ],
)
async def test_a_wrong_request_gets_no_token(
    issuer: Issuer, http: httpx.AsyncClient, changed: dict[str, str], status: int
) -> None:
    answer = await http.post("/token", data=request(issuer, **changed))
    assert answer.status_code == status
    assert "access_token" not in answer.text


def test_key_and_secret_are_the_owners_alone(issuer: Issuer, tmp_path: Path) -> None:
    for file in (tmp_path / "issuer").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "issuer").stat().st_mode) == 0o700
    assert "d" not in issuer.jwk
