"""The organisation as performance-service tells it, and who may see which client because of it."""

from client_service.organisation import subscribers
from servicekit.app import Feature

feature = Feature("organisation", subscriptions=[subscribers.access, subscribers.on])
