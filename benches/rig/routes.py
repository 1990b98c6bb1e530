"""Realistic routes, in any number, as the filter's `rbac.routes` and as Envoy's RBAC policies.

One generator feeds both sides. The route that the load asks for is always the same; the others
stand around it, share its prefixes and never match its requests.
"""

TARGET_METHOD = "GET"
TARGET_HOST = "shop.example.com"
TARGET_PATH = "/tenants/acme/orders/10427/lines?page=2&sort=created"
TARGET_ROLE = "reader"

HOSTS = [None, "shop.example.com", "*.shop.example.com", "api.example.com", "*.example.net"]
NOUNS = [
    "invoices", "carts", "customers", "products", "shipments", "returns", "payments", "prices",
    "stock", "reports", "users", "groups", "webhooks", "exports", "tickets", "coupons",
]  # fmt: skip
PATHS = [
    "/tenants/{{tenant}}/{noun}/{{*rest}}",
    "/v1/{noun}/summary",
    "/tenants/{{tenant}}/{noun}/{{id}}",
    "/{noun}/{{*rest}}",
    "/v2/{noun}/{{id}}/history",
]
ROLES = ["reader", "editor", "billing", "support", "admin", "auditor"]
# Every resource has a route to read it and one to write it.
ACTIONS = [("read", ["GET"]), ("write", ["POST", "PUT", "DELETE"])]


# Forms of native policies, from the cheapest to the one that says as much as our routes do:
# a literal prefix of `:path`; method and literal prefix; method and template.
CHEAPEST, PREFIXES, TEMPLATES = "cheapest", "prefixes", "templates"


class Route:
    """One route: name, host (None: any), methods, path template, the role it admits."""

    def __init__(self, name, host, methods, path, role):
        self.name, self.host, self.methods, self.path, self.role = name, host, methods, path, role

    def as_filter_route(self):
        """An element of the filter's `rbac.routes`."""
        route = {
            "name": self.name,
            "methods": self.methods,
            "path": self.path,
            "allow": {"any_role": [self.role]},
        }
        return route | ({"hosts": [self.host]} if self.host else {})

    def as_policy(self, form):
        """An Envoy RBAC policy: the path, then the methods (in this order, the cheaper one here),
        then the role. Hosts are left out, which spares the native side a test per policy."""
        if form is CHEAPEST:
            header = {"name": ":path", "string_match": {"prefix": _literal(self.path)[0]}}
            permission = {"header": header}
        else:
            named = [_method(method) for method in self.methods]
            methods = named[0] if len(named) == 1 else {"or_rules": {"rules": named}}
            path = self._template() if form is TEMPLATES else self._prefix()
            permission = {"and_rules": {"rules": [path, methods]}}
        return {"permissions": [permission], "principals": [_role(self.role)]}

    def _prefix(self):
        literal, whole = _literal(self.path)
        return {"url_path": {"path": {"exact" if whole else "prefix": literal}}}

    def _template(self):
        """The cheapest form that Envoy has for the whole template."""
        if "{" not in self.path.removesuffix("{*rest}"):
            return self._prefix()
        return {
            "uri_template": {
                "name": "envoy.path.match.uri_template.uri_template_matcher",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
                    "path_template": _glob(self.path),
                },
            }
        }


def routes(count, target_at):
    """`count` routes, the one that the load asks for at index `target_at`."""
    made = [_route(i) for i in range(count)]
    made[target_at] = Route(
        "orders-read", None, ["GET"], "/tenants/{tenant}/orders/{*rest}", TARGET_ROLE
    )
    return made


def simple_routes(count, target_at):
    """The cheapest that native RBAC can have: a literal prefix each, most of them told apart from
    the request's path by their first letters."""
    made = [
        Route(f"area-{i}", None, ["GET"], f"/area-{i}/{{*rest}}", ROLES[i % len(ROLES)])
        for i in range(count)
    ]
    made[target_at] = Route("orders", None, ["GET"], "/tenants/acme/orders/{*rest}", TARGET_ROLE)
    return made


def policies(made, form):
    """Envoy evaluates policies in the order of their names, so a name begins with its index."""
    return {f"{i:05}-{r.name}": r.as_policy(form) for i, r in enumerate(made)}


def _route(index):
    resource, (action, methods) = index // len(ACTIONS), ACTIONS[index % len(ACTIONS)]
    noun = f"{NOUNS[resource % len(NOUNS)]}-{resource}"
    return Route(
        f"{noun}-{action}",
        HOSTS[resource // len(PATHS) % len(HOSTS)],
        methods,
        PATHS[resource % len(PATHS)].format(noun=noun),
        ROLES[index % len(ROLES)],
    )


def _glob(path):
    segments = []
    for segment in path.split("/"):
        if segment.startswith("{*"):
            segment = "**"
        elif segment.startswith("{"):
            segment = "*"
        segments.append(segment)
    return "/".join(segments)


def _literal(path):
    """The path up to its first variable, written out for one tenant, as an operator without
    templates would; and whether that is all of it."""
    path = path.replace("{tenant}", "acme")
    literal = path.split("{", 1)[0]
    return literal, literal == path


def _method(method):
    return {"header": {"name": ":method", "string_match": {"exact": method}}}


def _role(role):
    matcher = {
        "filter": "envoy.filters.http.jwt_authn",
        "path": [{"key": "claims"}, {"key": "realm_access"}, {"key": "roles"}],
        "value": {"list_match": {"one_of": {"string_match": {"exact": role}}}},
    }
    return {"sourced_metadata": {"metadata_matcher": matcher}}
