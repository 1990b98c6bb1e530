//! Policies after the shapes of Istio's documentation and tests, and chains of Envoy's own filters.
//!
//! `narrower` says for which requests a case may deny what the source allows, because it is listed as not imported.

use serde_json::{Value, json};

use super::{Case, ISSUER, OTHER_ISSUER, Probe, Source};

const JWT_AUTHN: &str =
    "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication";
const RBAC: &str = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";

pub const SLEEP: &str = "spiffe://cluster.local/ns/foo/sa/sleep";
pub const OTHER: &str = "spiffe://cluster.local/ns/bar/sa/other";

fn istio(name: &'static str, policies: Value) -> Case {
    let Value::Array(policies) = policies else {
        panic!("{name}: a list of policies");
    };
    Case {
        name,
        source: Source::Istio(policies),
        is_complete: true,
        narrower: |_| false,
        mtls: false,
        headers: &[("x-none", "")],
    }
}

impl Case {
    /// Something is listed, and these requests may be denied though the source allows them.
    fn narrowed(mut self, narrower: fn(&Probe) -> bool) -> Self {
        self.is_complete = false;
        self.narrower = narrower;
        self
    }

    /// Requests carry each of these headers, and none.
    fn headers(mut self, headers: &'static [(&'static str, &'static str)]) -> Self {
        self.headers = headers;
        self
    }

    fn mtls(mut self) -> Self {
        self.mtls = true;
        self
    }
}

const fn nothing(_: &Probe) -> bool {
    false
}

/// The filter tests headers, and `not`, with a token only.
fn without_claims(probe: &Probe) -> bool {
    probe.token.is_none_or(|token| !token.valid)
}

pub fn all() -> Vec<Case> {
    let mut cases = of_documentation();
    cases.extend(of_combinations());
    cases.extend(of_peers());
    cases.extend(of_envoy());
    cases
}

/// The tasks of Istio's documentation: HTTP traffic, JWT, explicit deny, ingress, claims.
fn of_documentation() -> Vec<Case> {
    let principal = format!("{ISSUER}/alice");
    let any = format!("{ISSUER}/*");
    vec![
        istio("request authentication only", json!([])),
        istio("allow nothing", json!([{}])),
        istio("allow all", json!([{"rules": [{}]}])),
        istio("deny all", json!([{"action": "DENY", "rules": [{}]}])),
        istio(
            "view by GET",
            json!([{"action": "ALLOW", "rules": [{"to": [{"operation": {"methods": ["GET"]}}]}]}]),
        ),
        istio(
            "require a token",
            json!([{"action": "ALLOW", "rules": [{"from": [{"source": {"requestPrincipals": [principal]}}]}]}]),
        ),
        istio(
            "require a claim",
            json!([{"action": "ALLOW", "rules": [{
            "from": [{"source": {"requestPrincipals": [any]}}],
            "when": [{"key": "request.auth.claims[groups]", "values": ["group1"]}]}]}]),
        ),
        istio(
            "deny without a token",
            json!([{"action": "DENY", "rules": [{"from": [{"source": {"notRequestPrincipals": ["*"]}}]}]}]),
        ),
        istio(
            "deny without a token on a host and path",
            json!([{"action": "DENY", "rules": [{
            "from": [{"source": {"notRequestPrincipals": ["*"]}}],
            "to": [{"operation": {"hosts": ["a.example"], "paths": ["/admin/*"]}}]}]}]),
        ),
        istio(
            "deny a method",
            json!([{"action": "DENY", "rules": [{"to": [{"operation": {"methods": ["GET"]}}]}]}]),
        ),
        istio(
            "deny by a header",
            json!([{"action": "DENY", "rules": [{
            "to": [{"operation": {"paths": ["/admin"]}}],
            "when": [{"key": "request.headers[x-token]", "notValues": ["admin"]}]}]}]),
        )
        .narrowed(|probe| probe.path_is("/admin") && without_claims(probe))
        .headers(&[("x-token", "admin"), ("x-token", "guest")]),
        istio(
            "allow paths of two kinds",
            json!([
            {"action": "ALLOW", "rules": [{"to": [{"operation": {"paths": ["/healthz", "/public/*"]}}]}]},
            {"action": "ALLOW", "rules": [{"from": [{"source": {"requestPrincipals": ["*"]}}], "to": [{"operation": {"paths": ["/*"]}}]}]}]),
        ),
        istio(
            "exclude paths",
            json!([{"action": "DENY", "rules": [{
            "from": [{"source": {"notRequestPrincipals": ["*"]}}],
            "to": [{"operation": {"notPaths": ["/healthz", "/public/*"]}}]}]}]),
        ),
        istio(
            "claims of a nested object",
            json!([{"action": "ALLOW", "rules": [{
            "when": [{"key": "request.auth.claims[realm][roles]", "values": ["admin", "owner"]}]}]}]),
        ),
        istio(
            "audiences and presenter",
            json!([{"action": "ALLOW", "rules": [
            {"when": [{"key": "request.auth.audiences", "values": ["api", "web"]}]},
            {"when": [{"key": "request.auth.presenter", "values": ["client"]}]}]}]),
        ),
        istio(
            "a scope",
            json!([{"action": "ALLOW", "rules": [{
            "when": [{"key": "request.auth.claims[scope]", "values": ["read", "admin"]}]}]}]),
        ),
    ]
}

