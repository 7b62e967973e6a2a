"""Credit limits: approval, utilisation, and headroom reserved for fundings."""

from risk_service.limits import api, deadlines
from servicekit.app import Feature

feature = Feature("limits", router=api.router, due=deadlines.due)
