"""The declarative base of this service's tables."""

from sqlalchemy.orm import DeclarativeBase

from servicekit.database import ModelBase


class Base(ModelBase, DeclarativeBase):
    """Every table of performance-service."""
