"""Early warning: rules over the daily snapshots, and alerts."""

from risk_service.warnings import api
from servicekit.app import Feature

feature = Feature("warnings", router=api.router)
