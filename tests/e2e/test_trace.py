"""One trace from an HTTP request in one service to the effects in the other three."""

from secrets import token_hex

from bus import eventually
from localplatform.testing import RunningPlatform
from spans import Collector, Span

SERVICES = {"client-service", "risk-service", "engagement-service", "performance-service"}


async def test_a_request_and_what_it_causes_elsewhere_are_one_trace(
    platform: RunningPlatform, traces: Collector
) -> None:
    trace, caller = token_hex(16), token_hex(8)
    async with platform.http("client", "bank_system", "TRACE-FACTOR") as ledger:
        body = {"name": "Traced Trading", "external_numbers": [{"system": "trace-ledger", "number": "T-1"}]}
        answer = await ledger.post("/clients", json=body, headers={"traceparent": f"00-{trace}-{caller}-01"})
        assert answer.status_code == 201, answer.text

    async def heard() -> list[Span]:
        return [span for span in traces.spans if span.trace == trace]

    spans = await eventually(heard, lambda found: {span.service for span in found} >= SERVICES)
    ids = {span.id for span in spans} | {caller}
    assert all(span.parent in ids for span in spans), "every span hangs from the request"
    request = next(span for span in spans if span.parent == caller)
    assert request.service == "client-service"
