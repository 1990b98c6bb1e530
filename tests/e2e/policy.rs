//! Each key of `allow`, through real requests: what it lets pass, what it denies, and for what reason.

use edge_claims_harness::Request;
use edge_claims_harness::tokens::{self, Key, now};
use serde_json::{Value, json};

use crate::support::{CLAIMS, World, issuer};

const PARTNER: &str = "https://partner.example.com";

fn allow(name: &str, what: &Value) -> Value {
    json!({"name": name, "path": format!("/{name}"), "allow": what})
}

fn when(name: &str, test: &Value) -> Value {
    allow(name, &json!({"when": test}))
}

fn routes() -> Vec<Value> {
    vec![
        allow("any", &json!({"any_role": ["editor", "auditor"]})),
        allow("all", &json!({"all_roles": ["editor", "auditor"]})),
        allow(
            "both",
            &json!({"any_role": ["a", "b"], "all_roles": ["reader"]}),
        ),
        allow("issuer", &json!({"issuers": [PARTNER]})),
        allow("audience", &json!({"audiences": ["billing", "ledger"]})),
        allow(
            "scope",
            &json!({"scopes": {"claim": "scope", "all": ["orders:read", "orders:write"]}}),
        ),
        allow(
            "nested",
            &json!({"scopes": {"claim": ["https://x.example/a.b", "s"], "all": ["w"]}}),
        ),
        json!({"name": "bind", "path": "/t/{tenant}/u/{user}/{*rest}",
            "allow": {"bind": {"tenant": ["org", "ids"], "user": "sub"}}}),
        json!({"name": "tail", "path": "/files/{*path}", "allow": {"bind": {"path": "file"}}}),
        allow(
            "alternatives",
            &json!([
                {"any_role": ["admin"]},
                {"scopes": {"claim": "scope", "all": ["support"]}, "when": {"claim": "country", "equals": "DE"}},
            ]),
        ),
        allow(
            "all-keys",
            &json!({"any_role": ["editor"], "all_roles": ["auditor"],
            "issuers": [PARTNER], "audiences": ["billing"],
            "scopes": {"claim": "scope", "all": ["s"]}, "when": {"claim": "level", "at_least": 3}}),
        ),
        when("equals", &json!({"claim": "level", "equals": 3})),
        when(
            "equals-text",
            &json!({"claim": ["https://x.example/a.b", "c/d"], "equals": "x"}),
        ),
        when("equals-flag", &json!({"claim": "mfa", "equals": true})),
        when("in", &json!({"claim": "country", "in": ["DE", "FR", 7]})),
        when("contains", &json!({"claim": "groups", "contains": "ops"})),
        when("prefix", &json!({"claim": "email", "prefix": "ops-"})),
        when("exists", &json!({"claim": "email", "exists": true})),
        when("at-least", &json!({"claim": "level", "at_least": 3})),
        when("at-most", &json!({"claim": "level", "at_most": 3.5})),
        when("max-age", &json!({"claim": "login", "max_age": "10m"})),
        when("not", &json!({"not": {"claim": "country", "equals": "DE"}})),
        when(
            "combined",
            &json!({"any": [
                {"all": [{"claim": "level", "at_least": 5}, {"not": {"claim": "suspended", "equals": true}}]},
                {"claim": "groups", "contains": "root"},
            ]}),
        ),
        when(
            "header-equals",
            &json!({"header": "x-env", "equals": "prod"}),
        ),
        when(
            "header-in",
            &json!({"header": "X-Env", "in": ["prod", "stage"]}),
        ),
        when(
            "header-contains",
            &json!({"header": "x-env", "contains": "ro"}),
        ),
        when("header-prefix", &json!({"header": "x-env", "prefix": "pr"})),
        when("header-exists", &json!({"header": "x-env", "exists": true})),
        when(
            "header-not",
            &json!({"not": {"header": "x-env", "equals": "prod"}}),
        ),
    ]
}

/// The policy of these tests, and a second issuer beside the world's own.
struct Bench {
    world: World,
    partner: Key,
}

