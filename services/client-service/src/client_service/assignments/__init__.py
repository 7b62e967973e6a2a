"""Which member of staff answers for which client."""

from client_service.assignments import api
from servicekit.app import Feature

feature = Feature("assignments", router=api.router)
