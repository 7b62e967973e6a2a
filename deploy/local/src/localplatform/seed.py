"""Fills a new platform through its front doors: organisation and staff through performance-service, then the synthetic
portfolio through ledger-feed, as a bank would; then asks the four APIs what came of it."""

from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from rich.console import Console

if TYPE_CHECKING:
    from localplatform.platform import Platform

ENTITY = "DEMO-FACTOR"
_NAMES = UUID("6f0c2b7e-6c1f-5a52-9a55-0d2a2c3f7b11")
STAFF = {
    (ENTITY, role): uuid5(_NAMES, f"{ENTITY}/{role}")
    for role in ("relationship_manager", "team_lead", "risk_officer", "service_agent", "operations")
}
CALLS = (("client", "/clients?limit=5"), ("risk", "/alerts?limit=5"), ("performance", "/kpis?limit=5"))


class SeedingFailed(Exception):
    """The synthetic portfolio did not arrive whole; the next start tries again and goes on where it stopped."""


async def first_time(platform: "Platform", console: Console) -> None:
    """Load the portfolio unless an earlier start has."""
