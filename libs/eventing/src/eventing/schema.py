"""The tables that the rails stand on, one set in every service's own database.

`create_v1` is frozen: it is what each service's first migration calls, so it may never change; a later need is a
`create_v2`. The outbox's columns are those of Debezium's outbox event router, so that it could take the relay's place.

Retention: an outbox row lives until Kafka has acknowledged it; an inbox row 30 days (`seen.maintain_inbox`); a parked
event until it is replayed and 30 days more, a discarded one for ever (it is an audit record); offsets, leases and halts
for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

if TYPE_CHECKING:  # half a second of every start, for an annotation
    from alembic.operations import Operations

METADATA: Final = sa.MetaData()
_stamp: Final = sa.DateTime(timezone=True)
_now: Final = sa.text("clock_timestamp()")

outbox: Final = sa.Table(
    "outbox",
    METADATA,
    sa.Column("seq", sa.BigInteger, primary_key=True, server_default=sa.text("nextval('outbox_seq')")),
    sa.Column("id", sa.Uuid, nullable=False),
    sa.Column("aggregatetype", sa.Text, nullable=False, comment="topic"),
    sa.Column("aggregateid", sa.Text, nullable=False, comment="partition key"),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("subject", sa.Text),
    sa.Column("time", sa.Text, nullable=False),
    sa.Column("specversion", sa.Text, nullable=False),
    sa.Column("dataschema", sa.Text),
    sa.Column("datacontenttype", sa.Text, nullable=False),
    sa.Column("correlationid", sa.Text),
    sa.Column("causationid", sa.Text),
    sa.Column("actor", sa.Text),
    sa.Column("traceparent", sa.Text),
)

relay_lease: Final = sa.Table(
    "relay_lease",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", sa.Uuid, nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("until", _stamp, nullable=False),
)

relay_refused: Final = sa.Table(
    "relay_refused",
    METADATA,
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("stopped", sa.Boolean, nullable=False),
    sa.Column("since", _stamp, nullable=False, server_default=_now),
)

inbox: Final = sa.Table(
    "inbox",
    METADATA,
    sa.Column("consumer_group", sa.Text, primary_key=True),
    sa.Column("ce_time", _stamp, primary_key=True),
    sa.Column("ce_id", sa.Uuid, primary_key=True),
    sa.Column("received_at", _stamp, nullable=False, server_default=_now),
    postgresql_partition_by="RANGE (ce_time)",
)

consumer_offset: Final = sa.Table(
    "consumer_offset",
    METADATA,
    sa.Column("consumer_group", sa.Text, primary_key=True),
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True),
    sa.Column("next_offset", sa.BigInteger, nullable=False),
    sa.Column("opened", sa.Integer, nullable=False, server_default="0", comment="assignments since the last commit"),
    sa.Column("attempt_offset", sa.BigInteger, comment="the event being tried, recorded before it is"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
)

parked_key: Final = sa.Table(
    "parked_key",
    METADATA,
    sa.Column("consumer_group", sa.Text, primary_key=True),
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("since", _stamp, nullable=False, server_default=_now),
)

parked_event: Final = sa.Table(
    "parked_event",
    METADATA,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("consumer_group", sa.Text, nullable=False),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("partition", sa.Integer, nullable=False),
    sa.Column("offset", sa.BigInteger, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("ce_id", sa.Text),
    sa.Column("ce_type", sa.Text),
    sa.Column("headers", JSONB, nullable=False),
    sa.Column("value", sa.LargeBinary),
    sa.Column("known_at", _stamp, nullable=False),
    sa.Column("error_class", sa.Text, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("behind", sa.Boolean, nullable=False, comment="not at fault: an earlier event of its key is"),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("parked_at", _stamp, nullable=False, server_default=_now),
    sa.Column("status", sa.Text, nullable=False, server_default="parked"),
    sa.Column("settled_at", _stamp),
    sa.Column("settled_by", sa.Text),
    sa.Column("reason", sa.Text),
    sa.UniqueConstraint("consumer_group", "topic", "partition", "offset"),
    sa.CheckConstraint("status IN ('parked', 'replayed', 'discarded')", name="parked_event_status"),
    sa.CheckConstraint("status <> 'discarded' OR reason IS NOT NULL", name="parked_event_reason"),
)
sa.Index(
    "parked_event_queue",
    parked_event.c.consumer_group,
    parked_event.c.topic,
    parked_event.c.key,
    parked_event.c.offset,
    postgresql_where=parked_event.c.status == "parked",
)

consumer_halt: Final = sa.Table(
    "consumer_halt",
    METADATA,
    sa.Column("consumer_group", sa.Text, primary_key=True),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("since", _stamp, nullable=False, server_default=_now),
)


def create_v1(op: Operations) -> None:
    """Create every table of the rails in the migration's current schema."""
    op.execute("CREATE SEQUENCE outbox_seq AS bigint CACHE 1")
    METADATA.create_all(op.get_bind(), checkfirst=False)
    op.execute("CREATE TABLE inbox_default PARTITION OF inbox DEFAULT")
    op.execute("CREATE INDEX inbox_default_received_at ON inbox_default (received_at)")
    op.execute(
        "ALTER TABLE outbox SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,"
        " autovacuum_vacuum_cost_delay = 0)"
    )
