"""Receivables: every posting of the ledger, and what stands open as of any date."""

from risk_service.receivables import api, subscribers
from servicekit.app import Feature

feature = Feature("receivables", router=api.router, subscriptions=[subscribers.on])
