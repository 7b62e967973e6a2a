"""Clients: who they are and who may see them, as other services tell it."""

from risk_service.clients import subscribers
from servicekit.app import Feature

feature = Feature("clients", subscriptions=[subscribers.on, subscribers.access])
