"""Scopes and roles as security dependencies: they are checked, and OpenAPI documents them.

    @app.post("/orders", dependencies=[scopes("orders:write"), roles("editor")])

The filter has its own rules for the routes, which an operator can change. These say what the code itself needs, so
that a route that was forgotten there is not open here.
"""

from typing import Any

from fastapi import FastAPI, Request, Security
from fastapi.openapi.utils import get_openapi
from fastapi.security import APIKeyHeader, OpenIdConnect, SecurityScopes

from .identity import Identity, User
from .problems import Refused
from .token import TokenCheck

# What a client does: it logs in at the provider. The edge makes the rest of it.
_login = OpenIdConnect(
    openIdConnectUrl="https://login.example.com/.well-known/openid-configuration",
    scheme_name="login",
    description="Log in at the provider; the edge keeps the session. The list has the scopes that are needed.",
    auto_error=False,
)
# OpenAPI 3.1 lets every scheme list role names.
_roles = APIKeyHeader(
    name="x-auth-roles",
    scheme_name="roles",
    description="Set by the edge-claims filter, never by a client. The list has the roles that are needed.",
    auto_error=False,
)


async def user(request: Request, found: Identity) -> User:
    """The user, whose token was verified here too if that is configured."""
    check: TokenCheck | None = request.app.state.token_check
    if check is not None:
        await check.verify(request, found)
    return found


async def _has_scopes(needed: SecurityScopes, found: User = Security(user), _: Any = Security(_login)) -> None:
    if not found.scopes.issuperset(needed.scopes):
        challenge = f'Bearer realm="mesh", error="insufficient_scope", scope="{needed.scope_str}"'
        raise Refused(403, "scope", {"www-authenticate": challenge})


async def _has_roles(needed: SecurityScopes, found: User = Security(user), _: Any = Security(_roles)) -> None:
    if not found.roles.issuperset(needed.scopes):
        raise Refused(403, "role")


def scopes(*needed: str) -> Any:
    """The user has all of these scopes."""
    return Security(_has_scopes, scopes=list(needed))


def roles(*needed: str) -> Any:
    """The user has all of these roles."""
    return Security(_has_roles, scopes=list(needed))


def document(app: FastAPI) -> None:
    """OpenAPI reads a list of requirements as *one of these*; here all of them hold, so they become one."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            for path in schema["paths"].values():
                for operation in path.values():
                    if "security" in operation:
                        merged: dict[str, list[str]] = {}
                        for requirement in operation["security"]:
                            for scheme, names in requirement.items():
                                merged[scheme] = sorted({*merged.get(scheme, []), *names})
                        operation["security"] = [merged]
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
