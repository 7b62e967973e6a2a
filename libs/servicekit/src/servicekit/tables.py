"""The tables that servicekit keeps in every service's database, beside eventing's.

`migrations.rails_v1` creates them by frozen DDL; a test compares the two.
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

METADATA = sa.MetaData()
_stamp = sa.DateTime(timezone=True)

idempotency = sa.Table(
    "idempotency",
    METADATA,
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("operation", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("fingerprint", sa.LargeBinary, nullable=False),
    sa.Column("status", sa.SmallInteger, nullable=False),
    sa.Column("headers", JSONB, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("created_at", _stamp, nullable=False),
    sa.Index("idempotency_created_at", "created_at"),
)

audit = sa.Table(
    "audit",
    METADATA,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("at", _stamp, nullable=False),
    sa.Column("actor", sa.Text),
    sa.Column("entity_id", sa.Text),
    sa.Column("operation", sa.Text, nullable=False),
    sa.Column("table_name", sa.Text, nullable=False),
    sa.Column("row_id", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("before", JSONB(none_as_null=True)),
    sa.Column("after", JSONB(none_as_null=True)),
    sa.Column("correlation_id", sa.Text),
    sa.Column("causation_id", sa.Text),
    sa.Column("sealed_order", sa.BigInteger),
    sa.Column("sealed_hash", sa.LargeBinary),
    sa.Index("audit_row", "table_name", "row_id", "id"),
    sa.Index("audit_unsealed", "id", postgresql_where=sa.text("sealed_order IS NULL")),
)

due_work = sa.Table(
    "due_work",
    METADATA,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("clock", sa.Text, nullable=False),
    sa.Column("due_at", _stamp),
    sa.Column("due_on", sa.Date),
    sa.Column("payload", JSONB, nullable=False),
    sa.Column("attempts", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("retry_at", _stamp),
    sa.Column("error", sa.Text),
    sa.Column("correlation_id", sa.Text),
    sa.Column("traceparent", sa.Text),
    sa.CheckConstraint("(due_at IS NULL) <> (due_on IS NULL)", name="due_work_one_due"),
    sa.Index("due_work_wall", sa.text("coalesce(retry_at, due_at)"), postgresql_where=sa.text("clock = 'wall'")),
    sa.Index("due_work_business", "clock", "due_on", postgresql_where=sa.text("due_on IS NOT NULL")),
)

person_key = sa.Table(
    "person_key",
    METADATA,
    sa.Column("person_id", sa.Uuid, primary_key=True),
    sa.Column("master_id", sa.Text, nullable=False),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
    sa.Column("created_at", _stamp, nullable=False, server_default=sa.func.now()),
)

_projection = {"projection": True}

access_owner = sa.Table(
    "access_owner",
    METADATA,
    sa.Column("object_id", sa.Uuid, primary_key=True),
    sa.Column("entity_id", sa.Text, nullable=False),
    sa.Column("owner_id", sa.Uuid),
    sa.Column("at", _stamp, nullable=False),
    sa.Index("access_owner_owner", "owner_id", "entity_id"),
    info=_projection,
)

access_member = sa.Table(
    "access_member",
    METADATA,
    sa.Column("member_id", sa.Uuid, primary_key=True),
    sa.Column("entity_id", sa.Text, nullable=False),
    sa.Column("group_id", sa.Uuid),
    sa.Column("at", _stamp, nullable=False),
    sa.Index("access_member_group", "group_id", "entity_id"),
    info=_projection,
)

alias = sa.Table(
    "alias",
    METADATA,
    sa.Column("alias_id", sa.Uuid, primary_key=True),
    sa.Column("target_id", sa.Uuid, nullable=False),
    sa.Column("at", _stamp, nullable=False),
    sa.Index("alias_target", "target_id"),
    info=_projection,
)
