"""Who calls and what they may do: OIDC bearer tokens against the issuer's keys, and one table of roles per service.

Invariants: a token that was not checked never becomes a Principal; keys once known stay usable while the identity
provider is away; a key that the provider withdrew opens nothing after the next refresh.
"""

import asyncio
import json
import logging
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from time import monotonic, time
from typing import Any
from uuid import UUID

import httpx
import jwt
from fastapi import Depends, Request, Security
from fastapi.params import Security as SecurityParam
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from servicekit.problems import Forbidden, Unauthenticated, Unavailable

log = logging.getLogger(__name__)


class Scope(StrEnum):
    """Which rows of their own legal entity a role's permission reaches."""

    OWN = "own"
    TEAM = "team"
    ALL = "all"


Roles = Mapping[str, Mapping[str, Scope]]
"""role → permission → scope: the one table of a service."""

_WIDTH = {Scope.OWN: 0, Scope.TEAM: 1, Scope.ALL: 2}


@dataclass(frozen=True)
class Principal:
    """A caller whose token was checked. `permission` is the one the current operation asked for."""

    subject: str
    entity_id: str
    staff_id: UUID | None
    roles: frozenset[str]
    permissions: Mapping[str, Scope]
    permission: str = ""
    claims: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False, compare=False)

    @property
    def scope(self) -> Scope:
        """How far the current operation's permission reaches.

        Raises:
            Forbidden: this principal does not have it.
        """
        found = self.permissions.get(self.permission)
        if found is None:
            raise missing(self.permission)
        return found

    def can(self, permission: str) -> bool:
        """Whether any role gives this permission."""
        return permission in self.permissions

    def under(self, permission: str) -> "Principal":
        """The same caller, seen by another of their permissions (for its scope)."""
        return replace(self, permission=permission)


def missing(permission: str) -> Forbidden:
    """403 that names the permission, and says so in WWW-Authenticate as RFC 6750 has it."""
    problem = Forbidden(detail=f"This needs the permission {permission}, which none of your roles gives.")
    problem.headers["WWW-Authenticate"] = f'Bearer error="insufficient_scope", scope="{permission}"'
    return problem


def refused(reason: str) -> Unauthenticated:
    """401 with its reason (never anything out of the token)."""
    problem = Unauthenticated(detail=f"The access token was not accepted: {reason}.")
    problem.headers["WWW-Authenticate"] = f'Bearer error="invalid_token", error_description="{reason}"'
    return problem


def widest(roles: Roles, held: frozenset[str]) -> dict[str, Scope]:
    """The permissions of all held roles together; of two scopes the wider."""
    granted: dict[str, Scope] = {}
    for role in held:
        for permission, scope in roles.get(role, {}).items():
            if permission not in granted or _WIDTH[scope] > _WIDTH[granted[permission]]:
                granted[permission] = scope
    return granted


Fetch = Callable[[], Awaitable[Mapping[str, Any]]]
_PRINTABLE = re.compile(r"^[\x21-\x7e]{1,255}$")
_ENTITY = re.compile(r"^[A-Z0-9][A-Z0-9-]{1,31}$")


@dataclass(frozen=True)
class Key:
    """A public key and the algorithms it may be used with."""

    public: Any
    algorithms: tuple[str, ...]
    thumbprint: str


def _parse(document: Mapping[str, Any]) -> dict[str, Key]:
    keys: dict[str, Key] = {}
    for item in document["keys"]:
        if item.get("use", "sig") != "sig" or "kid" not in item:
            continue
        family = {"P-256": ("ES256",), "P-384": ("ES384",), "Ed25519": ("EdDSA",)}.get(item.get("crv", ""))
        if item.get("kty") == "RSA":
            family = ("RS256", "PS256")
        if family is None or ("alg" in item and item["alg"] not in family):
            continue
        try:
            public = jwt.PyJWK(item, algorithm=family[0]).key
        except jwt.PyJWTError as error:
            log.warning("a key of the identity provider was skipped", extra={"error_class": type(error).__name__})
            continue
        keys[item["kid"]] = Key(public, (item["alg"],) if "alg" in item else family, json.dumps(item, sort_keys=True))
    return keys


class KeySet:
    """The issuer's keys, cached: refreshed for an unknown key id and when old, at most once per `min_interval` seconds.

    A refresh that fails keeps what is known.
    """

    def __init__(self, fetch: Fetch, *, min_interval: float = 10.0, max_age: float = 600.0) -> None:
        self._fetch = fetch
        self._min_interval = min_interval
        self._max_age = max_age
        self._keys: dict[str, Key] = {}
        self._tried = -1e9
        self._loaded = -1e9
        self._lock = asyncio.Lock()
        self._background: asyncio.Task[None] | None = None
        self.generation = 0

    @property
    def known(self) -> bool:
        """Whether any key is known."""
        return bool(self._keys)

    def current(self) -> None:
        """Start a refresh behind the scenes when the keys have become old."""
        if (
            monotonic() - self._loaded > self._max_age
            and self._due()
            and (self._background is None or self._background.done())
        ):
            self._background = asyncio.get_running_loop().create_task(self.refresh())

    def _due(self) -> bool:
        return monotonic() - self._tried >= self._min_interval

    async def get(self, kid: str) -> Key | None:
        """The key of this id, asking the issuer once if it is not known."""
        if kid not in self._keys and self._due():
            await self.refresh()
        return self._keys.get(kid)

    async def refresh(self) -> None:
        """Ask the issuer for its keys, unless someone just did."""
        async with self._lock:
            if not self._due():
                return
            self._tried = monotonic()
            try:
                document = await self._fetch()
                keys = _parse(document)
            except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
                log.warning(
                    "the identity provider's keys could not be read; keeping %d known",
                    len(self._keys),
                    extra={"error_class": type(error).__name__},
                )
                return
            if {kid: key.thumbprint for kid, key in keys.items()} != {
                kid: key.thumbprint for kid, key in self._keys.items()
            }:
                self.generation += 1
            self._keys = keys
            self._loaded = monotonic()


