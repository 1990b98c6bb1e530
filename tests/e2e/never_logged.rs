//! What is never written anywhere: tokens, secrets, and the bytes of hostile correlation IDs.

use edge_claims_harness::{Request, envoy};
use serde_json::json;

use crate::every_reason::{LOG_KEY, Reasons, SECRET};
use crate::support::{CLAIMS, World};

/// With the filter's component of Envoy's log, and the filter itself, as loud as they get. Components
/// that dump every header (`http`, `router`, `conn_handler`, `http2`) or every config (`config`, with
/// what `key_values` puts into the VM's environment) stay at `info`: what they print at trace level is
/// Envoy's own, with or without the filter.
#[test]
fn no_token_and_no_secret_is_ever_written() {
    let loud = "wasm:trace,filter:trace,jwt:trace,misc:trace";
    let mut world = Reasons::start(|_| {}, |setup| setup.component_log_level(loud));
    let mut answers = String::new();
    for (n, (reason, request)) in world.requests().into_iter().enumerate() {
        let response = request.header("x-correlation-id", format!("n-{n}")).send();
        if reason != "allow" {
            answers += &format!("{response:?}\n");
        }
    }
    let mut leaky = Vec::new();
    for token in world.tokens.clone() {
        let path = format!("/role?access_token={token}#{token}");
        leaky.push(
            world
                .envoy
                .get(path)
                .header(CLAIMS, &token)
                .header("authorization", format!("Bearer {token}")),
        );
    }
    for request in leaky {
        answers += &format!("{:?}\n", request.send());
    }
    let _ = world.envoy.wait_for_log("\"correlation_id\":\"n-20\"");
    // A config with everything wrong, secrets in the wrong places among them.
    let misplaced = "a-secret-in-the-wrong-place-0123456789abcdef";
    let bad = json!({"claims": {"issuers": [{
        "issuer": "https://x", "any_audience": true, "algorithms": ["HS256", "ES256"],
        "keys": {"secrets": [misplaced, {"secret": misplaced, "kid": "k"}],
            "inline": {"keys": [{"kty": "oct", "k": misplaced}, {"kty": "EC", "crv": "P-256", "d": misplaced}]}},
    }]}, "rbac": {"routes": []}});
    let refused = world
        .envoy
        .reload(|setup| setup.without_filters().plugin(&bad));
    assert!(
        matches!(refused, edge_claims_harness::Reload::Rejected(_)),
        "{refused:?}"
    );
    let log = world.envoy.log();
    assert!(log.contains("[trace][wasm]"), "the trace level is on");
    let access: String = world
        .envoy
        .access_log()
        .into_iter()
        .map(|mut record| {
            record.as_object_mut().unwrap().remove("path");
            record.to_string() + "\n"
        })
        .collect();
    let written = [
        ("Envoy's and the filter's log", log),
        ("the access log", access),
        (
            "the statistics",
            world.envoy.admin("/stats") + &world.envoy.admin("/stats/prometheus"),
        ),
        ("a denial", answers),
    ];
    let mut forbidden = vec![
        SECRET.1.to_owned(),
        LOG_KEY.1.to_owned(),
        misplaced.to_owned(),
    ];
    forbidden.push(edge_claims_harness::tokens::base64url(SECRET.1.as_bytes()));
    for token in &world.tokens {
        let parts = token.split('.').skip(1).map(str::to_owned);
        forbidden.extend(parts);
    }
    assert!(forbidden.len() > 40);
    for (place, text) in &written {
        assert!(text.len() > 500, "{place} is nearly empty: {text}");
        for secret in &forbidden {
            // The beginning would be bad enough.
            let start = &secret[..secret.len().min(24)];
            let line = text.lines().find(|line| line.contains(start));
            assert_eq!(line, None, "{place} shows {secret}");
        }
    }
}

