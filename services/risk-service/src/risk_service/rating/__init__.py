"""Rating: the behavioural scorecard, and what risk officers enter."""

from risk_service.rating import api, deadlines
from servicekit.app import Feature

feature = Feature("rating", router=api.router, due=deadlines.due)
