"""The service: orders of a tenant."""

from typing import Annotated, Any

import structlog
from fastapi import Depends, FastAPI, Path
from pydantic import BaseModel, Field

from .identity import User
from .log import RequestLog
from .problems import Failures, Problem, Refused, add_handlers
from .proof import PROBE, RequireProof
from .security import document, roles, scopes, user
from .settings import Settings
from .token import TokenCheck

CurrentUser = Annotated[User, Depends(user)]
Tenant = Annotated[str, Path(pattern="^[a-z0-9-]{1,32}$")]
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "content": {"application/problem+json": {}}} for status in (401, 403)
}


class NewOrder(BaseModel):
    """What a client orders."""

    item: str = Field(min_length=1, max_length=100)
    count: int = Field(default=1, ge=1, le=1000)


class Order(NewOrder):
    """An order, and who placed it from where."""

    number: int
    placed_by: str
    country: str | None = None


def create_app(settings: Settings) -> FastAPI:
    """The application. Everything but `/healthz` needs the proof that it came through the filter."""
    app = FastAPI(title="Orders", version="1.0.0", description="A service behind edge-claims.")
    app.state.token_check = TokenCheck(settings) if settings.jwks_url else None
    add_handlers(app)
    document(app)
    # The last one added is the outermost.
    app.add_middleware(Failures)
    app.add_middleware(RequireProof, settings=settings)
    app.add_middleware(RequestLog)
    log: Any = structlog.get_logger()
    # Two workers would have two of these; it is an example.
    orders: dict[str, list[Order]] = {}

    def of_tenant(tenant: Tenant, who: CurrentUser) -> str:
        if who.tenant != tenant:
            raise Refused(403, "tenant")
        return tenant

    OwnTenant = Annotated[str, Depends(of_tenant)]

    @app.get(PROBE, include_in_schema=False)
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/public/hello")
    async def hello() -> dict[str, str]:
        return {"message": "hello"}

    @app.get("/me", responses=ERRORS)
    async def me(who: CurrentUser) -> User:
        return who

    @app.get(
        "/tenants/{tenant}/orders",
        dependencies=[scopes("orders:read")],
        responses=ERRORS,
    )
    async def list_orders(tenant: OwnTenant) -> list[Order]:
        return orders.get(tenant, [])

    @app.post(
        "/tenants/{tenant}/orders",
        dependencies=[scopes("orders:write"), roles("editor")],
        responses=ERRORS,
        status_code=201,
    )
    async def place_order(tenant: OwnTenant, new: NewOrder, who: CurrentUser) -> Order:
        mine = orders.setdefault(tenant, [])
        order = Order(**new.model_dump(), number=len(mine) + 1, placed_by=who.subject, country=who.location.country)
        mine.append(order)
        log.info("order placed", number=order.number, count=order.count)
        return order

    return app
