"""Who may do what in risk-service, and whose rows each role reaches: the one table."""

from servicekit.auth import Roles, Scope

READ = (
    "receivables:read",
    "indicators:read",
    "alerts:read",
    "ratings:read",
    "limits:read",
    "warning-rules:read",
)
RISK_OFFICER = (
    *READ,
    "alerts:handle",
    "ratings:assign",
    "limits:approve",
    "limits:reserve",
    "breaks:read",
    "breaks:handle",
    "warning-rules:change",
)

PERMISSIONS: Roles = {
    "risk_officer": dict.fromkeys(RISK_OFFICER, Scope.ALL),
    "team_lead": {**dict.fromkeys(READ, Scope.TEAM), "alerts:handle": Scope.TEAM},
    "relationship_manager": {**dict.fromkeys(READ, Scope.OWN), "alerts:handle": Scope.OWN},
    "operations": {
        **dict.fromkeys((*READ, "breaks:read", "breaks:handle", "limits:reserve"), Scope.ALL),
        "ops:read": Scope.ALL,
        "ops:write": Scope.ALL,
    },
    "auditor": {**dict.fromkeys((*READ, "breaks:read"), Scope.ALL), "ops:read": Scope.ALL},
    "bank_system": dict.fromkeys(("limits:read", "limits:reserve", "ratings:read", "indicators:read"), Scope.ALL),
    "administrator": {"ops:read": Scope.ALL, "ops:write": Scope.ALL, "warning-rules:read": Scope.ALL},
}
