"""Legal entities, branches and teams as one tree."""

from performance_service.organisation.api import router
from servicekit.app import Feature

feature = Feature("organisation", router=router)
