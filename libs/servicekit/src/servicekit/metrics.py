"""Prometheus metrics of the rails that servicekit drives; served on a port of their own, without a token."""

from prometheus_client import Counter, Gauge, Histogram

HTTP_REQUESTS = Counter("http_requests", "Requests answered", ("method", "route", "status"))
HTTP_SECONDS = Histogram(
    "http_request_duration_seconds",
    "Time to answer",
    ("method", "route"),
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
HTTP_IN_FLIGHT = Gauge("http_requests_in_flight", "Requests being worked on")
DUE_RUN = Counter("due_work_run", "Due work run", ("kind", "outcome"))
DUE_LATE = Gauge("due_work_oldest_late_seconds", "How late the oldest due work on wall time is")
DUE_STUCK = Gauge("due_work_stuck", "Due work that has failed more often than it is retried")
READY = Gauge("service_ready", "Whether /health/ready answered 200 when the metrics were asked for")
