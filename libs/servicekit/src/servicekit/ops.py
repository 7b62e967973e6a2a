"""`/ops`: what an operator sees and does about events that could not be handled or published, and the audit trail.

Every decision here is audited; discarding asks for a reason.
"""

from typing import TYPE_CHECKING

from fastapi import APIRouter

if TYPE_CHECKING:
    from servicekit.app import Service


def router(service: "Service") -> APIRouter:
    """The operations of `/ops` for this service."""
    return APIRouter(prefix="/ops", tags=["ops"])
