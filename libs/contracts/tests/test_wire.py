"""Events as Kafka records."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts import (
    FeedbackSubmitted,
    FundingDrawn,
    LeadCaptured,
    Meta,
    Money,
    PostingReversed,
    ReceivableAssigned,
    wire,
)
from contracts.bank.ledger import DueBasis
from contracts.catalogue import all_events
from contracts.client import LeadSource

NOW = datetime(2026, 11, 3, 2, 15, tzinfo=UTC)
tokens = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._:/#+-]{0,127}\Z")


@given(
    amount=st.decimals(min_value=Decimal("-1E9"), max_value=Decimal("1E9"), places=2),
    number=tokens,
    occurred_at=st.datetimes(timezones=st.just(timezone(timedelta(hours=8)))).filter(lambda moment: moment.year > 1),
    due=st.none() | st.dates(),
    basis=st.sampled_from([basis for basis in DueBasis if basis is not DueBasis.UNKNOWN]),
    tracked=st.booleans(),
    ids=st.lists(st.uuids(), min_size=4, max_size=4),
)
def test_an_event_comes_back_as_it_went(
    amount: Decimal,
    number: str,
    occurred_at: datetime,
    due: date | None,
    basis: DueBasis,
    tracked: bool,
    ids: list[UUID],
) -> None:
    event = ReceivableAssigned(
        entity_id="DEMO-FACTOR",
        occurred_at=occurred_at,
        client_id=ids[0],
        posting_id=ids[1],
        business_date=date(2026, 11, 2),
        receivable_id=ids[2],
        debtor_id=ids[3],
        invoice_number=number,
        issue_date=date(2026, 10, 30),
        due_date=due,
        due_basis=basis,
        amount=Money(amount=amount, currency="CNY"),
        settlement_tracked=tracked,
    )
    key, value, headers = wire.to_wire(event, id=ids[0], source="/factoring/ledger", time=NOW)
    assert ReceivableAssigned.model_validate_json(value) == event
    assert key.decode() == str(event.client_id)
    assert b"null" not in value
    assert wire.read_headers(headers).id == ids[0]


def test_the_headers_are_cloudevents_in_binary_mode() -> None:
    event = PostingReversed.example()
    identity = uuid4()
    _, _, headers = wire.to_wire(
        event,
        id=identity,
        source="/factoring/ledger",
        time=NOW.astimezone(timezone(timedelta(hours=8))),
        correlation_id="c",
        causation_id="b",
        actor="a",
        traceparent="00-1-2-01",
    )
    assert dict(headers) == {
        "ce_id": str(identity).encode(),
        "ce_type": b"factoring.ledger.posting-reversed.v1",
        "ce_source": b"/factoring/ledger",
        "ce_subject": str(event.client_id).encode(),
        "ce_time": b"2026-11-03T02:15:00Z",
        "ce_specversion": b"1.0",
        "ce_dataschema": b"urn:factoring:schema:factoring.ledger.posting-reversed.v1",
        "content-type": b"application/json",
        "ce_correlationid": b"c",
        "ce_causationid": b"b",
        "ce_actor": b"a",
        "traceparent": b"00-1-2-01",
    }
    assert wire.read_headers(headers) == wire.Envelope(
        id=identity,
        type="factoring.ledger.posting-reversed.v1",
        source="/factoring/ledger",
        time=NOW,
        subject=str(event.client_id),
        correlation_id="c",
        causation_id="b",
        actor="a",
        traceparent="00-1-2-01",
    )


def test_an_anonymous_event_carries_nothing_that_leads_to_a_person() -> None:
    _, _, headers = wire.to_wire(
        FeedbackSubmitted.example(),
        id=uuid4(),
        source="/factoring/performance-service",
        time=NOW,
        correlation_id="who",
        causation_id="who",
        actor="who",
        traceparent="who",
    )
    assert b"who" not in dict(headers).values()
    assert {name for name, _ in headers}.isdisjoint({"ce_actor", "ce_correlationid", "ce_causationid", "traceparent"})


def test_an_event_over_the_limit_is_refused() -> None:
    identity = uuid4()
    example = funding_of(identity, 24_000)
    with pytest.raises(wire.EventTooLarge, match="900000"):
        wire.to_wire(example, id=identity, source="/factoring/ledger", time=NOW)
    wire.to_wire(funding_of(identity, 22_000), id=identity, source="/factoring/ledger", time=NOW)


def funding_of(identity: UUID, count: int) -> FundingDrawn:
    return FundingDrawn.example().model_copy(update={"receivable_ids": (identity,) * count})


def test_unknown_is_read_but_never_written() -> None:
    event = LeadCaptured.model_validate_json(
        LeadCaptured.example().model_dump_json().replace(LeadSource.MARKET_RESEARCH.value, "hologram")
    )
    assert event.source is LeadSource.UNKNOWN
    with pytest.raises(wire.UnknownWritten, match="lead-captured"):
        wire.to_wire(event, id=uuid4(), source="/factoring/client-service", time=NOW)


def test_a_reference_that_spells_unknown_is_no_unknown_value() -> None:
    event = LeadCaptured.example().model_copy(update={"source_ref": "UNKNOWN"})
    wire.to_wire(event, id=uuid4(), source="/factoring/client-service", time=NOW)


def test_the_time_of_emission_is_aware() -> None:
    with pytest.raises(ValueError, match="time zone"):
        wire.to_wire(LeadCaptured.example(), id=uuid4(), source="/x", time=NOW.replace(tzinfo=None))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"ce_id": None}, "missing ce_id"),
        ({"ce_type": None}, "missing ce_type"),
        ({"ce_type": b""}, "missing ce_type"),
        ({"ce_source": None}, "missing ce_source"),
        ({"ce_time": None}, "missing ce_time"),
        ({"ce_specversion": None}, "missing ce_specversion"),
        ({"ce_specversion": b"0.3"}, "not 1.0"),
        ({"ce_id": b"1"}, "no UUID"),
        ({"ce_time": b"yesterday"}, "no time"),
        ({"ce_time": b"2026-11-03T02:15:00"}, "no time zone"),
        ({"ce_actor": b"\xff"}, "UTF-8"),
        ({"content-type": b"application/avro"}, "application/json"),
    ],
)
def test_bad_headers_are_named(change: dict[str, bytes | None], why: str) -> None:
    _, _, headers = wire.to_wire(LeadCaptured.example(), id=uuid4(), source="/x", time=NOW)
    changed = dict(headers) | change
    with pytest.raises(wire.MalformedHeaders, match=why):
        wire.read_headers([(name, value) for name, value in changed.items() if value is not None])


def test_other_systems_may_add_headers_and_leave_optional_ones_out() -> None:
    _, _, headers = wire.to_wire(LeadCaptured.example(), id=uuid4(), source="/x", time=NOW)
    few = [(name, value) for name, value in headers if name in wire.REQUIRED]
    assert wire.read_headers([*few, ("x-other", b"1")]).subject is None


def test_meta_is_known_after_delivery_and_is_no_part_of_what_is_said() -> None:
    event = LeadCaptured.example()
    assert event.meta is None
    meta = Meta(id=uuid4(), known_at=NOW, key=event.key, topic=event.topic, partition=3, offset=7)
    assert event.delivered(meta).meta is meta
    assert event == LeadCaptured.example()
    assert hash(event) == hash(LeadCaptured.example())
    assert json.loads(event.model_dump_json()) == json.loads(LeadCaptured.example().model_dump_json())


@pytest.mark.parametrize("event", all_events(), ids=lambda event: event.ce_type)
def test_every_example_travels(event: type[LeadCaptured]) -> None:
    example = event.example()
    key, value, headers = wire.to_wire(example, id=uuid4(), source="/x", time=NOW)
    assert event.model_validate_json(value) == example
    assert key == example.key.encode() != b""
    assert wire.read_headers(headers).type == event.ce_type


def test_a_moment_before_the_calendar_begins_is_refused() -> None:
    told = json.loads(all_events()[0].example().model_dump_json()) | {"occurred_at": "0001-01-01T00:00:00+08:00"}
    with pytest.raises(ValidationError):
        all_events()[0].model_validate_json(json.dumps(told))
