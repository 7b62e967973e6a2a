"""risk-service on one page: its features, in the order in which they hear an event."""

from pathlib import Path

from risk_service import clients, closing, limits, monitoring, rating, receivables, reconciliation, warnings
from risk_service.model_base import Base
from risk_service.permissions import PERMISSIONS
from risk_service.settings import Settings
from servicekit.app import Service, service

app: Service = service(
    "risk",
    features=[
        clients.feature,
        receivables.feature,
        closing.feature,
        monitoring.feature,
        warnings.feature,
        limits.feature,
        rating.feature,
        reconciliation.feature,
    ],
    permissions=PERMISSIONS,
    base=Base,
    migrations=Path(__file__).parents[2] / "migrations",
    version="0.1.0",
    settings=Settings,
)
