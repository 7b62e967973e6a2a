"""Contacts, complaints, visits; what is known of clients and legal entities."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from servicekit.migrations import rails_v1

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
CODE = sa.String(32)


def upgrade() -> None:
    rails_v1(op)
    op.create_table(
        "client",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("entity_id", sa.Text, nullable=False),
        sa.Column("branch_id", sa.Text),
        sa.Column("registered", sa.Boolean, nullable=False),
        sa.Column("stage", CODE),
    )
    op.create_table(
        "legal_entity",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("calendar", sa.Text, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("told_at", MOMENT, nullable=False),
    )
    op.create_table(
        "contact",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("entity_id", sa.Text, nullable=False),
        sa.Column("client_id", sa.Uuid, nullable=False),
        sa.Column("debtor_id", sa.Uuid),
        sa.Column("contact_person_id", sa.Uuid),
        sa.Column("staff_id", sa.Uuid, nullable=False),
        sa.Column("channel", CODE, nullable=False),
        sa.Column("direction", CODE, nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("answered_at", MOMENT),
        sa.Column("response_seconds", sa.Integer),
        sa.Column("outcome", CODE, nullable=False),
        sa.Column("next_step", sa.Text),
        sa.Column("next_step_on", sa.Date),
        sa.Column("note", sa.LargeBinary),
        sa.Column("logged_at", MOMENT, nullable=False),
    )
    op.create_index("ix_contact_client_id", "contact", ["client_id", "started_at", "id"])
    op.create_index("ix_contact_entity_id", "contact", ["entity_id", "started_at", "id"])
    op.create_table(
        "complaint",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("entity_id", sa.Text, nullable=False),
        sa.Column("client_id", sa.Uuid, nullable=False),
        sa.Column("category", CODE, nullable=False),
        sa.Column("complexity", CODE, nullable=False),
        sa.Column("channel", CODE, nullable=False),
        sa.Column("state", CODE, nullable=False),
        sa.Column("complainant_id", sa.Uuid),
        sa.Column("about_staff_id", sa.Uuid),
        sa.Column("handler_id", sa.Uuid),
        sa.Column("narrative", sa.LargeBinary),
        sa.Column("answer", sa.LargeBinary),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("received_on", sa.Date, nullable=False),
        sa.Column("filed_at", MOMENT, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("calendar", sa.Text, nullable=False),
        sa.Column("zone", sa.Text, nullable=False),
        sa.Column("place_assumed", sa.Boolean, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("started_on", sa.Date, nullable=False),
        sa.Column("due_on", sa.Date, nullable=False),
        sa.Column("target_on", sa.Date, nullable=False),
        sa.Column("clocks", JSONB, nullable=False),
        sa.Column("acknowledged_at", MOMENT),
        sa.Column("reminded_at", MOMENT),
        sa.Column("missed_at", MOMENT),
        sa.Column("extension_requested_by", sa.Text),
        sa.Column("extension_requested_at", MOMENT),
        sa.Column("extension_approved_by", sa.Text),
        sa.Column("extended", sa.Boolean, nullable=False),
        sa.Column("answered_at", MOMENT),
        sa.Column("answered_on", sa.Date),
        sa.Column("outcome", CODE),
        sa.Column("closed_at", MOMENT),
        sa.Column("withdrawn_on", sa.Date),
    )
    op.create_index("ix_complaint_client_id", "complaint", ["client_id", "received_at", "id"])
    op.create_index("ix_complaint_entity_id", "complaint", ["entity_id", "due_on", "id"])
    op.create_table(
        "visit",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("entity_id", sa.Text, nullable=False),
        sa.Column("client_id", sa.Uuid, nullable=False),
        sa.Column("reason", CODE, nullable=False),
        sa.Column("state", CODE, nullable=False),
        sa.Column("zone", sa.Text, nullable=False),
        sa.Column("policy", sa.Text),
        sa.Column("raised_at", MOMENT, nullable=False),
        sa.Column("raised_on", sa.Date, nullable=False),
        sa.Column("due_on", sa.Date, nullable=False),
        sa.Column("agreed_for", sa.Date),
        sa.Column("planned_by", sa.Uuid),
        sa.Column("missed_on", sa.Date),
        sa.Column("completed_on", sa.Date),
        sa.Column("completed_by", sa.Uuid),
        sa.Column("on_time", sa.Boolean),
        sa.Column("met_id", sa.Uuid),
        sa.Column("needs", JSONB, nullable=False),
        sa.Column("progress", sa.LargeBinary),
        sa.Column("opinions", sa.LargeBinary),
        sa.Column("cancel_reason", CODE),
    )
    op.create_index("ix_visit_client_id", "visit", ["client_id", "raised_at", "id"])
    op.create_index("ix_visit_entity_id", "visit", ["entity_id", "due_on", "id"])
    op.create_table(
        "visit_cause",
        sa.Column("event_id", sa.Uuid, primary_key=True),
        sa.Column("visit_id", sa.Uuid, nullable=False),
        sa.Column("entity_id", sa.Text, nullable=False),
        sa.Column("alert_id", sa.Uuid),
        sa.Column("raised_on", sa.Date, nullable=False),
        sa.Column("closed_on", sa.Date),
    )
    op.create_index("ix_visit_cause_visit_id", "visit_cause", ["visit_id"])
    op.create_index("ix_visit_cause_alert_id", "visit_cause", ["alert_id"])
