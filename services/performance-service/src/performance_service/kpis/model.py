"""Published KPI values: one row a revision, never changed afterwards."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from contracts.performance import KpiSubject
from performance_service.kpis.definitions import Kpi
from performance_service.model_base import Base


class Measurement(Base):
    """What was told to the world about a KPI of a person or team in a month."""

    __tablename__ = "measurement"
    __table_args__ = (
        sa.UniqueConstraint("kpi", "subject_id", "period", "revision", name="measurement_revision"),
        sa.Index("measurement_entity", "entity_id", "period"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    entity_id: Mapped[str]
    kpi: Mapped[Kpi]
    definition: Mapped[str]
    subject_kind: Mapped[KpiSubject]
    subject_id: Mapped[UUID]
    period: Mapped[str]
    revision: Mapped[int]
    value: Mapped[Decimal | None]
    numerator: Mapped[Decimal]
    denominator: Mapped[Decimal]
    evidence_count: Mapped[int]
    measured_at: Mapped[datetime]
