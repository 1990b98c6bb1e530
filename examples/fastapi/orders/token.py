"""Optional: verifies the forwarded token once more, so that the service need not trust the proxy's headers alone.

PyJWT verifies. Its key client keeps a key set for a short window, and asks again for an unknown `kid` at most once per
pause: an attacker who invents key IDs causes no requests. This module adds the two things it lacks: callers wait for
one fetch together without a thread each, and a key server that fails is not asked again for the same pause.
"""

import asyncio
import time
from typing import Any

import jwt
from fastapi import Request
from jwt import PyJWK, PyJWKClient

from .identity import User
from .problems import Refused
from .settings import Settings

# The key fixes the algorithm; this list says which ones may exist at all.
ALGORITHMS = ["ES256"]
LEEWAY_SECONDS = 5
TIMEOUT_SECONDS = 5


class KeysUnavailable(Exception):
    """The key server did not answer, or not with keys."""


class UnknownKey(Exception):
    """The key server does not know this key."""


class Keys:
    """The issuer's keys, by their ID."""

    def __init__(self, url: str, seconds: float, pause_seconds: float) -> None:
        self._client = PyJWKClient(url, lifespan=seconds, cooldown_duration=pause_seconds, timeout=TIMEOUT_SECONDS)
        self._pause = pause_seconds
        self._failed_at: float | None = None
        self._lock = asyncio.Lock()

    async def get(self, kid: str) -> PyJWK:
        """The key; `UnknownKey` or `KeysUnavailable`."""
        async with self._lock:
            if self._failed_at is not None and time.monotonic() - self._failed_at < self._pause:
                raise KeysUnavailable
            try:
                # In a thread: the client blocks while it fetches.
                key = await asyncio.to_thread(self._client.get_signing_key, kid)
            except (jwt.PyJWKClientConnectionError, jwt.PyJWKSetError, ValueError, OSError) as error:
                self._failed_at = time.monotonic()
                raise KeysUnavailable from error
            except jwt.PyJWKClientError as error:
                raise UnknownKey from error
            self._failed_at = None
            return key


class TokenCheck:
    """What the token must say, and that it says the same as the headers."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.keys = Keys(str(settings.jwks_url), settings.jwks_seconds, settings.jwks_pause_seconds)

    async def verify(self, request: Request, user: User) -> None:
        """Passes, or raises `Refused`."""
        values = request.headers.getlist(self.settings.token_header)
        if len(values) != 1:
            raise Refused(401, "token_missing")
        claims = await self._claims(values[0])
        if claims["sub"] != user.subject:
            # Somebody between the filter and here has changed one of the two.
            raise Refused(401, "token_of_another")

    async def _claims(self, token: str) -> dict[str, Any]:
        settings = self.settings
        try:
            header = jwt.get_unverified_header(token)
            if header.get("typ") != settings.token_type or not isinstance(header.get("kid"), str):
                raise Refused(401, "token_invalid")
            key = await self.keys.get(header["kid"])
            return jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                issuer=settings.token_issuer,
                audience=settings.token_audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["iss", "aud", "sub", "iat", "exp"]},
            )
        except jwt.ExpiredSignatureError:
            raise Refused(401, "token_expired") from None
        except (jwt.InvalidTokenError, UnknownKey):
            raise Refused(401, "token_invalid") from None
        except KeysUnavailable:
            raise Refused(503, "keys_unavailable", {"retry-after": "5"}) from None
