"""Registers a file's sellers with client-service, as the bank's onboarding would, before anything is told about them.

A seller that is registered already is left as it is. The number the ledger knows a seller by becomes an alias of the
client, so events that came first are found too.
"""

import csv
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import httpx

from contracts import party_id

FIRST_WAIT: Final = 0.5
LONGEST_WAIT: Final = 10.0
AWAY: Final = frozenset((429, 502, 503, 504))

Say = Callable[[str], None]


class NotRegistered(Exception):
    """client-service refused a seller, or stayed away; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Seller:
    """What is told about a seller at registration; of a seller nobody described only the number is known."""

    number: str
    name: str
    industry: str | None = None
    region: str | None = None
    size: str | None = None
    identifiers: tuple[Mapping[str, str], ...] = field(default=())

    def body(self, system: str) -> dict[str, Any]:
        """The body of POST /clients."""
        known = {"industry": self.industry, "region": self.region, "size": self.size}
        return {
            "name": self.name,
            "roles": ["client"],
            "external_numbers": [{"system": system, "number": self.number}],
            "identifiers": [dict(identifier) for identifier in self.identifiers],
            **{key: value for key, value in known.items() if value},
        }


class NoDescription(ValueError):
    """The file of sellers is neither a portfolio's manifest nor a CSV with client and name."""


def described(path: Path) -> dict[str, Seller]:
    """Sellers by number, from a portfolio's manifest (JSON) or a CSV with the columns client and name.

    Raises NoDescription, OSError.
    """
    try:
        return _described(path)
    except (KeyError, TypeError, ValueError) as error:
        raise NoDescription(f"{path} is neither a portfolio's manifest nor a CSV of client,name: {error!r}") from error


def _described(path: Path) -> dict[str, Seller]:
    if path.suffix == ".json":
        manifest = json.loads(path.read_text(encoding="utf-8"))
        return {
            str(client["number"]): Seller(
                number=str(client["number"]),
                name=str(client["name"]),
                industry=client.get("industry"),
                region=client.get("region"),
                size=client.get("size"),
                identifiers=tuple(cast(list[Mapping[str, str]], client.get("identifiers", []))),
            )
            for client in manifest["clients"]
        }
    with path.open(encoding="utf-8-sig", newline="") as lines:
        return {row["client"]: Seller(row["client"], row["name"]) for row in csv.DictReader(lines)}


class ClientService:
    """client-service's API, waited for up to `patience` seconds while it is away."""

    def __init__(self, url: str, token: str, say: Say, *, patience: float = 120.0) -> None:
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=15.0)
        self._url = url
        self._say = say
        self._patience = patience

    def register(self, system: str, sellers: Iterable[Seller]) -> int:
        """How many were not registered before; NotRegistered if one is refused."""
        with self._http:
            return sum([self._register(system, seller) for seller in sellers])

    def _register(self, system: str, seller: Seller) -> bool:
        party = party_id(system, seller.number)
        if self._patiently(lambda: self._http.get(f"/clients/{party}")).status_code == 200:
            return False
        key = f"ledger-feed-{party}"
        answer = self._patiently(
            lambda: self._http.post("/clients", json=seller.body(system), headers={"Idempotency-Key": key})
        )
        if answer.status_code == 201:
            return True
        problem = _problem(answer)
        if answer.status_code == 409 and str(problem.get("type", "")).endswith("/external-number-taken"):
            self._say(f"Seller {seller.number} is registered already, as a client that this token may not see.")
            return False
        if answer.status_code in (401, 403):
            raise NotRegistered(
                f"{self._url} does not let this token register clients ({answer.status_code}): {_told(problem)} "
                "Give a valid token with --token, or --no-register if the sellers are registered already."
            )
        raise NotRegistered(f"{self._url} refused seller {seller.number} ({answer.status_code}): {_told(problem)}")

    def _patiently(self, attempt: Callable[[], httpx.Response]) -> httpx.Response:
        started, wait = time.monotonic(), FIRST_WAIT
        while True:
            try:
                answer = attempt()
                if answer.status_code not in AWAY:
                    return answer
                why = f"answers {answer.status_code}"
            except httpx.TransportError as error:
                why = type(error).__name__
            if time.monotonic() - started > self._patience:
                raise NotRegistered(
                    f"client-service at {self._url} stayed away for {self._patience:.0f} s ({why}). Nothing was fed. "
                    "Start it and run this again, or --no-register to feed without it: the events wait on the bus."
                )
            self._say(f"client-service at {self._url} is away ({why}); trying again in {wait:.0f} s")
            time.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)


def _problem(answer: httpx.Response) -> dict[str, Any]:
    try:
        body: object = answer.json()
    except ValueError:
        return {}
    return cast(dict[str, Any], body) if isinstance(body, dict) else {}


def _told(problem: Mapping[str, Any]) -> str:
    parts = [str(problem[key]) for key in ("title", "detail") if problem.get(key)]
    if errors := problem.get("errors"):
        parts.append(json.dumps(errors, ensure_ascii=False))
    return ". ".join(parts) or "no reason given."
