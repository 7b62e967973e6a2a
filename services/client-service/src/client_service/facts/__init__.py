"""Monthly facts per client from the ledger's events."""

from client_service.facts import api, subscribers
from servicekit.app import Feature

feature = Feature("facts", router=api.router, subscriptions=[subscribers.on])
