"""Who may do what here, and to whose clients: one table of roles."""

from servicekit.auth import Roles, Scope

OWN, TEAM, ALL = Scope.OWN, Scope.TEAM, Scope.ALL

ROLES: Roles = {
    "relationship_manager": {
        "contacts:log": OWN,
        "contacts:read": OWN,
        "timeline:read": OWN,
        "complaints:file": OWN,
        "complaints:read": OWN,
        "visits:read": OWN,
        "visits:plan": OWN,
        "visits:carry-out": OWN,
    },
    "team_lead": {
        "contacts:log": TEAM,
        "contacts:read": TEAM,
        "timeline:read": TEAM,
        "complaints:file": TEAM,
        "complaints:read": TEAM,
        "complaints:handle": TEAM,
        "complaints:assign": TEAM,
        "complaints:approve": TEAM,
        "visits:read": TEAM,
        "visits:plan": TEAM,
        "visits:carry-out": TEAM,
    },
    "service_agent": {
        "contacts:log": ALL,
        "contacts:read": ALL,
        "timeline:read": ALL,
        "complaints:file": ALL,
        "complaints:read": ALL,
        "complaints:handle": ALL,
        "complaints:assign": ALL,
        "visits:read": ALL,
    },
    "risk_officer": {
        "contacts:read": ALL,
        "timeline:read": ALL,
        "complaints:read": ALL,
        "visits:read": ALL,
        "visits:plan": ALL,
    },
    "operations": {"ops:read": ALL, "ops:write": ALL},
    "auditor": {
        "contacts:read": ALL,
        "timeline:read": ALL,
        "complaints:read": ALL,
        "visits:read": ALL,
        "ops:read": ALL,
    },
    "bank_system": {"contacts:log": ALL, "complaints:file": ALL, "complaints:read": ALL},
    "administrator": {"complaints:approve": ALL, "complaints:read": ALL, "ops:read": ALL, "ops:write": ALL},
}
