"""A small real OIDC issuer for one machine: discovery, keys, and a token endpoint that gives the local client (whoever
can read its secret file) a token for any role. Its ES256 key is made at the first start and never leaves the state
directory."""

import argparse
import base64
import hashlib
import hmac
import json
import secrets
import time
import uuid
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl

import jwt
import uvicorn
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel

from localplatform.topology import AUDIENCE, CLIENT

LIFETIME = 12 * 3600


class TokenRequest(BaseModel):
    """RFC 6749, section 4.4.2, with what the token shall say: roles (separated by blanks), legal entity, staff."""

    grant_type: Literal["client_credentials"]
    client_id: str
    client_secret: str
    roles: str
    entity_id: str
    staff_id: uuid.UUID | None = None


class TokenAnswer(BaseModel):
    """RFC 6749, section 5.1."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 (a token's type, not a secret)
    expires_in: int = LIFETIME


class Issuer:
    """Signs tokens as `url` with the key kept in `home`, which only its owner can read."""

    def __init__(self, home: Path, url: str) -> None:
        self.url = url
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._key = _key(home / "key.pem")
        self.secret = _secret(home / "client-secret")

    @property
    def jwk(self) -> dict[str, str]:
        """The public key (RFC 7517), identified by its thumbprint (RFC 7638)."""
        numbers = self._key.public_key().public_numbers()
        key = {"crv": "P-256", "kty": "EC", "x": _base64url(numbers.x), "y": _base64url(numbers.y)}
        thumbprint = hashlib.sha256(json.dumps(key, sort_keys=True, separators=(",", ":")).encode()).digest()
        return {**key, "kid": base64.urlsafe_b64encode(thumbprint).decode().rstrip("="), "alg": "ES256", "use": "sig"}

    def discovery(self) -> dict[str, Any]:
        """OpenID Connect Discovery 1.0, section 3."""
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/jwks",
            "token_endpoint": f"{self.url}/token",
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
            "response_types_supported": ["token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        }

    def token(self, roles: list[str], entity_id: str, staff_id: uuid.UUID | None = None) -> str:
        """A signed access token of somebody with these roles in one legal entity."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": str(staff_id) if staff_id else f"{'+'.join(roles)}@{entity_id}",
            "iat": now,
            "exp": now + LIFETIME,
            "jti": str(uuid.uuid4()),
            "entity_id": entity_id,
            "roles": roles,
        }
        if staff_id:
            claims["staff_id"] = str(staff_id)
        return jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": self.jwk["kid"], "typ": "at+jwt"})

    def app(self) -> FastAPI:
        """The issuer over HTTP."""
        app = FastAPI(title="Local token issuer", openapi_url=None)

        @app.get("/.well-known/openid-configuration")
        def discovery() -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction] (registered by its decorator)
            return self.discovery()

        @app.get("/jwks")
        def jwks() -> dict[str, list[dict[str, str]]]:  # pyright: ignore[reportUnusedFunction]
            return {"keys": [self.jwk]}

        @app.post("/token")
        async def token(request: Request) -> TokenAnswer:  # pyright: ignore[reportUnusedFunction]
            try:
                wanted = TokenRequest.model_validate(dict(parse_qsl((await request.body()).decode())))
            except ValueError as error:
                raise HTTPException(400, "invalid_request") from error
            known = hmac.compare_digest(wanted.client_secret.encode(), self.secret.encode())
            if wanted.client_id != CLIENT or not known:
                raise HTTPException(401, "invalid_client")
            return TokenAnswer(access_token=self.token(wanted.roles.split(), wanted.entity_id, wanted.staff_id))

        return app


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    if not path.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        _write_private(path, pem)
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{path} holds no elliptic curve key; remove it, and tokens are signed with a new one.")
    return key


def _secret(path: Path) -> str:
    if not path.exists():
        _write_private(path, secrets.token_urlsafe(32).encode())
    return path.read_text()


def _write_private(path: Path, content: bytes) -> None:
    fresh = path.with_name(path.name + ".part")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_bytes(content)
    fresh.replace(path)


def _base64url(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).decode().rstrip("=")


def main() -> None:
    """`python -m localplatform.issuer HOME PORT`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("port", type=int)
    arguments = parser.parse_args()
    issuer = Issuer(arguments.home, f"http://127.0.0.1:{arguments.port}")
    uvicorn.run(issuer.app(), host="127.0.0.1", port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
