"""What can be watched of the rails: Prometheus collectors, registered once per process."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

EVENTS: Final = Counter("eventing_events_total", "Events consumed, by outcome", ["group", "type", "outcome"])
BATCH_SECONDS: Final = Histogram("eventing_batch_seconds", "Time from fetch to commit of one poll", ["group", "topic"])
HANDLER_SECONDS: Final = Histogram("eventing_handler_seconds", "Time in a handler, per event", ["type"])
HALTED: Final = Gauge("eventing_consumer_halted", "1 when the alarm stopped a consumer group", ["group"])
PUBLISHED: Final = Counter("eventing_outbox_published_total", "Outbox rows acknowledged by Kafka")
REFUSED_KEYS: Final = Gauge("eventing_outbox_refused_keys", "Keys stopped because Kafka refuses their next row")
LAG: Final = Gauge("eventing_consumer_lag", "Records after the database's offset", ["group", "topic", "partition"])
