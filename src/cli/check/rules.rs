//! The rules that a problem can break: the kinds of config errors, and the lints.

use crate::config::error::ErrorKind;

/// A lint, which can be silenced by its name.
#[derive(Debug)]
pub(in crate::cli) struct Rule {
    /// Its name.
    pub(in crate::cli) name: &'static str,
    /// What it finds.
    pub(in crate::cli) summary: &'static str,
    /// What to do.
    pub(in crate::cli) help: &'static str,
}

/// The file is neither JSON nor YAML, or its config cannot be found.
pub(in crate::cli) const SYNTAX: &str = "syntax";

/// The config is a `google.protobuf.Struct`.
pub(in crate::cli) const STRUCT: &str = "envoy_struct";

/// Rules of `--envoy`.
pub(in crate::cli) const FILTER_DISABLED: &str = "envoy_filter_disabled";
pub(in crate::cli) const NO_ENVOY_ROUTE: &str = "envoy_no_route";
pub(in crate::cli) const REWRITTEN_TO_GUARDED: &str = "envoy_rewrite";
pub(in crate::cli) const WIDER_THAN_ENVOY_ROUTE: &str = "envoy_wider_route";

/// All lints, by name.
pub(in crate::cli) const LINTS: [Rule; 27] = [
    Rule {
        name: "any_audience",
        summary: "tokens for any audience are accepted",
        help: "name the audiences, so that a token for another service is not accepted here",
    },
    Rule {
        name: "authenticated_write",
        summary: "everyone with verified claims may write",
        help: "ask for a role or a scope, or restrict `methods` to GET",
    },
    Rule {
        name: FILTER_DISABLED,
        summary: "with --envoy: a route of Envoy that turns the filter off",
        help: "remove `disabled` from typed_per_filter_config, or check these requests elsewhere",
    },
    Rule {
        name: NO_ENVOY_ROUTE,
        summary: "with --envoy: a route of the filter without a route of Envoy",
        help: "check the host and the path; Envoy answers such requests with 404",
    },
    Rule {
        name: REWRITTEN_TO_GUARDED,
        summary: "with --envoy: a path that Envoy rewrites to one that is guarded more strictly",
        help: "guard the path before the rewrite as strictly as the one after it",
    },
    Rule {
        name: WIDER_THAN_ENVOY_ROUTE,
        summary: "with --envoy: Envoy sends requests to the backend of a guarded route that a less strict route allows",
        help: "give the filter a route as wide as Envoy's, so that nothing beside the guarded path gets through",
    },
    Rule {
        name: "exact_path_beside_catch_all",
        summary: "a guarded path whose subpaths another route allows to more people",
        help: "to guard the paths below it as well, end the path with /{*rest}",
    },
    Rule {
        name: "expired_issuer",
        summary: "an issuer whose `not_after` is past",
        help: "remove the issuer, and the routes that only it can use",
    },
    Rule {
        name: "fail_open",
        summary: "if the filter fails, requests pass without it",
        help: "use FAIL_RELOAD: Envoy then answers 503 until the filter runs again",
    },
    Rule {
        name: "forwarded_token",
        summary: "backends receive the token and could use it elsewhere",
        help: "set `forward` only if a backend or the next filter verifies the token again",
    },
    Rule {
        name: "implied_alternative",
        summary: "a redundant alternative of `allow`: another one already allows everyone it allows",
        help: "remove the stricter of the two, or the looser if it is a mistake",
    },
    Rule {
        name: "impossible_role",
        summary: "a role that no token can have",
        help: "with `format: space` or `comma`, a role cannot contain the separator",
    },
    Rule {
        name: "istio_both_kinds",
        summary: "with --istio: a WasmPlugin and a TrafficExtension for the same workloads",
        help: "delete one of the two; to replace one by the other without a lost request, delete it first and apply \
               the other at once",
    },
    Rule {
        name: "istio_digest",
        summary: "with --istio: a digest that the module cannot have, or none",
        help: "for oci://, `sha256` is the digest of the image's manifest, which `make image` prints",
    },
    Rule {
        name: "istio_gateway_mode",
        summary: "with --istio: a gateway that does not load the filter",
        help: "remove `match`, or set `mode: CLIENT`",
    },
    Rule {
        name: "istio_keys_cluster",
        summary: "with --istio: a key server that is no cluster of the mesh",
        help: "add a ServiceEntry for the key server, as in istio/keys/",
    },
    Rule {
        name: "istio_keys_egress",
        summary: "with --istio: a Sidecar whose egress leaves out the key server",
        help: "add the key server to `egress[].hosts`: NAMESPACE/HOST, with the namespace of its ServiceEntry",
    },
    Rule {
        name: "istio_keys_gateway",
        summary: "with --istio: a gateway or waypoint that does not get the cluster of the key server",
        help: "apply istio/keys/referenced-service.yaml, which makes istiod send the cluster",
    },
    Rule {
        name: "istio_sidecar_mode",
        summary: "with --istio: a sidecar that also filters what the service itself sends",
        help: "add `match: [{mode: SERVER}]`",
    },
    Rule {
        name: "kept_class",
        summary: "ambiguous paths are passed on unchanged",
        help: "make sure that each backend reads such paths as this filter does",
    },
    Rule {
        name: "no_max_lifetime",
        summary: "an issuer whose tokens may live for any time",
        help: "set `max_lifetime`, so that one token that leaks or is issued for years is refused",
    },
    Rule {
        name: "no_tests",
        summary: "a config without policy tests",
        help: "add `tests`: they run at each load, and a config that breaks one is refused",
    },
    Rule {
        name: "plain_http_keys",
        summary: "keys that are fetched without TLS",
        help: "use https, or make sure that the cluster adds TLS",
    },
    Rule {
        name: "roles_of_every_issuer",
        summary: "with several issuers, a role counts whoever issued it",
        help: "add `issuers` to the conditions, so that only the issuers that may give the role can",
    },
    Rule {
        name: "self_chosen_claim",
        summary: "an identity header with a claim that users can often choose themselves",
        help: "identify users by `sub`; such a claim is for display only",
    },
    Rule {
        name: "shadow_mode",
        summary: "denials are recorded and not enforced",
        help: "remove `mode: shadow` or raise `enforce_percent` when the records show only what is meant",
    },
    Rule {
        name: "unreachable_route",
        summary: "a route that can never match, because others are more specific for each of its requests",
        help: "remove the route, or the one that was meant to be narrower",
    },
];

/// The lint with that name.
pub(in crate::cli) fn lint(name: &str) -> Option<&'static Rule> {
    LINTS.iter().find(|rule| rule.name == name)
}

/// What a rule finds.
pub(in crate::cli) fn summary(name: &str) -> &'static str {
    if let Some(rule) = lint(name) {
        return rule.summary;
    }
    match name {
        STRUCT => "a config that Envoy gives to the filter in a form that it refuses",
        SYNTAX => "the file is neither JSON nor YAML with a plugin config",
        name if ErrorKind::KINDS.contains(&name) => "the filter refuses the config",
        _ => "",
    }
}