impl Bench {
    fn start() -> Self {
        let partner = Key::generate("ES256", "p1");
        let world = World::with(
            |policy| {
                let mut other = issuer(PARTNER, &[&partner]);
                other["any_audience"] = json!(true);
                other.as_object_mut().unwrap().remove("audiences");
                policy["claims"]["issuers"]
                    .as_array_mut()
                    .unwrap()
                    .push(other);
                policy["rbac"]["roles"]["includes"] = json!({"admin": ["editor"], "editor": ["reader"], "chief": ["auditor", "admin"]});
                policy["rbac"]["routes"] = json!(routes());
            },
            |setup| setup,
        );
        Self { world, partner }
    }

    fn request(&self, path: &str, claims: &Value) -> Request {
        let claims = tokens::claims(claims);
        let key = if claims["iss"] == PARTNER {
            &self.partner
        } else {
            &self.world.key
        };
        self.world.envoy.get(path).header(CLAIMS, key.sign(&claims))
    }

    #[track_caller]
    fn yes(&self, path: &str, claims: Value) {
        self.world.allowed(self.request(path, &claims));
    }

    /// A denial by status and reason, each seen in body, challenge, access log and upstream.
    #[track_caller]
    fn no(&self, reason: &str, path: &str, claims: Value) {
        self.world.denied(self.request(path, &claims), 403, reason);
    }
}

/// One Envoy for all of them: each part is a function of its own.
#[test]
fn every_key_of_allow_decides() {
    let bench = Bench::start();
    roles(&bench);
    issuers_and_audiences(&bench);
    scopes(&bench);
    bindings(&bench);
    alternatives(&bench);
    typed_tests(&bench);
    combined_tests(&bench);
    headers(&bench);
}

fn roles(bench: &Bench) {
    for roles in [
        json!(["editor"]),
        json!(["auditor"]),
        json!(["admin"]),
        json!("chief"),
    ] {
        bench.yes("/any", json!({"roles": roles}));
    }
    for roles in [
        json!(["reader"]),
        json!([]),
        json!(["Editor"]),
        json!("editor auditor"),
        json!(null),
    ] {
        bench.no("role", "/any", json!({"roles": roles}));
    }
    for roles in [
        json!(["editor", "auditor"]),
        json!(["admin", "auditor"]),
        json!(["chief"]),
    ] {
        bench.yes("/all", json!({"roles": roles}));
    }
    for roles in [
        json!(["editor"]),
        json!(["auditor"]),
        json!(["admin", "reader"]),
    ] {
        bench.no("role", "/all", json!({"roles": roles}));
    }
    bench.yes("/both", json!({"roles": ["a", "admin"]}));
    bench.no("role", "/both", json!({"roles": ["a", "b"]}));
    bench.no("role", "/both", json!({"roles": ["reader"]}));
}

fn issuers_and_audiences(bench: &Bench) {
    bench.yes("/issuer", json!({"iss": PARTNER}));
    bench.no("issuer_route", "/issuer", json!({}));
    for audience in [
        json!(["mesh.example.com", "billing"]),
        json!(["ledger", "mesh.example.com"]),
    ] {
        bench.yes("/audience", json!({"aud": audience}));
    }
    bench.yes("/audience", json!({"iss": PARTNER, "aud": "ledger"}));
    for audience in [
        json!("mesh.example.com"),
        json!(["mesh.example.com", "Billing"]),
    ] {
        bench.no("audience_route", "/audience", json!({"aud": audience}));
    }
    bench.no(
        "audience_route",
        "/audience",
        json!({"iss": PARTNER, "aud": null}),
    );
}

/// `scope` is the one refusal of 403 that carries a challenge (RFC 6750 §3.1).
fn scopes(bench: &Bench) {
    for scope in [
        json!("orders:read orders:write"),
        json!("x orders:write  orders:read"),
        json!(["orders:read", "orders:write", "x"]),
    ] {
        bench.yes("/scope", json!({"scope": scope}));
    }
    for scope in [
        json!("orders:read"),
        json!("orders:read,orders:write"),
        json!("ORDERS:READ ORDERS:WRITE"),
        json!(["orders:read orders:write"]),
        json!(["orders:read", "orders:write", 1]),
        json!({"orders:read": true, "orders:write": true}),
        json!(null),
    ] {
        let response = bench.request("/scope", &json!({"scope": scope})).send();
        assert_eq!(response.status, 403, "{scope}: {response:?}");
        assert_eq!(response.json()["code"], "scope");
        let challenge = response.header("www-authenticate").unwrap();
        assert!(
            challenge.contains("error=\"insufficient_scope\""),
            "{challenge}"
        );
        assert!(!response.text().contains("orders:"), "{response:?}");
        assert_eq!(bench.world.upstream.take(), []);
    }
    bench.yes("/nested", json!({"https://x.example/a.b": {"s": "r w"}}));
    let response = bench.request("/nested", &json!({"s": "w"})).send();
    assert_eq!(response.json()["code"], "scope");
}

