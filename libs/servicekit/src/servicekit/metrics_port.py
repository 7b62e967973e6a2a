"""`/metrics` and the health of a process on a port of their own, without a token; the worker has no other port."""

from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from servicekit import health, migrations
from servicekit.metrics import READY
from servicekit.runtime import Runtime

if TYPE_CHECKING:
    from servicekit.app import Service


def metrics_app(service: "Service", runtime: Runtime, *, tokens: bool) -> Starlette:
    """The application of that port. A process without an API checks no `tokens`: it needs no identity provider."""
    known = migrations.known(service.migrations)

    async def metrics(_: Request) -> Response:
        READY.set((await health.readiness(runtime, known, tokens=tokens)).status_code == 200)
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    async def live(_: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def ready(_: Request) -> Response:
        return await health.readiness(runtime, known, tokens=tokens)

    return Starlette(routes=[Route("/metrics", metrics), Route("/health/live", live), Route("/health/ready", ready)])