/// After Istio's own tests of its authorization: several fields, conditions, and policies at once.
fn of_combinations() -> Vec<Case> {
    let one = format!("{ISSUER}/*");
    let other = format!("{OTHER_ISSUER}/*");
    vec![
        istio("hosts", json!([{"rules": [
            {"to": [{"operation": {"hosts": ["a.example", "a.example:*", "*.b.example"]}}]},
            {"from": [{"source": {"requestPrincipals": ["*"]}}], "to": [{"operation": {"hosts": ["*.example"]}}]}]}]))
            .narrowed(nothing),
        istio("hosts with exceptions", json!([{"rules": [{"to": [{"operation": {"hosts": ["*.b.example"], "notHosts": ["x.b.example"]}}]}]}])),
        istio("methods with exceptions", json!([{"rules": [
            {"to": [{"operation": {"notMethods": ["DELETE", "POST"], "paths": ["/orders", "/orders/*"]}}]},
            {"from": [{"source": {"requestPrincipals": [one.clone()]}}], "to": [{"operation": {"methods": ["POST"]}}]}]}])),
        istio("templates", json!([{"rules": [
            {"to": [{"operation": {"paths": ["/tenants/{*}/public", "/files/{**}"]}}]},
            {"from": [{"source": {"requestPrincipals": ["*"]}}], "to": [{"operation": {"paths": ["/tenants/{*}/{*}"]}}]}]}]))
            .narrowed(nothing),
        istio("a template with a middle", json!([
            {"rules": [{}]},
            {"action": "DENY", "rules": [{"to": [{"operation": {"paths": ["/files/{**}/private"]}}]}]}]))
            .narrowed(|probe| probe.path.starts_with("/files/")),
        istio("a prefix within a segment", json!([{"rules": [{"to": [{"operation": {"paths": ["/info*", "/data/*"]}}]}]}]))
            .narrowed(|probe| probe.path.starts_with("/info") && !probe.path.starts_with("/info/")),
        istio("a denied prefix within a segment", json!([
            {"rules": [{"to": [{"operation": {"paths": ["/*"]}}]}, {"to": [{"operation": {"paths": ["/public/*"]}}]}]},
            {"action": "DENY", "rules": [{"to": [{"operation": {"paths": ["/admin*"]}}]}]}]))
            .narrowed(|probe| !probe.path.starts_with("/public/")),
        istio("a suffix", json!([{"rules": [{"to": [{"operation": {"paths": ["*.html", "/data/a.html", "/data/b"]}}]}]}]))
            .narrowed(|probe| probe.path.contains(".html")),
        istio("deny before allow", json!([
            {"rules": [{"to": [{"operation": {"paths": ["/orders/*"]}}]}]},
            {"action": "DENY", "rules": [{"to": [{"operation": {"methods": ["DELETE"]}}]}]},
            {"action": "DENY", "rules": [{"to": [{"operation": {"paths": ["/orders/secret/*"]}}], "from": [{"source": {"notRequestPrincipals": [one.clone()]}}]}]}])),
        istio("two issuers on two paths", json!([
            {"rules": [{"from": [{"source": {"requestPrincipals": [one]}}], "to": [{"operation": {"paths": ["/one/*"]}}]}]},
            {"rules": [{"from": [{"source": {"requestPrincipals": [other]}}], "to": [{"operation": {"paths": ["/two/*", "/one/shared"]}}]}]}])),
        istio("not of a claim", json!([{"rules": [{
            "from": [{"source": {"requestPrincipals": ["*"]}}],
            "when": [{"key": "request.auth.claims[groups]", "notValues": ["banned"]}]}]}]))
            .narrowed(|probe| !probe.has_claim("groups")),
        istio("deny by a claim", json!([{"action": "DENY", "rules": [{
            "to": [{"operation": {"paths": ["/orders", "/orders/*"]}}],
            "when": [{"key": "request.auth.claims[groups]", "values": ["banned"]}]}]}]))
            .narrowed(|probe| probe.path.starts_with("/orders") && !probe.has_claim("groups")),
        istio("headers of several kinds", json!([{"rules": [
            {"from": [{"source": {"requestPrincipals": ["*"]}}], "when": [{"key": "request.headers[x-env]", "values": ["prod", "stage-*"]}]},
            {"to": [{"operation": {"paths": ["/any"]}}], "when": [{"key": "request.headers[x-env]", "values": ["*"]}]}]}]))
            .narrowed(|probe| probe.path_is("/any") && without_claims(probe))
            .headers(&[("x-env", "prod"), ("x-env", "stage-1"), ("x-env", "dev"), ("x-env", "")]),
        istio("subjects by prefix", json!([{"rules": [{"from": [{"source": {"requestPrincipals": [format!("{ISSUER}/al*"), "*/bob"]}}]}]}])),
        istio("not of principals", json!([{"rules": [{"from": [{"source": {"notRequestPrincipals": [format!("{ISSUER}/bob")]}}]}]}]))
            .narrowed(|probe| without_claims(probe) || !probe.has_claim("sub")),
    ]
}

