"""The declarative base of this service's tables: one metadata, one set of types."""

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase

from servicekit.database import ModelBase


class Base(ModelBase, DeclarativeBase):
    """Every table of client-service."""


def words(kind: type[StrEnum]) -> sa.Enum:
    """An enumeration kept as its words in a text column, so that a new one needs no migration."""
    return sa.Enum(kind, native_enum=False, create_constraint=False, length=40, values_callable=_values)


def _values(kind: type[StrEnum]) -> list[str]:
    return [member.value for member in kind]
