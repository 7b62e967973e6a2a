"""The bill of materials: every package of requirements.lock in CycloneDX, with no address of where it came from."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def of_lock(lock: Path, project: Path) -> dict[str, Any]:
    """The CycloneDX document of a lock file; `project` is the pyproject.toml that says what it is the lock of."""
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", "--short-PURLs", "--output-reproducible"]
    done = subprocess.run([*command, "--pyproject", str(project), str(lock)], capture_output=True, check=True)
    document: dict[str, Any] = json.loads(done.stdout)
    del document["metadata"]["tools"], document["dependencies"]  # a lock knows no graph
    for component in document["components"]:
        component["bom-ref"] = component["purl"]
        del component["description"], component["externalReferences"]  # the lock's line; the registry's address
    return document
