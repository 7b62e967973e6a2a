"""The first cut of the 360° view."""

from client_service.overview import api
from servicekit.app import Feature

feature = Feature("overview", router=api.router)
