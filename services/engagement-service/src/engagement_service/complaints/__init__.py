"""Complaints (E4): from filing to closing, under a statutory and an internal clock."""

from engagement_service.complaints.api import router
from engagement_service.complaints.due import due
from servicekit.app import Feature

feature = Feature("complaints", router, due=due)
