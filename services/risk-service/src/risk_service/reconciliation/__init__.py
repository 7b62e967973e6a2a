"""Reconciliation: each business day's postings against the ledger's control totals."""

from risk_service.reconciliation import api, subscribers
from servicekit.app import Feature

feature = Feature("reconciliation", router=api.router, subscriptions=[subscribers.on])
