"""Legal entities as performance-service tells of them: calendar and time zone."""

from engagement_service.entities.subscribers import on
from servicekit.app import Feature

feature = Feature("entities", subscriptions=(on,))
