"""The log: one JSON object per request, with the field names of docs/log-fields.md, and the application's own lines.

Every line that is written while a request is served has its correlation ID: structlog keeps it in a context variable.
"""

import logging
import re
import sys
import time
from datetime import UTC, datetime
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CORRELATION_HEADER = b"x-correlation-id"
# An ID, as the filter accepts it (docs/config.md, correlation).
WELL_FORMED = re.compile(r"[A-Za-z0-9._:-]{1,128}")
# W3C Trace Context, version 00; the trace ID is not all zeros.
TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
MAX_PATH = 4096
MAX_HOST = 1024


def configure() -> None:
    """JSON on stdout, for structlog and for libraries that use Python's logging."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        _timestamp,
        # A traceback is text in one field: a log is one object per line.
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=shared,
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def bind_correlation_id(scope: Scope) -> None:
    """Takes the ID of a request that came through the filter, which sets it exactly once."""
    found = _one(scope, CORRELATION_HEADER)
    if found and WELL_FORMED.fullmatch(found):
        structlog.contextvars.bind_contextvars(correlation_id=found)


def correlation_id() -> str | None:
    """The ID of the request that is served now."""
    found = structlog.contextvars.get_contextvars().get("correlation_id")
    return found if isinstance(found, str) else None


class RequestLog:
    """The outermost layer: one line per request, also for those that are refused or fail."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.log: Any = structlog.get_logger()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Measures until the last byte of the response."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        arrived, started = datetime.now(UTC), time.perf_counter()
        structlog.contextvars.clear_contextvars()
        status = 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watch)
        finally:
            fields = {
                "time": _rfc3339(arrived),
                "method": scope["method"],
                "host": (_one(scope, b"host") or "")[:MAX_HOST] or None,
                "path": _path(scope),
                "status": status,
                "route": getattr(scope.get("route"), "path", None),
                "reason": scope.get("state", {}).get("reason"),
                "trace_id": _trace_id(scope),
                "duration_ms": round((time.perf_counter() - started) * 1000, 3),
            }
            self.log.info("request", **{name: value for name, value in fields.items() if value is not None})


def _timestamp(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event.setdefault("time", _rfc3339(datetime.now(UTC)))
    return event


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _one(scope: Scope, wanted: bytes) -> str | None:
    """The value of a header that occurs once."""
    values = [value for name, value in scope["headers"] if name == wanted]
    return values[0].decode("latin-1") if len(values) == 1 else None


def _path(scope: Scope) -> str:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.split(b"?")[0].decode("latin-1")[:MAX_PATH]


def _trace_id(scope: Scope) -> str | None:
    match = TRACEPARENT.fullmatch(_one(scope, b"traceparent") or "")
    return match[1] if match else None
