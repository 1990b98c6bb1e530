"""The rows of the benchmark: what each listener runs, what its load brings, what is compared."""

import base64
import json
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import routes
from .envoy import OK, http_filter
from .tokens import ALGORITHMS, AUDIENCE, ISSUER

# Routes in the rows that do not ask for more.
FEW = 10
# The filter's own default; the tokens of a cold row are more than twice as many.
CACHE_ENTRIES = 4096
SECRET_VARIABLE = "EDGE_CLAIMS_BENCH_SECRET"
# The host calls of the filter's warm path, as words of benches/noop.
CALLS = ["headers", "clock", "remove", "subject", "roles", "correlation", "verdict", "response"]
FILTER = {"ours": "edge-claims", "before": "edge-claims before"}
IDENTITY = {"x-auth-subject": ["sub"], "x-auth-roles": ["realm_access", "roles"]}


# Bytes of the request's body in the rows that have one.
BODY = 64 << 10


@dataclass
class Row:
    """One listener and its load."""

    name: str
    title: str
    kind: str  # none | noop | calls | native | ours
    algorithm: str = "ES256"
    cold: bool = False
    http_filters: list = field(default_factory=list)
    diagnostic: bool = False  # measured only where --rows asks for it
    upstream: bool = False  # False: Envoy answers by itself (direct_response), True: the upstream
    body: int = 0  # bytes of the request's body
    policy_count: int = 0
    token: str = ""
    nobody: str = ""
    cold_file: Path | None = None

    @property
    def guarded(self):
        """Whether the row verifies and authorizes."""
        return self.kind in ("native", "ours")

    @property
    def weighed(self):
        """Whether its memory and load time are of interest."""
        return not (self.http1 or self.upstream)

    @property
    def http1(self):
        """Whether the load is HTTP/1.1 from wrk; else HTTP/2 from h2load."""
        return self.cold or self.name.endswith("_h1")

    @property
    def vhost(self):
        """The virtual host, with the native chain's edits for the correlation ID. Where Envoy
        answers by itself, only the checks before the measurement reach the upstream."""
        everything = {"prefix": "/"}
        echo = everything | {"headers": [{"name": "x-bench-echo", "present_match": True}]}
        to_upstream = {"route": {"cluster": "upstream"}}
        answer = to_upstream if self.upstream else {"direct_response": OK}
        vhost = {"routes": [{"match": echo, **to_upstream}, {"match": everything, **answer}]}
        if self.kind == "native":
            carry = {
                "header": {"key": "x-correlation-id", "value": "%REQ(x-correlation-id)%"},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
            vhost |= {"request_headers_to_add": [carry], "response_headers_to_add": [carry]}
        return vhost


def all_rows(tokens, noop, ours, before=None):
    """Every row, in the order in which they are printed. `ours` None: there is no module yet.
    `before`: another build of it, measured beside it in rows `before_*`."""
    few = routes.policies(routes.routes(FEW, FEW // 2), routes.TEMPLATES)
    many = routes.routes(1000, 950)
    late = routes.policies(many, routes.PREFIXES)
    templates = routes.policies(many, routes.TEMPLATES)
    simple = routes.policies(routes.simple_routes(1000, 500), routes.CHEAPEST)

    def native(name, title, policies, **more):
        return _native(name, f"native, {title}", tokens, policies, **more)

    builds = [(kind, module) for kind, module in (("ours", ours), ("before", before)) if module]

    def filter_row(name, title, count, *more, **options):
        return [
            _ours(f"{kind}_{name}", f"{FILTER[kind]}, {title}", tokens, module, count, *more, **options)
            for kind, module in builds
        ]

    def filter_rows(*counts):
        rows = (filter_row(f"warm_{n}", f"cached token, {n:,} routes", n) for n in counts)
        return [row for made in rows for row in made]

    # Rows that are compared stand near each other, so that they are measured in the same minute.
    made = [
        Row("none", "no filter", "none"),
        Row("noop", "empty Wasm filter", "noop", http_filters=[_wasm("noop", noop)]),
        _calls("calls", "empty Wasm filter that makes the same host calls", tokens, noop, CALLS),
        *filter_rows(FEW),
        *filter_row("warm_10_unlogged", "the same without fields for the access log", FEW, log={"access_fields": []}),
        native("native_warm_10", "cached token, 10 policies", few, cached=True),
        *filter_rows(10000, 1000),
        native("native_1000_simple", "cached token, 1,000 simplest policies, the middle one matches", simple, cached=True),
        native("native_1000_late", "cached token, 1,000 policies with methods and path, a late one matches", late, cached=True),
        native("native_1000_templates", "the same, paths as templates", templates, cached=True),
    ]  # fmt: skip

    # The same through to an upstream: what a request costs in all.
    through = {"none", "noop", "native_warm_10", "ours_warm_10"}
    made += [
        replace(row, name=f"{row.name}_upstream", title=f"{row.title}, upstream", upstream=True)
        for row in made
        if row.name in through
    ]

    # A request body passes the filter in chunks, which it does not read.
    with_body = {"none", "ours_warm_10", "before_warm_10"}
    made += [
        replace(row, name=f"{row.name}_body", title=f"{row.title}, upstream, body of 64 kB", upstream=True, body=BODY)
        for row in made
        if row.name in with_body
    ]

    made.append(Row("none_h1", "no filter, HTTP/1.1", "none"))
    for algorithm in ALGORITHMS:
        title = f"{algorithm}, new tokens, 10 policies"
        made.append(native(f"native_cold_{algorithm}", title, few, algorithm=algorithm, cold=True))
        title = f"{algorithm}, new tokens, 10 routes"
        made += filter_row(f"cold_{algorithm}", title, FEW, algorithm, cold=True)
    title = "ES256 by the portable back-end, new tokens, 10 routes"
    made += filter_row("cold_portable", title, FEW, cold=True, verification="portable")
    for call in CALLS:
        title = f"empty Wasm filter that makes one host call: {call}"
        row = _calls(f"call_{call}", title, tokens, noop, [call])
        made.append(replace(row, kind="noop", diagnostic=True))
    return made


@dataclass
class Comparison:
    """A ratio of two rows' CPU time per request, and what it should be."""

    title: str
    over: str
    under: str
    goal: float | None = None  # None: worth knowing
    at_least: bool = True

    def wanted(self):
        """The goal in words."""
        return "" if self.goal is None else f"{'≥' if self.at_least else '≤'} {self.goal}"

    def met(self, ratio):
        """Whether the ratio is as good as wanted; None where nothing is."""
        if self.goal is None:
            return None
        return ratio >= self.goal if self.at_least else ratio <= self.goal


COMPARISONS = [
    Comparison("warm, 10 routes: native / ours", "native_warm_10", "ours_warm_10", 1.0),
    Comparison("warm, 10 routes: ours / empty Wasm filter", "ours_warm_10", "noop", 1.2, False),
    Comparison("warm, 10 routes, no fields for the access log: native / ours", "native_warm_10", "ours_warm_10_unlogged"),
    Comparison("its host calls alone / empty Wasm filter", "calls", "noop"),
    Comparison("warm, 10 routes: ours / its host calls alone", "ours_warm_10", "calls"),
    Comparison("cold ES256: native / ours", "native_cold_ES256", "ours_cold_ES256", 1.0),
    Comparison("cold RS256: native / ours", "native_cold_RS256", "ours_cold_RS256", 1.0),
    Comparison("cold HS256: native / ours", "native_cold_HS256", "ours_cold_HS256", 1.0),
    Comparison("cold EdDSA: native / ours", "native_cold_EdDSA", "ours_cold_EdDSA", 0.5),
    Comparison("1,000 rules, methods and path: native / ours", "native_1000_late", "ours_warm_1000", 4.0),
    Comparison("1,000 rules, simplest: native / ours", "native_1000_simple", "ours_warm_1000", 2.0),
    Comparison("1,000 rules, templates: native / ours", "native_1000_templates", "ours_warm_1000"),
    Comparison("10,000 routes / 10 routes, ours", "ours_warm_10000", "ours_warm_10", 1.1, False),
    Comparison("warm, 10 routes: before / ours", "before_warm_10", "ours_warm_10"),
    Comparison("warm, 10 routes, body of 64 kB: before / ours", "before_warm_10_body", "ours_warm_10_body"),
    Comparison("cold ES256: before / ours", "before_cold_ES256", "ours_cold_ES256"),
    Comparison("cold RS256: before / ours", "before_cold_RS256", "ours_cold_RS256"),
    Comparison("cold HS256: before / ours", "before_cold_HS256", "ours_cold_HS256"),
    Comparison("cold EdDSA: before / ours", "before_cold_EdDSA", "ours_cold_EdDSA"),
]  # fmt: skip


def _calls(name, title, tokens, module, calls):
    filters = [_wasm(name, module, ",".join(calls))]
    return _with_tokens(Row(name, title, "calls", http_filters=filters), tokens)


def _with_tokens(row, tokens):
    row.token = tokens.warm(row.algorithm)
    row.nobody = tokens.nobody(row.algorithm)
    row.cold_file = tokens.cold_file(row.algorithm) if row.cold else None
    return row


def _native(name, title, tokens, policies, algorithm="ES256", cached=False, cold=False):
    """Envoy's own filters doing the same work: verify, payload to metadata, claims to headers,
    RBAC on method, path and role, the correlation ID on both ways."""
    to_headers = [
        {"header_name": header, "claim_name": ".".join(path)} for header, path in IDENTITY.items()
    ]
    if cold:
        # Per-request tokens carry the correlation ID.
        to_headers.append({"header_name": "x-correlation-id", "claim_name": "cid"})
    provider = {
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "local_jwks": {"inline_string": json.dumps(tokens.jwks(algorithm))},
        "from_headers": [{"name": "x-edge-claims"}],
        "payload_in_metadata": "claims",
        "claim_to_headers": to_headers,
    }
    if cached:
        provider["jwt_cache_config"] = {"jwt_cache_size": CACHE_ENTRIES}
    jwt_authn = http_filter(
        "envoy.filters.http.jwt_authn",
        "extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        providers={"edge": provider},
        rules=[{"match": {"prefix": "/"}, "requires": {"provider_name": "edge"}}],
    )
    rbac = http_filter(
        "envoy.filters.http.rbac",
        "extensions.filters.http.rbac.v3.RBAC",
        rules={"action": "ALLOW", "policies": policies},
    )
    row = Row(
        name, title, "native", algorithm, cold, [jwt_authn, rbac],
        policy_count=len(policies),
    )  # fmt: skip
    return _with_tokens(row, tokens)


def _ours(name, title, tokens, module, count, algorithm="ES256", cold=False, verification="auto", **settings):
    issuer = {"issuer": ISSUER, "audiences": [AUDIENCE], "algorithms": [algorithm]}
    environment = {}
    if algorithm.startswith("HS"):
        key = tokens.jwks(algorithm)["keys"][0]
        issuer["keys"] = {"secrets": [{"env": SECRET_VARIABLE, "kid": key["kid"]}]}
        environment[SECRET_VARIABLE] = base64.urlsafe_b64decode(key["k"] + "==").decode()
    else:
        issuer["keys"] = {"inline": tokens.jwks(algorithm)}
    made = [route.as_filter_route() for route in routes.routes(count, count // 2)]
    config = {
        "claims": {
            "header": "x-edge-claims",
            "cache_entries": CACHE_ENTRIES,
            "verification": verification,
            "issuers": [issuer],
        },
        "rbac": {
            "roles": {"claim": ["realm_access", "roles"], "format": "list"},
            "routes": made,
            "default": "deny",
        },
        "identity": {"headers": IDENTITY},
        "correlation": {
            "header": "x-correlation-id",
            "claim": "cid",
            "accept": ["x-correlation-id"],
            "response_header": True,
        },
    } | settings
    row = Row(
        name, title, "ours", algorithm, cold, [_wasm(name, module, json.dumps(config), environment)],
        policy_count=count,
    )  # fmt: skip
    return _with_tokens(row, tokens)


def _wasm(name, module, config="", environment=None):
    """A Wasm filter in a VM of its own: rows share no state."""
    vm = {
        "vm_id": name,
        "runtime": "envoy.wasm.runtime.v8",
        "code": {"local": {"filename": str(module)}},
    }
    if environment:
        vm["environment_variables"] = {"key_values": environment}
    plugin = {"name": name, "root_id": name, "failure_policy": "FAIL_RELOAD", "vm_config": vm}
    if config:
        plugin["configuration"] = {
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": config,
        }
    return http_filter(
        "envoy.filters.http.wasm", "extensions.filters.http.wasm.v3.Wasm", config=plugin
    )
