"""Scores from events alone, each down to the events behind it."""

from performance_service.kpis.api import router
from performance_service.kpis.due import due
from performance_service.kpis.subscribers import on
from servicekit.app import Feature

feature = Feature("kpis", router=router, subscriptions=[on], due=due)
