"""Who gets in: tokens are checked in every respect, keys are cached and survive the provider's absence."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from time import time
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm
from sample.app import ROLES

from servicekit.auth import Authenticator, KeySet, Scope, widest
from servicekit.problems import Unauthenticated, Unavailable
from servicekit.testing import AUDIENCE, ISSUER, Harness, TestIssuer

GOOD: dict[str, Any] = {"entity_id": "DEMO-FACTOR", "roles": ["risk_officer"]}


class Provider:
    """An identity provider that can be away and counts how often it is asked."""

    def __init__(self, *issuers: TestIssuer) -> None:
        self.issuers = list(issuers)
        self.away = False
        self.asked = 0

    async def __call__(self) -> Mapping[str, Any]:
        self.asked += 1
        if self.away:
            raise httpx.ConnectError("away")
        return {"keys": [key for issuer in self.issuers for key in issuer.jwks()["keys"]]}


def authenticator(provider: Provider, **more: Any) -> Authenticator:
    keys = KeySet(provider, min_interval=more.pop("min_interval", 10.0), max_age=more.pop("max_age", 600.0))
    return Authenticator(keys, issuer=ISSUER, audience=AUDIENCE, roles=ROLES, **more)


async def reason(guard: Authenticator, token: str) -> str:
    with pytest.raises(Unauthenticated) as refused:
        await guard.check(token)
    return refused.value.detail


async def test_a_good_token_proves_its_principal() -> None:
    issuer = TestIssuer()
    who = await authenticator(Provider(issuer)).check(issuer.token(**GOOD, sub="u1"))
    assert (who.subject, who.entity_id, who.staff_id) == ("u1", "DEMO-FACTOR", None)
    assert dict(who.permissions) == {"notes:read": Scope.ALL, "notes:write": Scope.ALL}


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"exp": int(time()) - 60}, "expired"),
        ({"exp": None}, "claims"),
        ({"nbf": int(time()) + 7200}, "not valid yet"),
        ({"iss": "https://other.test"}, "another issuer"),
        ({"iss": None}, "claims"),
        ({"aud": "account"}, "another audience"),
        ({"aud": None}, "claims"),
        ({"sub": None}, "claims"),
        ({"sub": "a\0b"}, "subject"),
        ({"entity_id": None}, "legal entity"),
        ({"entity_id": "x' OR 1=1"}, "legal entity"),
        ({"entity_id": ["DEMO-FACTOR"]}, "legal entity"),
        ({"roles": "risk_officer"}, "roles"),
        ({"roles": None}, "roles"),
        ({"staff_id": "me"}, "staff_id"),
        ({"staff_id": 5}, "staff_id"),
    ],
)
async def test_a_wrong_claim_opens_nothing(claims: dict[str, Any], said: str) -> None:
    issuer = TestIssuer()
    assert said in await reason(authenticator(Provider(issuer)), issuer.token(**{**GOOD, **claims}))


async def test_clock_skew_is_forgiven_a_little() -> None:
    issuer = TestIssuer()
    guard = authenticator(Provider(issuer), leeway=30)
    assert await guard.check(issuer.token(**GOOD, exp=int(time()) - 10))
    assert await guard.check(issuer.token(**GOOD, nbf=int(time()) + 10))


def _segment(content: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def _claims() -> dict[str, Any]:
    return {**GOOD, "iss": ISSUER, "aud": AUDIENCE, "sub": "x", "exp": int(time()) + 60}


def unsigned(issuer: TestIssuer) -> str:
    return f"{_segment({'alg': 'none', 'kid': issuer.kid})}.{_segment(_claims())}."


def confused(issuer: TestIssuer) -> str:
    """HS256 with the public key as the secret."""
    public = issuer.private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signed = f"{_segment({'alg': 'HS256', 'kid': issuer.kid})}.{_segment(_claims())}"
    seal = base64.urlsafe_b64encode(hmac.digest(public, signed.encode(), hashlib.sha256)).decode().rstrip("=")
    return f"{signed}.{seal}"


def foreign(issuer: TestIssuer) -> str:
    return TestIssuer(kid=issuer.kid).token(**GOOD)


def unknown_key(issuer: TestIssuer) -> str:
    return TestIssuer(kid="other").token(**GOOD)


def embedded_key(issuer: TestIssuer) -> str:
    """A token that brings its own key in its header."""
    mine = TestIssuer(kid=issuer.kid)
    return jwt.encode(
        _claims(), mine.private, algorithm="ES256", headers={"kid": issuer.kid, "jwk": mine.jwks()["keys"][0]}
    )


def other_algorithm(issuer: TestIssuer) -> str:
    """An RS256 token that names an EC key."""
    key = rsa.generate_private_key(65537, 2048)
    return jwt.encode(_claims(), key, algorithm="RS256", headers={"kid": issuer.kid})


def without_kid(issuer: TestIssuer) -> str:
    return jwt.encode(_claims(), issuer.private, algorithm="ES256")


def changed(issuer: TestIssuer) -> str:
    head, _, seal = issuer.token(**GOOD).split(".")
    return f"{head}.{_segment({**_claims(), 'entity_id': 'OTHER'})}.{seal}"


def not_a_token(_: TestIssuer) -> str:
    return "abc"


def too_long(issuer: TestIssuer) -> str:
    return issuer.token(**GOOD, more="x" * 20_000)


@pytest.mark.parametrize(
    "forge",
    [
        unsigned,
        confused,
        foreign,
        unknown_key,
        embedded_key,
        other_algorithm,
        without_kid,
        changed,
        not_a_token,
        too_long,
    ],
)
async def test_a_forged_token_opens_nothing(forge: Callable[[TestIssuer], str]) -> None:
    issuer = TestIssuer()
    assert await reason(authenticator(Provider(issuer)), forge(issuer))


async def test_rs256_and_eddsa_are_taken_if_allowed() -> None:
    rsa_key, ed_key = rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()
    keys: list[dict[str, Any]] = [
        {**RSAAlgorithm.to_jwk(rsa_key.public_key(), as_dict=True), "kid": "r"},
        {**OKPAlgorithm.to_jwk(ed_key.public_key(), as_dict=True), "kid": "e", "alg": "EdDSA"},
    ]

    async def fetch() -> Mapping[str, Any]:
        return {"keys": keys}

    guard = Authenticator(KeySet(fetch), issuer=ISSUER, audience=AUDIENCE, roles=ROLES)
    strict = Authenticator(KeySet(fetch), issuer=ISSUER, audience=AUDIENCE, roles=ROLES, algorithms=("ES256",))
    for key, algorithm, kid in ((rsa_key, "RS256", "r"), (rsa_key, "PS256", "r"), (ed_key, "EdDSA", "e")):
        token = jwt.encode(_claims(), key, algorithm=algorithm, headers={"kid": kid})
        assert await guard.check(token)
        assert "not allowed" in await reason(strict, token)


async def test_a_new_key_is_fetched_and_a_withdrawn_one_opens_nothing() -> None:
    old, new = TestIssuer("old"), TestIssuer("new")
    provider = Provider(old)
    guard = authenticator(provider, min_interval=0.0)
    kept = old.token(**GOOD)
    assert await guard.check(kept)
    provider.issuers = [new]
    assert await guard.check(new.token(**GOOD))
    assert "key is not known" in await reason(guard, kept)


async def test_unknown_keys_cannot_make_us_hammer_the_provider() -> None:
    issuer = TestIssuer()
    provider = Provider(issuer)
    guard = authenticator(provider)
    await guard.check(issuer.token(**GOOD))
    for number in range(20):
        await reason(guard, TestIssuer(f"k{number}").token(**GOOD))
    assert provider.asked == 1


async def test_a_first_rush_asks_once() -> None:
    issuer = TestIssuer()
    provider = Provider(issuer)
    guard = authenticator(provider)
    await asyncio.gather(*(guard.check(issuer.token(**GOOD, sub=f"u{n}")) for n in range(10)))
    assert provider.asked == 1


async def test_known_keys_survive_the_providers_absence() -> None:
    issuer = TestIssuer()
    provider = Provider(issuer)
    guard = authenticator(provider, min_interval=0.0, max_age=0.0)
    assert await guard.check(issuer.token(**GOOD, sub="a"))
    provider.away = True
    assert await guard.check(issuer.token(**GOOD, sub="b"))
    await asyncio.sleep(0.01)
    assert await guard.check(issuer.token(**GOOD, sub="c"))
    assert provider.asked > 1


async def test_without_any_key_it_is_503_and_not_401() -> None:
    issuer = TestIssuer()
    provider = Provider(issuer)
    provider.away = True
    guard = authenticator(provider, min_interval=0.0)
    with pytest.raises(Unavailable):
        await guard.check(issuer.token(**GOOD))
    provider.away = False
    assert await guard.check(issuer.token(**GOOD))


async def test_old_keys_are_refreshed_behind_the_scenes() -> None:
    issuer = TestIssuer()
    provider = Provider(issuer)
    guard = authenticator(provider, min_interval=0.0, max_age=0.0)
    kept = issuer.token(**GOOD)
    await guard.check(kept)
    provider.issuers = [TestIssuer("new")]
    await guard.check(kept)
    await asyncio.sleep(0.01)
    assert "key is not known" in await reason(guard, kept)


async def test_a_remembered_token_expires_and_memory_is_bounded() -> None:
    issuer = TestIssuer()
    moment = time()
    guard = authenticator(Provider(issuer), remember=3, leeway=0, clock=lambda: moment)
    token = issuer.token(**GOOD, exp=int(moment) + 1)
    assert await guard.check(token)
    assert await guard.check(token) is await guard.check(token)
    moment += 2
    await asyncio.sleep(max(0.0, moment - 0.9 - time()))
    await asyncio.sleep(0.2)
    assert "expired" in await reason(guard, token)
    for number in range(10):
        await guard.check(issuer.token(**GOOD, sub=f"u{number}"))
    assert len(guard._seen) == 3  # pyright: ignore[reportPrivateUsage] - the bound is what is tested


async def test_keys_of_other_kinds_are_passed_over() -> None:
    issuer = TestIssuer()
    secret = {"kty": "oct", "kid": issuer.kid, "k": "c2VjcmV0", "alg": "HS256"}
    encryption = {**issuer.jwks()["keys"][0], "kid": "enc", "use": "enc"}
    curve = {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "bad"}

    async def fetch() -> Mapping[str, Any]:
        return {"keys": [secret, encryption, curve, {**issuer.jwks()["keys"][0], "kid": "fine"}]}

    keys = KeySet(fetch)
    await keys.refresh()
    assert [await keys.get(kid) is not None for kid in (issuer.kid, "enc", "bad", "fine")] == [
        False,
        False,
        False,
        True,
    ]


def test_of_two_roles_the_wider_scope_counts() -> None:
    assert widest(ROLES, frozenset({"relationship_manager", "team_lead", "unknown"})) == {
        "notes:read": Scope.TEAM,
        "notes:write": Scope.OWN,
    }


# --- over HTTP ---


async def test_every_operation_is_closed_without_a_token(sample: Harness) -> None:
    anyone = sample.anonymous()
    for path, item in sample.app.openapi()["paths"].items():
        for method in item:
            answer = await anyone.request(method, path.replace("{", "").replace("}", ""), content=b"{broken")
            assert answer.status_code == 401, (method, path)
            assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_what_is_open_without_a_token_holds_no_data(sample: Harness) -> None:
    anyone = sample.anonymous()
    for path in ("/health/live", "/health/ready", "/docs", "/openapi.json", "/problems/not-found"):
        assert (await anyone.get(path)).status_code == 200, path


async def test_each_operation_is_allowed_and_refused_as_the_table_says(sample: Harness) -> None:
    """Every role against every operation: 403 names the permission, before the body is looked at."""
    document = sample.app.openapi()
    for role, granted in ROLES.items():
        client = sample.client(role)
        for path, item in document["paths"].items():
            for method, operation in item.items():
                (permission,) = operation["x-permission"]
                answer = await client.request(method, path.replace("{", "").replace("}", ""), content=b"{broken")
                if permission in granted:
                    assert answer.status_code not in {401, 403}, (role, method, path)
                else:
                    assert answer.status_code == 403, (role, method, path)
                    assert permission in answer.json()["detail"]
                    assert f'scope="{permission}"' in answer.headers["www-authenticate"]


async def test_basic_and_empty_credentials_are_no_token(sample: Harness) -> None:
    for value in ("Basic abc", "Bearer", "Bearer ", ""):
        answer = await sample.anonymous().get("/notes", headers={"Authorization": value})
        assert answer.status_code == 401
    answer = await sample.anonymous().get("/notes", headers={"Authorization": "bearer abc"})
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
