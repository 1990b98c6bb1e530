"""The user, as the filter's identity headers tell it.

The filter percent-encodes `%`, commas within a value and everything outside of printable ASCII, and joins lists with
commas (docs/config.md, identity). So: split, then decode.
"""

from typing import Annotated
from urllib.parse import unquote

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict

from .problems import Refused


class Location(BaseModel):
    """Where the edge saw the client's address. A hint: an address can be anybody's."""

    model_config = ConfigDict(frozen=True)

    country: str | None = None
    region: str | None = None
    city: str | None = None


class User(BaseModel):
    """Who sent the request. Verified by the filter; nobody else can write it."""

    model_config = ConfigDict(frozen=True)

    subject: str
    tenant: str | None = None
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    location: Location = Location()


def identity(request: Request) -> User:
    """The user of this request; 401 if there is none."""
    subject = _text(request, "x-auth-subject")
    if subject is None:
        raise Refused(401, "no_identity", {"www-authenticate": 'Bearer realm="mesh"'})
    return User(
        subject=subject,
        tenant=_text(request, "x-auth-tenant"),
        roles=_list(request, "x-auth-roles", ","),
        # The claim `scope` is one string with spaces (RFC 8693 section 4.2), which the filter encodes.
        scopes=frozenset((_text(request, "x-auth-scope") or "").split()),
        location=Location(
            country=_text(request, "x-auth-country"),
            region=_text(request, "x-auth-region"),
            city=_text(request, "x-auth-city"),
        ),
    )


Identity = Annotated[User, Depends(identity)]


def _value(request: Request, name: str) -> str | None:
    """One value or none. The filter sets a header once; two of them are somebody else's work."""
    values = request.headers.getlist(name)
    if len(values) > 1:
        raise Refused(400, "identity_repeated")
    return values[0] if values else None


def _text(request: Request, name: str) -> str | None:
    value = _value(request, name)
    return None if value is None or value == "" else unquote(value, errors="strict")


def _list(request: Request, name: str, separator: str) -> frozenset[str]:
    value = _value(request, name) or ""
    return frozenset(unquote(item, errors="strict") for item in value.split(separator) if item)
