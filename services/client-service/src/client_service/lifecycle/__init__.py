"""From the first lead to a proper termination."""

from client_service.lifecycle import api
from servicekit.app import Feature

feature = Feature("lifecycle", router=api.router)
