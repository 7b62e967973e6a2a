"""The sample service on one page."""

from pathlib import Path

from servicekit.app import service
from servicekit.auth import Scope

from . import notes

ROLES = {
    "relationship_manager": {"notes:read": Scope.OWN, "notes:write": Scope.OWN},
    "team_lead": {"notes:read": Scope.TEAM},
    "risk_officer": {"notes:read": Scope.ALL, "notes:write": Scope.ALL},
    "operations": {"ops:read": Scope.ALL, "ops:write": Scope.ALL},
    "auditor": {"ops:read": Scope.ALL},
}

app = service(
    "sample",
    features=[notes.feature],
    permissions=ROLES,
    base=notes.Base,
    migrations=Path(__file__).parent / "migrations",
    version="1.0.0",
)
