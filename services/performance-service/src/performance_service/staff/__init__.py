"""Who works here, in which team, since when."""

from performance_service.staff.api import router
from performance_service.staff.subscribers import on
from servicekit.app import Feature

feature = Feature("staff", router=router, subscriptions=[on])
