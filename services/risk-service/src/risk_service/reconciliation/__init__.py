"""Reconciliation: each business day's postings against the ledger's control totals."""

from risk_service.reconciliation import api
from servicekit.app import Feature

feature = Feature("reconciliation", router=api.router)
