"""The client archive: registering, finding and changing clients."""

from client_service.clients import api
from servicekit.app import Feature

feature = Feature("clients", router=api.router)
