//! Paths that two programs may read differently, class by class and by the hundred, under each of
//! Envoy's and Istio's normalisation settings. The routes are the worst there can be: whatever is not
//! recognised as guarded is public.

use std::collections::BTreeSet;

use edge_claims_harness::Since;
use edge_claims_harness::setup::PathNormalization::{
    self, Base, DecodeAndMergeSlashes, MergeSlashes, None,
};
use serde_json::{Value, json};

use crate::support::{CLAIMS, World};

/// Where every class is refused, which is the default.
const STRICT: &str = "strict.example";

/// Where every class is let in: normalized, or kept as data.
const LENIENT: &str = "lenient.example";

/// Newer Envoys, too, resolve a `..` with parameters behind it.
const DOTS_WITH_PARAMETERS: &str = "/x/..;/y";

fn routes(policy: &mut Value) {
    let rules = json!({"dot_segments": "normalize", "empty_segments": "normalize",
        "encoded_slash": "keep", "double_encoding": "keep", "semicolon": "keep", "backslash": "keep",
        "encoded_query": "keep"});
    let mut routes = Vec::new();
    for (host, rules) in [(STRICT, json!({})), (LENIENT, rules)] {
        let short = host.split('.').next().unwrap();
        let mut add = |name: &str, path: &str, allow: Value| {
            routes.push(json!({"name": format!("{short}-{name}"), "hosts": [host],
                "path": path, "allow": allow, "path_rules": rules}));
        };
        add("admin", "/admin/{*rest}", json!({"any_role": ["admin"]}));
        add(
            "tenant",
            "/tenants/{tenant}/{*rest}",
            json!({"bind": {"tenant": "tenant_id"}}),
        );
        add("public", "/{*rest}", json!("public"));
    }
    policy["rbac"]["routes"] = json!(routes);
}

fn world(normalization: PathNormalization) -> World {
    World::with(routes, |setup| setup.path_normalization(normalization))
}

