"""What risk-service reads from its environment: what every service does, and nothing of its own yet."""

from servicekit.settings import ServiceSettings


class Settings(ServiceSettings):
    """See `python -m risk_service settings`."""
