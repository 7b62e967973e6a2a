"""Closing a client's business day: figures, breaks, warnings and limits, one after the other."""

from risk_service.closing import subscribers
from servicekit.app import Feature

feature = Feature("closing", subscriptions=[subscribers.on])