/// What becomes of a path.
#[derive(Debug, PartialEq, Clone, Copy)]
enum Fate {
    /// 400, and this class in the log.
    Refused(&'static str),
    /// The upstream sees this.
    Sees(&'static str),
}
use Fate::{Refused, Sees};

/// A sample of each class, and what becomes of it where the class is refused: under `NONE`, `BASE`,
/// `MERGE_SLASHES`, `DECODE_AND_MERGE_SLASHES`. Envoy resolves some before the filter sees them.
const STRICTLY: &[(&str, [Fate; 4])] = &[
    (
        "/x/../y?q=/../z",
        [
            Refused("dot_segments"),
            Sees("/y?q=/../z"),
            Sees("/y?q=/../z"),
            Sees("/y?q=/../z"),
        ],
    ),
    (
        "/x/%2e%2e/y",
        [Refused("dot_segments"), Sees("/y"), Sees("/y"), Sees("/y")],
    ),
    (
        DOTS_WITH_PARAMETERS,
        [Refused("dot_segments"), Sees("/y"), Sees("/y"), Sees("/y")],
    ),
    (
        "/x//y",
        [
            Refused("empty_segments"),
            Refused("empty_segments"),
            Sees("/x/y"),
            Sees("/x/y"),
        ],
    ),
    (
        "/x%2Fy",
        [
            Refused("encoded_slash"),
            Refused("encoded_slash"),
            Refused("encoded_slash"),
            Sees("/x/y"),
        ],
    ),
    ("/x%2541", [Refused("double_encoding"); 4]),
    ("/x;a=b/y", [Refused("semicolon"); 4]),
    ("/x%3ba/y", [Refused("semicolon"); 4]),
    (
        "/x\\y",
        [
            Refused("backslash"),
            Sees("/x/y"),
            Sees("/x/y"),
            Sees("/x/y"),
        ],
    ),
    ("/x%3Fy", [Refused("encoded_query"); 4]),
    ("/x%23y", [Refused("encoded_query"); 4]),
    (
        "/x%5cy",
        [
            Refused("backslash"),
            Refused("backslash"),
            Refused("backslash"),
            Sees("/x/y"),
        ],
    ),
];

/// The same where every class is let in, without Envoy's help.
const LENIENTLY: &[(&str, Fate)] = &[
    ("/x/../y?q=/../z", Sees("/y?q=/../z")),
    ("/x/%2e%2e/y", Sees("/y")),
    ("/x//y", Sees("/x/y")),
    ("/x%2Fy", Sees("/x%2Fy")),
    ("/x%2541", Sees("/x%2541")),
    ("/x;a=b/y", Sees("/x;a=b/y")),
    ("/x%3ba/y", Sees("/x%3ba/y")),
    ("/x\\y", Sees("/x\\y")),
    ("/x%5cy", Sees("/x%5cy")),
    ("/x%3Fy", Sees("/x%3Fy")),
    ("/x%23y", Sees("/x%23y")),
    // Dots that only another reading finds can't be resolved here: no rule lets them in.
    ("/x/..;/y", Refused("dot_segments")),
    ("/x/..%2fy", Refused("dot_segments")),
    ("/x/..%5cy", Refused("dot_segments")),
    ("/x/%252e%252e/y", Refused("dot_segments")),
    // Readings that would be decided otherwise are refused by their class.
    ("/admin%2fx", Refused("encoded_slash")),
    ("/admin;x", Refused("semicolon")),
    ("/admin\\x", Refused("backslash")),
    ("/%2561dmin", Refused("double_encoding")),
    ("/tenants;x/a", Refused("semicolon")),
    ("/admin%3Fx", Refused("encoded_query")),
    ("/admin%23x", Refused("encoded_query")),
];

#[track_caller]
fn check(world: &World, host: &str, path: &str, fate: Fate) {
    let response = world.envoy.get(path).host(host).send();
    let seen = world.upstream.take();
    match fate {
        Sees(expected) => {
            assert_eq!(response.status, 200, "{host} {path}: {response:?}");
            let seen: Vec<String> = seen.iter().map(edge_claims_harness::Seen::path).collect();
            let expected = edge_claims_harness::printable(expected.as_bytes());
            assert_eq!(seen, [expected], "{host} {path}");
        }
        Refused(class) => {
            assert_eq!(seen, [], "{host} {path} got through");
            assert_eq!(response.status, 400, "{host} {path}: {response:?}");
            assert_eq!(response.json()["code"], "path_ambiguous", "{host} {path}");
            let id = response.header("x-correlation-id").unwrap();
            let line = world.envoy.wait_for_log(&id);
            assert!(
                line.contains(class),
                "{host} {path}: {class} is not in {line}"
            );
            assert!(!response.text().contains(class), "{response:?}");
        }
    }
}

/// Separators, and what some backend takes for one.
const SEPARATORS: &[&str] = &[
    "/", "//", "/./", "/%2e/", "%2f", "%2F", "%252f", "\\", "%5c", "%255c", "/;/", ";x=1/",
    "%3bx/", "/%2f", "/x/../", "/\\", "\\/", "/%00/",
];

/// The parent folder, and what some backend takes for it.
const PARENTS: &[&str] = &[
    "..",
    "%2e%2e",
    ".%2e",
    "%2E.",
    "%252e%252e",
    "..;",
    "..;a=b",
    "..%3b",
    "..%253b",
    "..%2f",
    "..%5c",
    "..%252f",
];

/// A guarded name, in more than one spelling.
const NAMES: &[&str] = &[
    "admin",
    "%61dmin",
    "adm%69n",
    "%2561dmin",
    "admin;x",
    "admin%3bx",
    "admin%2f",
    "admin\\",
    "tenants/b",
    "tenants%2fb",
    "tenants/%62",
    "tenants;x/b",
    "tenants/b;x",
];

/// Several hundred spellings of something guarded, or of ways to it from a public folder.
fn spellings() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for name in NAMES {
        for separator in SEPARATORS {
            all.insert(format!("/{}{name}/x", separator.trim_start_matches('/')));
            all.insert(format!("/{name}{separator}x"));
        }
        for parent in PARENTS {
            all.insert(format!("/public/{parent}/{name}/x"));
        }
    }
    for separator in SEPARATORS {
        for parent in PARENTS {
            all.insert(format!(
                "/public{separator}{parent}{separator}admin{separator}x"
            ));
            all.insert(format!(
                "/a/b{separator}{parent}/{parent}{separator}tenants/b"
            ));
        }
    }
    all
}

/// How a backend reads a path.
#[derive(Debug, Clone, Copy)]
struct Reader {
    /// How often it decodes.
    decodes: usize,
    /// Whether it resolves dots before it decodes, too.
    resolves_first: bool,
    /// Whether it cuts `;…` off segments.
    cuts: bool,
    /// Whether `\` is `/` to it.
    backslash: bool,
}

impl Reader {
    fn all() -> Vec<Self> {
        let flags = [false, true];
        let mut all = Vec::new();
        for decodes in 0..=2 {
            for resolves_first in flags {
                for cuts in flags {
                    for backslash in flags {
                        all.push(Self {
                            decodes,
                            resolves_first,
                            cuts,
                            backslash,
                        });
                    }
                }
            }
        }
        all
    }