fn bindings(bench: &Bench) {
    let of = |ids: Value| json!({"org": {"ids": ids}});
    bench.yes("/t/a/u/alice", of(json!("a")));
    bench.yes("/t/b/u/alice/x/y", of(json!(["a", "b"])));
    bench.yes("/t/%62/u/%61lice/", of(json!(["a", "b"])));
    bench.no("binding_route", "/t/c/u/alice", of(json!(["a", "b"])));
    bench.no("binding_route", "/t/a/u/bob", of(json!("a")));
    bench.no("binding_route", "/t/1/u/alice", of(json!(1)));
    bench.no("binding_route", "/t/1/u/alice", of(json!([1])));
    bench.no("binding_route", "/t/a/u/alice", json!({"org": "a"}));
    bench.no("binding_route", "/t/a/u/alice", json!({}));

    bench.yes("/files/x/y.txt", json!({"file": "x/y.txt"}));
    bench.no("binding_route", "/files/x/y.txt", json!({"file": "x"}));
    // A rest that is empty equals nothing, not even an empty claim.
    bench.no("binding_route", "/files", json!({"file": ""}));
}

fn alternatives(bench: &Bench) {
    bench.yes("/alternatives", json!({"roles": ["admin"]}));
    bench.yes(
        "/alternatives",
        json!({"scope": "support", "country": "DE"}),
    );
    // The reason is that of the alternative that came furthest.
    bench.no(
        "condition",
        "/alternatives",
        json!({"scope": "support", "country": "FR"}),
    );
    bench.no("role", "/alternatives", json!({"country": "DE"}));

    let all = json!({"iss": PARTNER, "aud": "billing", "roles": ["editor", "auditor"], "scope": "s", "level": 3});
    bench.yes("/all-keys", all.clone());
    for (claim, other, reason) in [
        ("aud", json!("shop"), "audience_route"),
        ("roles", json!(["auditor"]), "role"),
        ("roles", json!(["editor"]), "role"),
        ("level", json!(2), "condition"),
    ] {
        let mut claims = all.clone();
        claims[claim] = other;
        bench.no(reason, "/all-keys", claims);
    }
    bench.no(
        "issuer_route",
        "/all-keys",
        json!({"roles": ["editor", "auditor"]}),
    );
}

fn typed_tests(bench: &Bench) {
    let now = now();
    let cases = [
        (
            "/equals",
            "level",
            vec![json!(3), json!(3.0)],
            vec![json!("3"), json!(4), json!([3]), json!(true), json!(null)],
        ),
        (
            "/equals-flag",
            "mfa",
            vec![json!(true)],
            vec![json!("true"), json!(1), json!(false)],
        ),
        (
            "/in",
            "country",
            vec![json!("DE"), json!(7)],
            vec![json!("de"), json!("7"), json!(["DE"]), json!("DE ")],
        ),
        (
            "/contains",
            "groups",
            vec![json!(["dev", "ops"])],
            vec![json!(["opsx"]), json!("ops"), json!({"ops": 1}), json!([])],
        ),
        (
            "/prefix",
            "email",
            vec![json!("ops-a@x")],
            vec![
                json!("Ops-a@x"),
                json!("x-ops-"),
                json!(["ops-a"]),
                json!(1),
            ],
        ),
        (
            "/exists",
            "email",
            vec![json!(""), json!(0), json!(false), json!([])],
            vec![json!(null)],
        ),
        (
            "/at-least",
            "level",
            vec![json!(3), json!(3.5), json!(9_007_199_254_740_993_i64)],
            vec![json!(2.99), json!("4"), json!([4])],
        ),
        (
            "/at-most",
            "level",
            vec![json!(3.5), json!(-1)],
            vec![json!(3.51), json!("1"), json!(1e300)],
        ),
        (
            "/max-age",
            "login",
            vec![json!(now - 590), json!(now - 10), json!(now + 30)],
            vec![
                json!(now - 620),
                json!(now + 600),
                json!(now.to_string()),
                json!(0),
            ],
        ),
    ];
    for (path, claim, good, bad) in cases {
        for value in good {
            bench.yes(path, json!({claim: value}));
        }
        for value in bad {
            bench.no("condition", path, json!({claim: value}));
        }
        bench.no("condition", path, json!({}));
    }
    bench.yes(
        "/equals-text",
        json!({"https://x.example/a.b": {"c/d": "x"}}),
    );
    bench.no(
        "condition",
        "/equals-text",
        json!({"https://x.example/a": {"b": {"c/d": "x"}}}),
    );
}

