import sqlalchemy as sa
from alembic import op

from servicekit.migrations import rails_v1

revision = "0001"
down_revision = None


def upgrade() -> None:
    rails_v1(op)
    op.create_table(
        "note",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("client_id", sa.Uuid, nullable=False),
        sa.Column("entity_id", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("size", sa.Integer),
        sa.Column("amount", sa.Numeric(20, 4)),
        sa.Column("phone", sa.LargeBinary),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("entity_id", "code", name="uq_note_code"),
    )
    op.create_table(
        "seen_client",
        sa.Column("client_id", sa.Uuid, primary_key=True),
        sa.Column("times", sa.Integer, nullable=False),
    )
