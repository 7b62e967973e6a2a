"""Visits (E2): planned by hand or by a warning, made, missed, reported on."""

from engagement_service.visits.api import router
from engagement_service.visits.due import due
from engagement_service.visits.subscribers import on
from servicekit.app import Feature

feature = Feature("visits", router, (on,), due)
