"""performance-service on one page."""

from pathlib import Path

from performance_service import kpis, organisation, portfolios, staff
from performance_service.model_base import Base
from performance_service.permissions import ROLES
from performance_service.settings import Settings
from servicekit.app import service

app = service(
    "performance",
    features=[organisation.feature, staff.feature, portfolios.feature, kpis.feature],
    permissions=ROLES,
    settings=Settings,
    base=Base,
    migrations=Path(__file__).parents[2] / "migrations",
    version="0.1.0",
    own_access={"access_owner", "access_member"},
)