class Authenticator:
    """Checks bearer tokens: signature by an allowed algorithm that fits the key, issuer, audience, times, claims.

    Verified tokens are remembered until they expire (at most `remember` of them).
    """

    def __init__(
        self,
        keys: KeySet,
        *,
        issuer: str,
        audience: str,
        roles: Roles,
        algorithms: tuple[str, ...] = ("ES256", "RS256", "PS256", "EdDSA"),
        leeway: int = 30,
        remember: int = 10_000,
        clock: Callable[[], float] = time,
    ) -> None:
        self.keys = keys
        self._issuer = issuer
        self._audience = audience
        self._roles = roles
        self._algorithms = list(algorithms)
        self._leeway = leeway
        self._remember = remember
        self._seen: OrderedDict[str, tuple[Principal, float]] = OrderedDict()
        self._generation = keys.generation
        self._clock = clock

    async def authenticate(self, request: Request) -> Principal:
        """The caller of this request.

        Raises:
            Unauthenticated: no token, or one that is not accepted.
        """
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            problem = Unauthenticated()
            problem.headers["WWW-Authenticate"] = "Bearer"
            raise problem
        return await self.check(token.strip())

    async def check(self, token: str) -> Principal:
        """The principal that this token proves.

        Raises:
            Unauthenticated: it proves nothing here.
        """
        self.keys.current()
        if self._generation != self.keys.generation:
            self._seen.clear()
            self._generation = self.keys.generation
        known = self._seen.get(token)
        if known is not None:
            if known[1] > self._clock():
                self._seen.move_to_end(token)
                return known[0]
            del self._seen[token]
        principal, expires = await self._verify(token)
        self._seen[token] = principal, expires + self._leeway
        if len(self._seen) > self._remember:
            self._seen.popitem(last=False)
        return principal

    async def _verify(self, token: str) -> tuple[Principal, float]:
        if len(token) > 16_384:
            raise refused("it is too long")
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise refused("it is not a signed JWT") from None
        algorithm = header.get("alg")
        if algorithm not in self._algorithms:
            raise refused("its algorithm is not allowed")
        kid = header.get("kid")
        if not isinstance(kid, str):
            raise refused("it names no key")
        key = await self.keys.get(kid)
        if key is None:
            if not self.keys.known:
                raise Unavailable(detail="The identity provider's keys are not known yet.")
            raise refused("its key is not known")
        if algorithm not in key.algorithms:
            raise refused("its algorithm does not fit its key")
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.public,
                algorithms=[algorithm],
                audience=self._audience,
                issuer=self._issuer,
                leeway=self._leeway,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.ExpiredSignatureError:
            raise refused("it has expired") from None
        except jwt.InvalidAudienceError:
            raise refused("it is for another audience") from None
        except jwt.InvalidIssuerError:
            raise refused("it is from another issuer") from None
        except jwt.ImmatureSignatureError:
            raise refused("it is not valid yet") from None
        except jwt.InvalidSignatureError:
            raise refused("its signature is wrong") from None
        except jwt.PyJWTError:
            raise refused("its claims are not complete") from None
        return self._principal(claims), float(claims["exp"])

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        subject, entity, roles, staff = (
            claims["sub"],
            claims.get("entity_id"),
            claims.get("roles"),
            claims.get("staff_id"),
        )
        if not (isinstance(subject, str) and _PRINTABLE.match(subject)):
            raise refused("its subject is not usable")
        if not (isinstance(entity, str) and _ENTITY.match(entity)):
            raise refused("it names no legal entity")
        if not isinstance(roles, list):
            raise refused("it names no roles")
        held = frozenset(role for role in roles if isinstance(role, str))  # pyright: ignore[reportUnknownVariableType] - what JSON brought
        try:
            staff_id = UUID(staff) if staff is not None else None
        except (ValueError, TypeError, AttributeError):
            raise refused("its staff_id is not a UUID") from None
        return Principal(subject, entity, staff_id, held, widest(self._roles, held), claims=claims)


def fetch_jwks(issuer: str, jwks_url: str | None, client: httpx.AsyncClient) -> Fetch:
    """Reads the issuer's keys over HTTP, by its discovery document when no address is given."""

    async def fetch() -> Mapping[str, Any]:
        url = jwks_url
        if url is None:
            found = await client.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            found.raise_for_status()
            url = str(found.json()["jwks_uri"])
        answer = await client.get(url)
        answer.raise_for_status()
        return answer.json()

    return fetch


bearer = HTTPBearer(
    scheme_name="oidc", bearerFormat="JWT", description="An access token of the identity provider", auto_error=False
)


async def principal(
    request: Request,
    scopes: SecurityScopes,
    _: HTTPAuthorizationCredentials | None = Depends(bearer),
) -> Principal:
    """The checked caller (the route has checked the token and the permission before reading the body)."""
    who: Principal | None = getattr(request.state, "principal", None)
    if who is None:
        raise Unauthenticated
    return who.under(scopes.scopes[-1]) if scopes.scopes else who


def may(permission: str) -> SecurityParam:
    """`who: Annotated[Principal, may("complaints:file")]`: the operation needs this permission."""
    security = Security(principal, scopes=[permission])
    assert isinstance(security, SecurityParam)
    return security
