"""The declarative base of risk-service's own tables."""

from sqlalchemy.orm import DeclarativeBase

from servicekit.database import ModelBase


class Base(ModelBase, DeclarativeBase):
    """risk-service's tables. Projections are marked `info["projection"]` and are rebuilt from the topics."""
