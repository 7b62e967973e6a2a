"""Registering sellers over HTTP: once each, patiently, and with words where it is refused."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from contracts import party_id
from ledger_feed.sellers import ClientService, NotRegistered, Seller, described


@dataclass
class Desk:
    """A stand-in for client-service at its HTTP boundary: knows clients by alias, may be away for some requests."""

    known: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    keys: list[str] = field(default_factory=list[str])
    away: int = 0
    answer: tuple[int, dict[str, Any]] | None = None
    url: str = ""

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        return (
            (200, {}) if path.removeprefix("/clients/") in self.known else (404, {"type": "/problems/unknown-client"})
        )

    def post(self, body: dict[str, Any], key: str) -> tuple[int, dict[str, Any]]:
        if self.answer:
            return self.answer
        self.keys.append(key)
        for number in body["external_numbers"]:
            self.known[str(party_id(number["system"], number["number"]))] = body
        return 201, {}


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()

    class Handler(BaseHTTPRequestHandler):
        def _say(self, told: Callable[[], tuple[int, dict[str, Any]]]) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
            self.body: dict[str, Any] = body
            if self.headers["Authorization"] != "Bearer secret":
                status, answer = 401, {"title": "No valid token"}
            elif desk.away:
                desk.away -= 1
                status, answer = 503, {}
            else:
                status, answer = told()
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def do_GET(self) -> None:
            self._say(lambda: desk.get(self.path))

        def do_POST(self) -> None:
            self._say(lambda: desk.post(self.body, self.headers["Idempotency-Key"]))

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    desk.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield desk
    server.shutdown()
    server.server_close()


SELLERS = [
    Seller("E1", "Seller E1"),
    Seller("E2", "二号", industry="C17", identifiers=({"scheme": "uscc", "value": "9"},)),
]


def test_each_seller_is_registered_once(desk: Desk) -> None:
    said: list[str] = []
    assert ClientService(desk.url, "secret", said.append).register("core", SELLERS) == 2
    assert ClientService(desk.url, "secret", said.append).register("core", SELLERS) == 0
    assert desk.known[str(party_id("core", "E2"))] == {
        "name": "二号",
        "roles": ["client"],
        "external_numbers": [{"system": "core", "number": "E2"}],
        "identifiers": [{"scheme": "uscc", "value": "9"}],
        "industry": "C17",
    }
    assert len(set(desk.keys)) == 2
    assert said == []


def test_an_api_that_is_away_is_waited_for_and_it_is_said(desk: Desk) -> None:
    desk.away = 2
    said: list[str] = []
    assert ClientService(desk.url, "secret", said.append).register("core", SELLERS[:1]) == 1
    assert len(said) == 2
    assert "away (answers 503)" in said[0]


def test_an_api_that_stays_away_is_said_with_what_to_do() -> None:
    service = ClientService("http://127.0.0.1:1", "secret", lambda _: None, patience=0.2)
    with pytest.raises(NotRegistered, match=r"stayed away .* --no-register"):
        service.register("core", SELLERS)


def test_a_number_taken_by_a_client_not_to_be_seen_counts_as_registered(desk: Desk) -> None:
    desk.answer = (409, {"type": "/problems/external-number-taken"})
    said: list[str] = []
    assert ClientService(desk.url, "secret", said.append).register("core", SELLERS) == 0
    assert len(said) == 2


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (
            (422, {"title": "Not valid", "errors": [{"field": "body.name", "reason": "too long"}]}),
            "refused seller E1.*too long",
        ),
        ((403, {"title": "Not allowed"}), "does not let this token"),
        ((409, {"type": "/problems/identifier-taken", "title": "Taken"}), "refused seller E1 .409.: Taken"),
    ],
)
def test_a_refusal_is_told(desk: Desk, answer: tuple[int, dict[str, Any]], says: str) -> None:
    desk.answer = answer
    with pytest.raises(NotRegistered, match=says):
        ClientService(desk.url, "secret", lambda _: None).register("core", SELLERS)


def test_a_wrong_token_is_told(desk: Desk) -> None:
    with pytest.raises(NotRegistered, match="401"):
        ClientService(desk.url, "wrong", lambda _: None).register("core", SELLERS)


def test_names_come_from_a_manifest_or_a_csv(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(json.dumps({"clients": [{"number": "1", "name": "One", "size": "small"}]}))
    (tmp_path / "c.csv").write_text("client,name,rating\nE3,***电子,C\n")
    assert described(tmp_path / "m.json") == {"1": Seller("1", "One", size="small")}
    assert described(tmp_path / "c.csv") == {"E3": Seller("E3", "***电子")}
