"""What risk and engagement say of our clients: projections that lifecycle and overview read."""

from client_service.standing import subscribers
from servicekit.app import Feature

feature = Feature("standing", subscriptions=[subscribers.on])
