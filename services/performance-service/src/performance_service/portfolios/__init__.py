"""Which client was in whose hands, and when."""

from performance_service.portfolios.api import router
from performance_service.portfolios.subscribers import on
from servicekit.app import Feature

feature = Feature("portfolios", router=router, subscriptions=[on])
