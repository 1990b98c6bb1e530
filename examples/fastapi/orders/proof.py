"""The proof that a request came through the filter.

Identity headers mean something only if the filter set them. Whoever can reach this port without the proxy could
write them himself, so every request must prove where it came from, before anything else reads it. What is not
configured, or not understood, is refused.
"""

import asyncio
import ssl
from hmac import compare_digest
from typing import Any, Protocol

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol

from .log import bind_correlation_id
from .problems import problem
from .settings import Settings

# For the probes of the platform, which come without the proxy. They answer nothing that is worth asking.
PROBE = "/healthz"


class Proof(Protocol):
    """One way to prove it."""

    def holds(self, scope: Scope) -> bool:
        """Whether this request came through the proxy."""


class SharedSecret:
    """The proxy sends a secret in a header."""

    def __init__(self, settings: Settings) -> None:
        self.header = settings.secret_header.lower().encode("ascii")
        self.secrets = [secret.get_secret_value().encode("ascii") for secret in settings.secrets()]

    def holds(self, scope: Scope) -> bool:
        """Exactly one header, with one of the secrets, compared in constant time."""
        sent = [value for name, value in scope["headers"] if name == self.header]
        if len(sent) != 1:
            return False
        # All of them are compared: the time does not tell which one was right.
        return any([compare_digest(sent[0], secret) for secret in self.secrets])


class ClientCertificate:
    """The proxy shows a client certificate. TLS has checked who signed it, this checks whose it is."""

    def __init__(self, settings: Settings) -> None:
        self.names = settings.client_names

    def holds(self, scope: Scope) -> bool:
        """One of the certificate's names is one of ours."""
        names = scope.get("extensions", {}).get("edge_claims.tls", {}).get("client_names", ())
        return not self.names.isdisjoint(names)


class RequireProof:
    """The outermost layer of the application but the log: refuses requests without the proof."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.proof: Proof = SharedSecret(settings) if settings.proof == "secret" else ClientCertificate(settings)
        self.hidden = settings.secret_header.lower().encode("ascii")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes what has the proof, and the start and end of the process."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] == "websocket":
            # There is none here. One that is added later is refused until it is thought about.
            return await send({"type": "websocket.close", "code": 1008})
        if self.proof.holds(scope):
            # Only now: without the proof, the ID may be one that somebody made up to hide in another's lines.
            bind_correlation_id(scope)
        elif scope["path"] != PROBE:
            scope.setdefault("state", {})["reason"] = "not_from_proxy"
            return await problem(403, "not_from_proxy")(scope, receive, send)
        # Nothing behind this line needs the secret, so nothing can log or echo it.
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] != self.hidden]
        await self.app(scope, receive, send)


class PeerProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, which also tells the application whose certificate the client showed."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Reads the names once per connection."""
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        certificate: dict[str, Any] = (tls.getpeercert() if tls else None) or {}
        names = frozenset(name for kind, name in certificate.get("subjectAltName", ()) if kind in ("DNS", "URI"))
        inner: Any = self.app

        async def with_peer(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})["edge_claims.tls"] = {"client_names": names}
            await inner(scope, receive, send)

        self.app = with_peer


def server_config(app: ASGIApp, settings: Settings) -> Config:
    """uvicorn's configuration: with proof=mtls, a client without a certificate gets no connection."""
    tls: dict[str, Any] = {}
    if settings.proof == "mtls":
        tls = {
            "http": PeerProtocol,
            "ssl_certfile": settings.tls_certificate,
            "ssl_keyfile": settings.tls_key,
            "ssl_ca_certs": settings.client_authority,
            "ssl_cert_reqs": ssl.CERT_REQUIRED,
        }
    return Config(
        app,
        host=settings.host,
        port=settings.port,
        # The log is ours (log.py). The client's address is the edge's to know: no X-Forwarded-For is believed.
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        ws="none",
        **({"http": "h11"} | tls),
    )
