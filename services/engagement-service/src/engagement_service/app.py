"""engagement-service on one page."""

from pathlib import Path

from engagement_service import clients, complaints, contacts, entities, timeline, visits
from engagement_service.model_base import Base
from engagement_service.permissions import ROLES
from servicekit.app import service

features = [feature.feature for feature in (clients, entities, contacts, visits, complaints, timeline)]

app = service(
    "engagement",
    features=features,
    permissions=ROLES,
    base=Base,
    migrations=Path(__file__).parents[2] / "migrations",
    version="0.1.0",
)
