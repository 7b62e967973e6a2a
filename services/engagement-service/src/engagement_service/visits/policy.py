"""How soon a client is visited after a warning: working days by severity, versioned and effective-dated.

The numbers lie in `follow_up.json`. A severity not known here counts as critical: nobody loses by an early visit.
"""

from datetime import date
from functools import lru_cache
from importlib import resources

from pydantic import BaseModel, ConfigDict, TypeAdapter

from contracts.risk import Severity


class FollowUpPolicy(BaseModel):
    """One version: working days until a visit is due, after an alert of each severity and after a falling rating."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    effective_from: date
    working_days: dict[Severity, int]
    rating_fall: int

    def after_alert(self, severity: Severity) -> int:
        return self.working_days.get(severity, self.working_days[Severity.CRITICAL])


@lru_cache
def _policies() -> tuple[FollowUpPolicy, ...]:
    text = resources.files(__name__.rpartition(".")[0]).joinpath("follow_up.json").read_text(encoding="utf-8")
    return TypeAdapter(tuple[FollowUpPolicy, ...]).validate_json(text)


def policy_on(day: date) -> FollowUpPolicy:
    """The version in force on this business date."""
    return max((p for p in _policies() if p.effective_from <= day), key=lambda p: p.effective_from)