    /// The segments it finds, dots resolved and empty ones left out.
    fn read(self, path: &str) -> Vec<String> {
        let mut path = path.split('?').next().unwrap_or_default().to_owned();
        if self.resolves_first {
            path = format!("/{}", self.resolve(&path).join("/"));
        }
        for _ in 0..self.decodes {
            path = decode(&path);
        }
        self.resolve(&path)
    }

    fn resolve(self, path: &str) -> Vec<String> {
        let path = if self.backslash {
            path.replace('\\', "/")
        } else {
            path.to_owned()
        };
        let mut segments: Vec<String> = Vec::new();
        for segment in path.split('/') {
            let kept = if self.cuts {
                segment.split(';').next().unwrap_or_default()
            } else {
                segment
            };
            match kept {
                "" | "." => {}
                ".." => drop(segments.pop()),
                kept => segments.push(kept.to_owned()),
            }
        }
        segments
    }
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits = bytes
            .get(at + 1..at + 3)
            .and_then(|digits| str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(value) if byte == b'%' => {
                decoded.push(value);
                at += 3;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Whether it is guarded from someone of tenant `a` without roles.
fn guarded(segments: &[String]) -> bool {
    match segments {
        [first, ..] if first == "admin" => true,
        [first, tenant, ..] => first == "tenants" && tenant != "a",
        _ => false,
    }
}

fn every_class(world: &World, index: usize) {
    for (path, fates) in STRICTLY {
        let fate = if *path == DOTS_WITH_PARAMETERS && !Since::DotsWithParameters.is_there() {
            Refused("dot_segments")
        } else {
            fates[index]
        };
        check(world, STRICT, path, fate);
    }
}

fn no_spelling_reaches_what_is_guarded(world: &World, normalization: PathNormalization) {
    let token = world.token(&json!({"tenant_id": "a", "roles": []}));
    let (spellings, readers) = (spellings(), Reader::all());
    let mut reached = [0_usize; 2];
    for path in &spellings {
        for (index, host) in [STRICT, LENIENT].into_iter().enumerate() {
            let response = world
                .envoy
                .get(path)
                .host(host)
                .header(CLAIMS, &token)
                .send();
            assert!(
                response.status != 503,
                "{normalization:?} {host} {path}: {response:?}"
            );
            for seen in world.upstream.take() {
                reached[index] += 1;
                let target = str::from_utf8(&seen.path).unwrap();
                for reader in &readers {
                    let segments = reader.read(target);
                    assert!(
                        !guarded(&segments),
                        "{normalization:?}: {path} at {host} went through as {target}, {reader:?}: {segments:?}"
                    );
                }
            }
        }
    }
    println!(
        "{normalization:?}: {} spellings at two hosts, {reached:?} let through as public, none guarded",
        spellings.len()
    );
    assert!(
        spellings.len() > 500,
        "too few spellings: {}",
        spellings.len()
    );
}

fn run(normalization: PathNormalization, index: usize) {
    let world = world(normalization);
    every_class(&world, index);
    if normalization == None {
        for (path, fate) in LENIENTLY {
            check(&world, LENIENT, path, *fate);
        }
    }
    // Those who may do reach it, by the one spelling that all agree on.
    let admin = world.token_of(&["admin"]);
    for host in [STRICT, LENIENT] {
        let request = world
            .envoy
            .get("/admin/x")
            .host(host)
            .header(CLAIMS, &admin);
        assert_eq!(world.allowed(request).path(), "/admin/x");
        let request = world
            .envoy
            .get("/tenants/a/x")
            .host(host)
            .header(CLAIMS, &admin);
        assert_eq!(world.allowed(request).path(), "/tenants/a/x");
    }
    no_spelling_reaches_what_is_guarded(&world, normalization);
}

#[test]
fn as_sent() {
    run(None, 0);
}

#[test]
fn after_istios_base() {
    run(Base, 1);
}

#[test]
fn after_merge_slashes() {
    run(MergeSlashes, 2);
}

#[test]
fn after_decode_and_merge_slashes() {
    run(DecodeAndMergeSlashes, 3);
}
