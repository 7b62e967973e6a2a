"""The bill of materials names what the lock names, and nobody's registry or machine."""

import json
import re

from localplatform import sbom
from localplatform.platform import ROOT

LOCK = ROOT / "requirements.lock"


def test_it_equals_the_lock_and_names_no_address() -> None:
    document = sbom.of_lock(LOCK, ROOT / "pyproject.toml")
    locked = re.findall(r"^([\w.-]+)(?:\[[^\]]*\])?==([^\s;]+)", LOCK.read_text(), re.MULTILINE)
    assert len(locked) > 100
    assert sorted((each["name"], each["version"]) for each in document["components"]) == sorted(locked)
    assert all(each["purl"] == f"pkg:pypi/{each['name']}@{each['version']}" for each in document["components"])
    text = json.dumps({name: part for name, part in document.items() if name != "$schema"})
    assert "://" not in text
    assert str(ROOT) not in text
