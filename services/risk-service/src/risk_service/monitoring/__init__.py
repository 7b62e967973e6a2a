"""Monitoring: exposure and indicators as of any date, and daily snapshots."""

from risk_service.monitoring import api
from servicekit.app import Feature

feature = Feature("monitoring", router=api.router)
