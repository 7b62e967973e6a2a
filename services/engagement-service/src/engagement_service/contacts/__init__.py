"""Contacts (E1): what was said with a client, on any channel."""

from engagement_service.contacts.api import router
from servicekit.app import Feature

feature = Feature("contacts", router)
