"""The people we speak with at a client; the only personal data of this service."""

from client_service.persons import api
from servicekit.app import Feature

feature = Feature("persons", router=api.router)