/// Peers by their certificates.
fn of_peers() -> Vec<Case> {
    vec![
        istio(
            "a service account",
            json!([{"rules": [{
            "from": [{"source": {"principals": ["cluster.local/ns/foo/sa/sleep"]}}],
            "to": [{"operation": {"methods": ["GET"], "paths": ["/data/*"]}}]}]}]),
        )
        .mtls(),
        istio(
            "namespaces",
            json!([{"rules": [
            {"from": [{"source": {"namespaces": ["foo"]}}]},
            {"from": [{"source": {"namespaces": ["bar"], "requestPrincipals": ["*"]}}]}]}]),
        )
        .mtls(),
        istio(
            "a denied namespace",
            json!([{"action": "DENY", "rules": [{
            "from": [{"source": {"namespaces": ["bar"]}}],
            "to": [{"operation": {"paths": ["/data/*"]}}]}]}]),
        )
        .mtls()
        .narrowed(|probe| {
            probe.path.starts_with("/data/") && (without_claims(probe) || probe.peer.is_none())
        }),
        istio(
            "all but a service account",
            json!([{"action": "DENY", "rules": [{
            "from": [{"source": {"notPrincipals": ["cluster.local/ns/foo/sa/sleep"]}}],
            "to": [{"operation": {"paths": ["/data/*"]}}]}]}]),
        )
        .mtls(),
        istio(
            "any peer",
            json!([{"rules": [{"from": [{"source": {"principals": ["*"]}}]}]}]),
        )
        .mtls()
        .narrowed(nothing),
    ]
}

fn envoy(name: &'static str, rules: Value, rbac: Vec<Value>) -> Case {
    let rbac = rbac.into_iter().map(|rules| {
        json!({"name": "envoy.filters.http.rbac", "typed_config": {"@type": RBAC, "rules": rules}})
    });
    let jwt = json!({"name": "envoy.filters.http.jwt_authn", "typed_config": {
        "@type": JWT_AUTHN,
        // The test fills them in.
        "providers": {},
        "rules": rules,
    }});
    Case {
        source: Source::Envoy(std::iter::once(jwt).chain(rbac).collect()),
        ..istio(name, json!([]))
    }
}

fn claim(key: &str, name: &str, value: Value) -> Value {
    json!({"metadata": {
        "filter": "envoy.filters.http.jwt_authn",
        "path": [{"key": key}, {"key": name}],
        "value": value,
    }})
}

