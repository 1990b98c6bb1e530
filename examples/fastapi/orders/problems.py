"""Answers to failed requests: problem details (RFC 9457), with the members that the filter's own have."""

import json
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .log import correlation_id


class Problem(BaseModel):
    """What a client gets in place of an answer."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    correlation_id: str | None = None


class Refused(Exception):
    """A request that is refused, with a code for the client and the log."""

    def __init__(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.headers = headers


def problem(status: int, code: str, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """The answer. `code` is stable, for programs; `correlation_id` finds the request in every log."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, code=code, correlation_id=correlation_id())
    return Response(
        json.dumps(body.model_dump(exclude_none=True) | more),
        status,
        {"cache-control": "no-store", **(headers or {})},
        "application/problem+json",
    )


class Failures:
    """Whatever nothing else handles: logged with its traceback, answered without."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.log: Any = structlog.get_logger()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes all but an exception."""
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception:
            if scope["type"] != "http" or started:
                raise
            scope.setdefault("state", {})["reason"] = "internal"
            self.log.exception("failed")
            await problem(500, "internal")(scope, receive, send)


def add_handlers(app: FastAPI) -> None:
    """Every failure of the application becomes a problem."""

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        request.state.reason = error.code
        return problem(error.status, error.code, error.headers)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        code = HTTPStatus(error.status_code).name.lower()
        request.state.reason = code
        return problem(error.status_code, code, dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        request.state.reason = "invalid"
        # Where and why, never the value: it may be anything, also a secret in the wrong place.
        errors = [{"loc": list(one["loc"]), "msg": one["msg"]} for one in error.errors()]
        return problem(422, "invalid", errors=errors)
