"""Transactional events: what commits is published in order, and what is published takes effect once."""

from eventing.failures import Failure
from eventing.inbox import Consumer, ReleaseLooksBroken
from eventing.kafka import KafkaSettings
from eventing.outbox import CauseNeeded, derived_id, emit, outbox_depth
from eventing.relay import LeaseLost, Relay
from eventing.session import Context, ProjectionActs, bind, context, sessions, write_last
from eventing.subscriptions import Subscriptions
from eventing.waker import Waker

__all__ = [
    "CauseNeeded",
    "Consumer",
    "Context",
    "Failure",
    "KafkaSettings",
    "LeaseLost",
    "ProjectionActs",
    "Relay",
    "ReleaseLooksBroken",
    "Subscriptions",
    "Waker",
    "bind",
    "context",
    "derived_id",
    "emit",
    "outbox_depth",
    "sessions",
    "write_last",
]
