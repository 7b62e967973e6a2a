"""Who may do what here, and over whose records: the one table that answers both.

The records of this service belong to staff: OWN is a person's own figures and portfolio, TEAM those of their team.
"""

from servicekit.auth import Roles, Scope

READ = ("organisation:read", "staff:read", "portfolios:read", "kpis:read")


def _read(scope: Scope) -> dict[str, Scope]:
    return {**dict.fromkeys(READ, scope), "organisation:read": Scope.ALL}


ROLES: Roles = {
    "relationship_manager": _read(Scope.OWN),
    "service_agent": _read(Scope.OWN),
    "team_lead": _read(Scope.TEAM),
    "risk_officer": _read(Scope.OWN),
    "auditor": {**_read(Scope.ALL), "ops:read": Scope.ALL},
    "operations": {"organisation:read": Scope.ALL, "ops:read": Scope.ALL, "ops:write": Scope.ALL},
    "bank_system": {"organisation:read": Scope.ALL, "organisation:write": Scope.ALL, "staff:write": Scope.ALL},
    "administrator": {**_read(Scope.ALL), "organisation:write": Scope.ALL, "staff:write": Scope.ALL},
}