/// IDs that would break a log, or an upstream that trusts them.
#[test]
fn hostile_ids_are_never_logged_raw_never_forwarded_and_counted() {
    let format =
        "RAW <%REQ(X-CORRELATION-ID)%> <%FILTER_STATE(wasm.edge_claims.correlation_id:PLAIN)%>\n";
    let world = World::with(
        |policy| policy["log"] = json!({"allow": 1.0}),
        |setup| {
            setup.hcm(&json!({"access_log": [{
                "name": "envoy.access_loggers.stdout",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
                    "log_format": {"text_format_source": {"inline_string": format}},
                },
            }]}))
        },
    );
    let long = vec![b'Z'; 10_000];
    let hostile: [&[u8]; 13] = [
        b"evil\nid",
        b"evil\r\nx-evil: 1",
        b"evil\"id",
        b"evil'id",
        b"\"},{\"evil\":1",
        b"evil\xff\xfe",
        b"\xc3\x28evil",
        b"\x1b[31mevil\x1b[0m",
        b"evil\x00id",
        b"evil\tid",
        b"evil id",
        b"${evil:x}",
        &long,
    ];
    let mut counted = 0;
    let mut refused = 0;
    let mut send = |request: Request| {
        let response = request.send();
        match response.header("x-correlation-id") {
            Some(id) => {
                counted += 1;
                assert_eq!((id.len(), &id[14..15]), (36, "7"), "{id}");
                assert!(!response.text().contains("evil"), "{response:?}");
            }
            // Envoy itself refuses what is no header at all.
            None => {
                refused += 1;
                assert!([0, 400, 431].contains(&response.status), "{response:?}");
            }
        }
    };
    for bytes in hostile {
        for path in ["/public/x", "/me"] {
            let split = bytes.contains(&b'\r') || bytes.contains(&b'\n');
            let request = world.envoy.get(path).header("x-correlation-id", bytes);
            send(request.clone().http2());
            if !split {
                send(request);
            }
        }
    }
    // Over HTTP/1.1 a line break ends the header: what is behind it is another one, or none at all.
    for bytes in [
        "good\nbad",
        "good\rbad",
        "good\r\nx-other: 1",
        "good\n\nGET /public/y HTTP/1.1",
    ] {
        let response = world
            .envoy
            .get("/public/x")
            .header("x-correlation-id", bytes)
            .send();
        let id = response.header("x-correlation-id");
        assert!(
            id.is_none_or(|id| id == "good" || id == "goodbad"),
            "{response:?}"
        );
    }
    for path in ["/public/x", "/me"] {
        let request = world.envoy.get(path).header("x-correlation-id", "evil-1");
        send(request.clone().header("X-Correlation-ID", "evil-2"));
        send(request.header("x-correlation-id", "evil-1").http2());
    }
    assert!(
        counted >= 20 && refused >= 2,
        "{counted} reached the filter, {refused} did not"
    );
    for seen in world.upstream.take() {
        let id = seen.header("x-correlation-id");
        let name = seen
            .headers
            .iter()
            .find(|(_, value)| value.windows(4).any(|it| it == b"evil"));
        assert!(name.is_none(), "{seen:?}");
        assert!(id.is_some_and(|id| id.len() < 40), "{seen:?}");
    }
    let name = "wasmcustom.edge_claims_correlation_malformed_total";
    let stats = || (world.envoy.stats().of(name) >= counted).then_some(());
    envoy::wait(name, stats).unwrap();
    let log = world.envoy.log();
    assert!(log.matches("RAW <").count() > 20, "{log}");
    for line in log
        .lines()
        .filter(|line| line.contains("RAW <") || line.contains("edge_claims"))
    {
        assert!(
            line.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "{line:?}"
        );
    }
    for needle in ["evil", "ZZZZ", "\u{1b}"] {
        let line = log.lines().find(|line| line.contains(needle));
        assert_eq!(line, None, "{needle:?}");
    }
}

#[test]
fn other_accepted_headers_carry_no_hostile_id_either() {
    let world = World::with(
        |policy| policy["correlation"] = json!({"accept": ["x-first", "x-correlation-id"]}),
        |setup| setup,
    );
    let get = || world.envoy.get("/public/x");
    let good = world.allowed(get().header("x-first", "good-1"));
    assert_eq!(good.header("x-first").as_deref(), Some("good-1"));
    assert_eq!(good.header("x-correlation-id").as_deref(), Some("good-1"));
    let long = "x".repeat(10_000);
    for bad in ["not an id", "a\"b", &long] {
        let request = get()
            .header("x-first", bad)
            .header("x-correlation-id", "good-2");
        let seen = world.allowed(request);
        assert_eq!(seen.header("x-first"), None);
        assert_eq!(seen.header("x-correlation-id").as_deref(), Some("good-2"));
    }
    let seen = world.allowed(get().header("x-first", "a").header("x-first", "b"));
    assert!(seen.all("x-first").is_empty(), "{seen:?}");
    for alias in ["x_first", "x.first"] {
        let seen = world.allowed(get().header(alias, "evil value"));
        assert!(seen.all(alias).is_empty(), "{seen:?}");
    }
    let name = "wasmcustom.edge_claims_correlation_malformed_total";
    let counted = || (world.envoy.stats().of(name) == 4).then_some(());
    envoy::wait(name, counted).unwrap();
}
