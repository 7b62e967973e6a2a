"""The history of everything on file about a client."""

from client_service.history import api
from servicekit.app import Feature

feature = Feature("history", router=api.router)
