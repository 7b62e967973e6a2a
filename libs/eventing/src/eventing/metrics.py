"""What can be watched of the rails: Prometheus collectors, registered once per process."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

EVENTS: Final = Counter("eventing_events_total", "Events consumed, by outcome", ["group", "type", "outcome"])
BATCH_SECONDS: Final = Histogram("eventing_batch_seconds", "Time from fetch to commit of one poll", ["group", "topic"])
HANDLER_SECONDS: Final = Histogram("eventing_handler_seconds", "Time in a handler, per event", ["type"])
HALTED: Final = Gauge("eventing_consumer_halted", "1 when the alarm stopped a consumer group", ["group"])
PUBLISHED: Final = Counter("eventing_outbox_published_total", "Outbox rows acknowledged by Kafka")
REFUSED_KEYS: Final = Gauge("eventing_outbox_refused_keys", "Keys stopped because Kafka refuses their next row")
_PARTITION: Final = ["group", "topic", "partition"]
CONSUMED: Final = Gauge("eventing_consumer_offset", "Where the database stands, by `watch`", _PARTITION)
LAG: Final = Gauge("eventing_consumer_lag", "Records not consumed, by `watch`", _PARTITION)
OUTBOX_ROWS: Final = Gauge("eventing_outbox_rows", "Rows that wait in the outbox (an estimate above 10 000)")
OUTBOX_AGE: Final = Gauge("eventing_outbox_oldest_age_seconds", "Age of the oldest row that waits in the outbox")
PARKED_KEYS: Final = Gauge("eventing_parked_keys", "Keys that wait behind a parked event")
PARKED_EVENTS: Final = Gauge("eventing_parked_events", "Events parked, those behind others included")
RELAY_LEADS: Final = Gauge("eventing_relay_leader", "1 while this process publishes the outbox")
KAFKA_AWAY: Final = Gauge("eventing_relay_kafka_away", "1 while outbox rows wait for Kafka")
