"""The service in this process, and a proxy's headers."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from orders import log
from orders.app import create_app
from orders.settings import Settings

SECRET = "s" * 40
BOB = {
    "x-proxy-secret": SECRET,
    "x-correlation-id": "id-1",
    "x-auth-subject": "bob",
    "x-auth-tenant": "acme",
    "x-auth-roles": "reader,editor",
    "x-auth-scope": "orders:read%20orders:write",
}


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    (tmp_path / "secret").write_text(SECRET + "\n")

    def make(**changes: Any) -> Settings:
        return Settings(**{"proof": "secret", "secret_file": tmp_path / "secret"} | changes)

    return make


@pytest.fixture
def ask(settings: Callable[..., Settings], capsys: pytest.CaptureFixture[str]) -> Callable[..., httpx.Response]:
    """Sends one request, `headers` over those of Bob; None removes one."""
    log.configure()
    app = create_app(settings())

    def send(method: str, path: str, headers: Any = None, **more: Any) -> httpx.Response:
        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://orders.example.com") as client:
                sent = more.pop("raw", None) or {k: v for k, v in (BOB | (headers or {})).items() if v is not None}
                return await client.request(method, path, headers=sent, **more)

        return asyncio.run(run())

    send.app = app  # type: ignore[attr-defined]
    return send


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, Any]]]:
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]
