"""The lifecycle of a client: which step may follow which, and what must be true first.

A table and pure guards over what is known of the client. The routes that move a client and the one that says what it
may do next read the same table, so that they cannot disagree.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from contracts.base import Money
from contracts.client import Stage
from servicekit.problems import Conflict

_OVER = frozenset({Stage.REJECTED, Stage.LOST})

NEXT: Mapping[Stage, frozenset[Stage]] = {
    Stage.LEAD: frozenset({Stage.PROSPECT}) | _OVER,
    Stage.PROSPECT: frozenset({Stage.UNDER_ASSESSMENT}) | _OVER,
    Stage.UNDER_ASSESSMENT: frozenset({Stage.APPROVED}) | _OVER,
    Stage.APPROVED: frozenset({Stage.SIGNED}) | _OVER,
    Stage.SIGNED: frozenset({Stage.ACTIVE, Stage.SUSPENDED, Stage.EXITING}),
    Stage.ACTIVE: frozenset({Stage.DORMANT, Stage.SUSPENDED, Stage.EXITING}),
    Stage.DORMANT: frozenset({Stage.ACTIVE, Stage.SUSPENDED, Stage.EXITING}),
    Stage.SUSPENDED: frozenset({Stage.ACTIVE, Stage.EXITING}),
    Stage.EXITING: frozenset({Stage.TERMINATED}),
    Stage.TERMINATED: frozenset(),
    Stage.REJECTED: frozenset({Stage.LEAD}),
    Stage.LOST: frozenset({Stage.LEAD}),
}
"""One record per client: who was lost or rejected and comes back is the same client, a lead again."""


class StageNotReachable(Conflict):
    """The lifecycle has no step from the client's stage to the one asked for.

    See GET /clients/{id}/lifecycle for the steps it has.
    """


class NoRating(Conflict):
    """A client is signed only with a valid rating, and risk has published none.

    Ask a risk officer to rate the client.
    """


class RatingNotValid(Conflict):
    """A client is signed only with a valid rating, and this client's has run out.

    Ask a risk officer to renew it.
    """


class NoSignedContract(Conflict):
    """A client becomes signed by signing a contract, and none is.

    Draft one with POST /clients/{id}/contracts, then sign it.
    """


class ExposureOpen(Conflict):
    """The client has exposure, and a client with exposure is not terminated.

    It stays in exiting until its exposure is wound down to zero.
    """


class ComplaintOpen(Conflict):
    """The client has an open complaint, and such a client is not terminated.

    It stays in exiting until the complaint is closed or withdrawn.
    """


@dataclass(frozen=True)
class Standing:
    """What the guards need to know of a client, as of `today` in its legal entity's time zone."""

    today: date
    rating_valid_until: date | None
    rating_expired: bool
    exposure: tuple[Money, ...]
    open_complaints: int
    contract_signed: bool


def _needs_rating(known: Standing) -> Conflict | None:
    if known.rating_valid_until is None:
        return NoRating()
    if known.rating_expired or known.rating_valid_until < known.today:
        return RatingNotValid(detail=f"The rating was valid until {known.rating_valid_until}.")
    return None


def _needs_contract(known: Standing) -> Conflict | None:
    return None if known.contract_signed else NoSignedContract()


def _needs_no_exposure(known: Standing) -> Conflict | None:
    if not known.exposure:
        return None
    return ExposureOpen(detail=f"Open: {', '.join(f'{money.amount} {money.currency}' for money in known.exposure)}.")


def _needs_no_complaint(known: Standing) -> Conflict | None:
    return ComplaintOpen(detail=f"Open complaints: {known.open_complaints}.") if known.open_complaints else None


GUARDS: Mapping[Stage, tuple[Callable[[Standing], Conflict | None], ...]] = {
    Stage.SIGNED: (_needs_rating, _needs_contract),
    Stage.TERMINATED: (_needs_no_exposure, _needs_no_complaint),
}


def blocked(stage: Stage, to: Stage, known: Standing) -> Conflict | None:
    """The first reason why a client may not step from `stage` to `to`, or None."""
    if to not in NEXT[stage]:
        return StageNotReachable(detail=f"There is no step from {stage} to {to}.")
    return next((reason for guard in GUARDS.get(to, ()) if (reason := guard(known))), None)


SIGNING: frozenset[Stage] = frozenset({Stage.APPROVED, Stage.SIGNED, Stage.ACTIVE, Stage.DORMANT})
"""The stages in which a contract may be signed: the first by an approved client, further ones by those in business."""


def may_sign(stage: Stage, known: Standing) -> None:
    """Raises the reason why a client of this stage may not sign a contract now."""
    if stage not in SIGNING:
        raise StageNotReachable(detail=f"A client that is {stage} signs no contract.")
    problem = _needs_rating(known)
    if problem is not None:
        raise problem