fn combined_tests(bench: &Bench) {
    bench.yes("/not", json!({"country": "FR"}));
    bench.no("condition", "/not", json!({"country": "DE"}));
    // Missing, or of another type, satisfies nothing; `not` of it neither.
    bench.no("condition", "/not", json!({}));
    bench.no("condition", "/not", json!({"country": ["FR"]}));
    bench.no("condition", "/not", json!({"country": 1}));

    bench.yes("/combined", json!({"level": 5, "suspended": false}));
    bench.yes("/combined", json!({"groups": ["root"]}));
    bench.no(
        "condition",
        "/combined",
        json!({"level": 5, "suspended": true}),
    );
    bench.no("condition", "/combined", json!({"level": 5}));
    bench.no(
        "condition",
        "/combined",
        json!({"level": 4, "suspended": false, "groups": ["x"]}),
    );
}

/// Every value of a header must pass on its own: what is joined or repeated proves nothing.
fn headers(bench: &Bench) {
    let world = &bench.world;
    let with = |path: &str, values: &[&str]| {
        let start = bench.request(path, &json!({}));
        values
            .iter()
            .fold(start, |request, value| request.header("x-env", value))
    };
    for (path, good, bad) in [
        (
            "/header-equals",
            vec![vec!["prod"], vec!["prod", "prod"]],
            vec![
                vec![],
                vec!["dev"],
                vec!["Prod"],
                vec!["prod", "dev"],
                vec!["dev", "prod"],
                vec!["prod,prod"],
                vec![""],
            ],
        ),
        (
            "/header-in",
            vec![vec!["prod"], vec!["stage", "prod"]],
            vec![vec![], vec!["prod", "x"], vec!["prod, stage"]],
        ),
        (
            "/header-contains",
            vec![vec!["prod"], vec!["prod", "zero"]],
            vec![vec![], vec!["dev"], vec!["prod", "dev"]],
        ),
        (
            "/header-prefix",
            vec![vec!["prod"], vec!["pr"]],
            vec![vec![], vec!["xprod"], vec!["prod", "x"]],
        ),
        (
            "/header-exists",
            vec![vec!["x"], vec![""], vec!["a", "b"]],
            vec![vec![]],
        ),
        (
            "/header-not",
            vec![vec!["dev"], vec!["dev", "test"]],
            vec![
                vec![],
                vec!["prod"],
                vec!["prod", "dev"],
                vec!["dev", "prod"],
            ],
        ),
    ] {
        for values in good {
            world.allowed(with(path, &values));
            world.allowed(with(path, &values).http2());
        }
        for values in bad {
            world.denied(with(path, &values), 403, "condition");
            world.denied(with(path, &values).http2(), 403, "condition");
        }
    }
    let capitals = bench
        .request("/header-equals", &json!({}))
        .header("X-ENV", "prod");
    world.allowed(capitals);
    // Another header to the filter, even if a backend folds the two into one.
    let alias = bench
        .request("/header-equals", &json!({}))
        .header("X_Env", "prod");
    world.denied(alias, 403, "condition");
    let bytes = bench
        .request("/header-equals", &json!({}))
        .header("x-env", b"prod\xff");
    world.denied(bytes, 403, "condition");
}
