"""The timeline of a client: contacts, visits and complaints in one list."""

from engagement_service.timeline.api import router
from servicekit.app import Feature

feature = Feature("timeline", router)
