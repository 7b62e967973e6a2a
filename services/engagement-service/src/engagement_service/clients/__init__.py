"""Clients as others tell of them: who they are, who serves them, by which ids they are known."""

from engagement_service.clients.subscribers import access, on
from servicekit.app import Feature

feature = Feature("clients", subscriptions=(on, access))
