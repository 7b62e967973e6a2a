"""Who may do what in client-service, and how far it reaches: the one table.

A client without a relationship manager is within nobody's OWN and no TEAM: only roles that reach ALL see it.
"""

from servicekit.auth import Roles, Scope

OWN, TEAM, ALL = Scope.OWN, Scope.TEAM, Scope.ALL

_READ = ("clients:read", "lifecycle:read", "contracts:read", "assignments:read", "facts:read", "overview:read")
_SERVE = (
    "clients:change",
    "clients:history",
    "persons:read",
    "persons:change",
    "lifecycle:move",
    "contracts:draft",
    "contracts:sign",
)

PERMISSIONS: Roles = {
    "relationship_manager": {
        "clients:register": ALL,
        **dict.fromkeys((*_READ, *_SERVE), OWN),
    },
    "team_lead": {
        "clients:register": ALL,
        "assignments:assign": TEAM,
        **dict.fromkeys((*_READ, *_SERVE), TEAM),
    },
    "risk_officer": {
        "clients:history": ALL,
        "lifecycle:move": ALL,
        **dict.fromkeys(_READ, ALL),
    },
    "service_agent": {
        "persons:read": ALL,
        **dict.fromkeys(_READ, ALL),
    },
    "operations": {
        "ops:read": ALL,
        "ops:write": ALL,
        "clients:register": ALL,
        "assignments:assign": ALL,
        **dict.fromkeys((*_READ, *_SERVE), ALL),
    },
    "auditor": {
        "clients:history": ALL,
        "ops:read": ALL,
        **dict.fromkeys(_READ, ALL),
    },
    "administrator": {
        "ops:read": ALL,
        "ops:write": ALL,
        "clients:register": ALL,
        "clients:change": ALL,
        "clients:history": ALL,
        "assignments:assign": ALL,
        **dict.fromkeys(_READ, ALL),
    },
    "bank_system": {
        "clients:register": ALL,
        "clients:read": ALL,
    },
}
