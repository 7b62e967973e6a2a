"""The declarative base of this service: one metadata, the rails' column types, enumerations kept as their values."""

from collections.abc import Mapping
from enum import Enum, StrEnum
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase

from servicekit.database import ModelBase


def _values(enumeration: type[Enum]) -> list[str]:
    return [member.value for member in enumeration]


class Base(ModelBase, DeclarativeBase):
    """All tables that engagement-service owns or projects."""

    type_annotation_map: ClassVar[Mapping[Any, Any]] = {
        **ModelBase.type_annotation_map,
        StrEnum: sa.Enum(Enum, native_enum=False, length=32, values_callable=_values),
    }
