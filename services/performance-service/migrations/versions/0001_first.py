"""The organisation, staff, portfolios and KPIs, on the rails that every service has."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

from servicekit.migrations import rails_v1

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STAMP = sa.DateTime(timezone=True)
MONEY = sa.Numeric(20, 4)


def upgrade() -> None:
    rails_v1(op)
    op.create_table(
        "unit",
        sa.Column("entity_id", sa.Text, primary_key=True),
        sa.Column("unit_id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("parent", sa.Text),
        sa.Column("team_id", sa.Uuid, unique=True),
        sa.Column("calendar", sa.Text, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_table(
        "staff_member",
        sa.Column("staff_id", sa.Uuid, primary_key=True),
        sa.Column("entity_id", sa.Text, nullable=False),
        sa.Column("team_id", sa.Uuid, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("joined_on", sa.Date, nullable=False),
        sa.Column("left_on", sa.Date),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Index("staff_member_team", "entity_id", "team_id"),
    )
    op.create_table(
        "membership",
        sa.Column("staff_id", sa.Uuid, primary_key=True),
        sa.Column("since", sa.Date, primary_key=True),
        sa.Column("entity_id", sa.Text, nullable=False),
        sa.Column("team_id", sa.Uuid),
        sa.Index("membership_team", "team_id"),
    )
    op.create_table(
        "assignment",
        sa.Column("event_id", sa.Uuid, primary_key=True),
        sa.Column("entity_id", sa.Text, nullable=False),
        sa.Column("client_id", sa.Uuid, nullable=False),
        sa.Column("staff_id", sa.Uuid, nullable=False),
        sa.Column("effective_at", STAMP, nullable=False),
        sa.Index("assignment_client", "client_id", "effective_at"),
        sa.Index("assignment_staff", "staff_id"),
    )
    op.create_table(
        "deed",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("kpi", sa.Text, nullable=False),
        sa.Column("entity_id", sa.Text, nullable=False),
        sa.Column("client_id", sa.Uuid, nullable=False),
        sa.Column("continued_by", sa.Uuid),
        sa.Column("due_on", sa.Date),
        sa.Column("done_on", sa.Date),
        sa.Column("missed", sa.Boolean, nullable=False),
        sa.Column("dropped", sa.Boolean, nullable=False),
        sa.Column("decided_on", sa.Date),
        sa.Column("kept", sa.Boolean),
        sa.Column("event_ids", ARRAY(sa.Uuid), nullable=False),
        sa.Index("deed_decided", "entity_id", "kpi", "decided_on"),
    )
    op.create_table(
        "exposure",
        sa.Column("client_id", sa.Uuid, primary_key=True),
        sa.Column("as_of", sa.Date, primary_key=True),
        sa.Column("currency", sa.Text, primary_key=True),
        sa.Column("entity_id", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("balance", MONEY, nullable=False),
        sa.Column("overdue", MONEY, nullable=False),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Index("exposure_entity", "entity_id", "as_of"),
    )
    op.create_table(
        "measurement",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("entity_id", sa.Text, nullable=False),
        sa.Column("kpi", sa.Text, nullable=False),
        sa.Column("definition", sa.Text, nullable=False),
        sa.Column("subject_kind", sa.Text, nullable=False),
        sa.Column("subject_id", sa.Uuid, nullable=False),
        sa.Column("period", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("value", MONEY),
        sa.Column("numerator", MONEY, nullable=False),
        sa.Column("denominator", MONEY, nullable=False),
        sa.Column("evidence_count", sa.Integer, nullable=False),
        sa.Column("measured_at", STAMP, nullable=False),
        sa.UniqueConstraint("kpi", "subject_id", "period", "revision", name="measurement_revision"),
        sa.Index("measurement_entity", "entity_id", "period"),
    )
