"""The route that every operation of a service runs in: token and permission first, then the body, then one transaction.

Order of answers: 401 and 403 before anything is read; 503 while the outbox is full; 400 and 422 for the request; then
the handler; its answer is stored for replay in the same transaction, which commits before the answer is sent.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from servicekit import idempotency
from servicekit.auth import missing, principal
from servicekit.problems import BodyTooLarge, Invalid
from servicekit.runtime import runtime_of

CHANGES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class NulCharacter(Invalid):
    """A text holds a NUL character, which no database can store.

    Send it without.
    """


class BodyLimit:
    """ASGI middleware: a body that is, or turns out to be, larger than allowed is answered 413 as a problem."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        stated = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        so_far = 0 if not stated.isdigit() or int(stated) <= self.limit else self.limit + 1

        async def counting() -> Message:
            nonlocal so_far
            if so_far > self.limit:
                raise BodyTooLarge
            message = await receive()
            so_far += len(message.get("body", b""))
            if so_far > self.limit:
                raise BodyTooLarge
            return message

        await self.app(scope, counting, send)


class Route(APIRoute):
    """A FastAPI route with the rails around its handler."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, inside ours."""
        handle = super().get_route_handler()
        needed = permissions_of(self)
        operation = self.name

        async def handler(request: Request) -> Response:
            runtime = runtime_of(request)
            who = await runtime.authenticator.authenticate(request)
            for permission in needed:
                if not who.can(permission):
                    raise missing(permission)
            request.state.principal = who
            request.state.operation = operation
            request.state.tx = None
            if request.method in CHANGES:
                await runtime.outbox_bound.check()
                refuse_nul(await request.body())
            if b"%00" in request.scope.get("query_string", b"") or "\0" in request.url.path:
                raise NulCharacter
            try:
                async with asyncio.timeout(runtime.settings.request_seconds):  # TimeoutError: the database's absence
                    response = await handle(request)
            except idempotency.Replayed as replayed:
                return replayed.response
            tx: AsyncSession | None = request.state.tx
            if tx is not None:
                idempotency.remember(tx, request, response)
            return response

        return handler


def refuse_nul(body: bytes) -> None:
    """JSON may spell NUL as an escape; PostgreSQL cannot store it.

    Raises:
        NulCharacter: some text in the body holds one.
    """
    if b"\\u0000" not in body:
        return
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return
    if any("\0" in text for text in _texts(document)):
        raise NulCharacter


def _texts(document: Any) -> Iterator[str]:
    waiting = [document]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            waiting += [*item.keys(), *item.values()]  # pyright: ignore[reportUnknownVariableType,reportUnknownMemberType,reportUnknownArgumentType] - any JSON
        elif isinstance(item, list):
            waiting += item


def permissions_of(route: APIRoute) -> tuple[str, ...]:
    """The permissions that this operation's signature asks for."""

    def walk(dependant: Dependant) -> Iterator[str]:
        if dependant.call is principal:
            yield from dependant.own_oauth_scopes or ()
        for dependency in dependant.dependencies:
            yield from walk(dependency)

    return tuple(dict.fromkeys(walk(route.dependant)))


def adopt(router: APIRouter) -> APIRouter:
    """Make every operation of a plain FastAPI router a Route, so that features need not name the class."""
    for route in routes_of(router):
        if type(route) is APIRoute:
            route.__class__ = Route  # FastAPI builds the handler by the class when the router is included
    return router


def routes_of(router: APIRouter) -> Iterable[APIRoute]:
    """All operations of a router, those of routers included in it too."""
    for route in router.routes:
        if isinstance(route, APIRoute):
            yield route
        inner = getattr(route, "original_router", None)
        if isinstance(inner, APIRouter):
            yield from routes_of(inner)
