"""client-service on one page: everything it can do, in a list."""

from pathlib import Path

from client_service.assignments import feature as assignments
from client_service.clients import feature as clients
from client_service.factoring_contracts import feature as factoring_contracts
from client_service.facts import feature as facts
from client_service.history import feature as history
from client_service.lifecycle import feature as lifecycle
from client_service.model_base import Base
from client_service.organisation import feature as organisation
from client_service.overview import feature as overview
from client_service.permissions import PERMISSIONS
from client_service.persons import feature as persons
from client_service.settings import Settings
from client_service.standing import feature as standing
from servicekit.app import service

app = service(
    "client",
    features=[
        clients,
        persons,
        lifecycle,
        factoring_contracts,
        assignments,
        facts,
        overview,
        history,
        standing,
        organisation,
    ],
    permissions=PERMISSIONS,
    settings=Settings,
    base=Base,
    migrations=Path(__file__).parents[2] / "migrations",
    version="0.1.0",
    own_access={"access_owner", "alias"},
)
