"""What the environment tells this service; nothing beyond what every service needs."""

from servicekit.settings import ServiceSettings


class Settings(ServiceSettings):
    """Settings of performance-service."""