/// Envoy's own filters.
fn of_envoy() -> Vec<Case> {
    let any = json!([{"any": true}]);
    vec![
        envoy("requirements by path", json!([
            {"match": {"prefix": "/public/"}},
            {"match": {"path": "/either"}, "requires": {"requires_any": {"requirements": [{"provider_name": "one"}, {"provider_name": "other"}]}}},
            {"match": {"prefix": "/optional"}, "requires": {"requires_any": {"requirements": [{"provider_name": "one"}, {"allow_missing": {}}]}}},
            {"match": {"prefix": "/"}, "requires": {"provider_name": "one"}}]), vec![])
            // A prefix within a segment.
            .narrowed(|probe| probe.path.starts_with("/optional") || probe.token.is_some_and(|token| token.valid)),
        envoy("roles by path and method", json!([{"match": {"prefix": "/"}, "requires": {"provider_name": "one"}}]), vec![
            json!({"action": "ALLOW", "policies": {
                "admins": {
                    "permissions": [{"any": true}],
                    "principals": [claim("one", "groups", json!({"list_match": {"one_of": {"string_match": {"exact": "group1"}}}}))]},
                "readers": {
                    "permissions": [{"and_rules": {"rules": [
                        {"header": {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}},
                        {"or_rules": {"rules": [
                            {"url_path": {"path": {"prefix": "/orders/"}}},
                            {"url_path": {"path": {"exact": "/orders"}}}]}},
                        {"not_rule": {"url_path": {"path": {"prefix": "/orders/secret/"}}}}]}}],
                    "principals": any}}}),
            json!({"action": "DENY", "policies": {"bob": {
                "permissions": [{"header": {"name": ":authority", "string_match": {"exact": "a.example"}}}],
                "principals": [claim("one", "sub", json!({"string_match": {"exact": "bob"}}))]}}})])
            .narrowed(|probe| !probe.has_claim("sub") && probe.host == "a.example"),
        envoy("claims that another provider verified", json!([
            {"match": {"prefix": "/one/"}, "requires": {"provider_name": "one"}},
            {"match": {"prefix": "/two/"}, "requires": {"provider_name": "other"}},
            {"match": {"prefix": "/none/"}},
            {"match": {"prefix": "/"}, "requires": {"allow_missing_or_failed": {}}}]), vec![
            json!({"action": "ALLOW", "policies": {"p": {
                "permissions": any,
                "principals": [{"or_ids": {"ids": [
                    claim("one", "sub", json!({"string_match": {"prefix": "al"}})),
                    claim("other", "sub", json!({"string_match": {"exact": "carol"}}))]}}]}}})]),
        envoy("not of ids and types of values", json!([{"match": {"prefix": "/"}, "requires": {"provider_name": "one"}}]), vec![
            json!({"action": "ALLOW", "policies": {"p": {
                "permissions": [{"not_rule": {"or_rules": {"rules": [
                    {"url_path": {"path": {"exact": "/admin"}}},
                    {"url_path": {"path": {"prefix": "/admin/"}}}]}}}],
                "principals": [{"or_ids": {"ids": [
                    claim("one", "level", json!({"double_match": {"range": {"start": 3, "end": 5}}})),
                    claim("one", "staff", json!({"bool_match": true})),
                    {"and_ids": {"ids": [
                        claim("one", "groups", json!({"list_match": {"one_of": {"string_match": {"exact": "group2"}}}})),
                        {"not_id": claim("one", "sub", json!({"string_match": {"exact": "bob"}}))}]}}]}}]}}})])
            .narrowed(|probe| !probe.has_claim("sub")),
        envoy("an audience by path", json!([
            {"match": {"path_separated_prefix": "/api"}, "requires": {"provider_and_audiences": {"provider_name": "one", "audiences": ["api"]}}},
            {"match": {"prefix": "/"}, "requires": {"provider_name": "one"}}]), vec![]),
        envoy("one rule without a requirement", json!([{"match": {"prefix": "/orders/"}, "requires": {"provider_name": "one"}}]), vec![
            json!({"action": "DENY", "policies": {"p": {
                "permissions": [{"header": {"name": ":method", "string_match": {"exact": "DELETE"}}}],
                "principals": any}}})]),
    ]
}
