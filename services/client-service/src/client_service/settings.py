"""What client-service needs from its environment: nothing beyond what every service does."""

from servicekit.settings import ServiceSettings


class Settings(ServiceSettings):
    """The settings of client-service."""
