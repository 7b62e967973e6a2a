"""The rules of a complaint by themselves, for any moment, place and term."""

from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import example, given, settings
from hypothesis import strategies as st

from contracts.engagement import Channel, ComplaintCategory, ComplaintOutcome
from engagement_service.clients.model import Client
from engagement_service.complaints.deadlines import Complexity
from engagement_service.complaints.model import Complaint
from engagement_service.entities.calendars import end_of
from engagement_service.entities.model import Place

PLACES = [
    Place("CN", "Asia/Shanghai"),
    Place("GB", "Europe/London"),
    Place("US", "America/New_York"),
    Place("LB", "Asia/Beirut"),
    Place("CU", "America/Havana"),
    Place("ZZ", "Pacific/Apia"),
]
moments = st.integers(1_262_304_000, 2_051_222_400).map(lambda second: datetime.fromtimestamp(second, UTC))
"""From 2010 to 2035."""
places = st.sampled_from(PLACES)
complexities = st.sampled_from(Complexity)
CLIENT = Client(id=UUID(int=1), entity_id="DEMO-FACTOR", registered=True, stage=None)


def filed(received_at: datetime, place: Place, complexity: Complexity = Complexity.SIMPLE) -> Complaint:
    return Complaint.file(
        CLIENT,
        place,
        received_at,
        category=ComplaintCategory.FEES,
        channel=Channel.PHONE,
        complexity=complexity,
        received_at=received_at,
    )


@settings(deadline=None)
@given(moments, places, complexities)
@example(datetime(2026, 3, 1, 0, 30, tzinfo=UTC), Place("GB", "Europe/London"), Complexity.SIMPLE)
@example(datetime(2011, 12, 15, 9, 59, tzinfo=UTC), Place("ZZ", "Pacific/Apia"), Complexity.SIMPLE)
def test_the_day_counts_in_the_entitys_zone_and_the_last_one_counts_whole(
    received_at: datetime, place: Place, complexity: Complexity
) -> None:
    complaint = filed(received_at, place, complexity)
    assert complaint.received_on == received_at.astimezone(ZoneInfo(place.zone)).date()
    end = end_of(complaint.due_on, place.zone)
    assert end > received_at
    last_moment, too_late = filed(received_at, place, complexity), filed(received_at, place, complexity)
    assert not last_moment.miss(end - timedelta(microseconds=1))
    last_moment.resolve(ComplaintOutcome.UPHELD, end - timedelta(microseconds=1))
    assert last_moment.on_time
    assert not last_moment.miss(end), "it has its answer"
    assert too_late.miss(end)
    assert not too_late.miss(end + timedelta(days=1)), "once"
    too_late.resolve(ComplaintOutcome.UPHELD, end)
    assert not too_late.on_time


@settings(deadline=None)
@given(moments, moments, places)
def test_who_complains_later_is_due_no_earlier(one: datetime, other: datetime, place: Place) -> None:
    first, second = (filed(at, place) for at in sorted((one, other)))
    if first.rule == second.rule:
        assert first.due_on <= second.due_on
        assert first.target_on <= second.target_on


@settings(deadline=None)
@given(moments, places, st.integers(0, 400))
def test_reopened_it_has_a_whole_term_again(received_at: datetime, place: Place, days: int) -> None:
    complaint = filed(received_at, place)
    later = received_at + timedelta(days=days)
    complaint.resolve(ComplaintOutcome.REJECTED, later)
    complaint.reopen(later)
    assert complaint.awaits_answer
    assert not complaint.miss(later)
    term = complaint.due_on - complaint.started_on
    assert term == filed(later, place).due_on - place.day(later)


@settings(deadline=None)
@given(moments, places)
def test_every_clock_says_why(received_at: datetime, place: Place) -> None:
    complaint = filed(received_at, place)
    assert {"statutory", "target", "acknowledgement"} <= complaint.clocks.keys()
    for clock in complaint.clocks.values():
        assert clock["rule"] == complaint.rule
        assert clock["clause"]
        assert clock["says"]
        assert clock["how"].startswith(str(complaint.started_on))
        assert clock["calendar"]
