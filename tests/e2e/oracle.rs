//! The filter beside Envoy's own `jwt_authn`, in the same process, with the same keys: it never
//! accepts a token that `jwt_authn` rejects, and where it is stricter, the class is listed here.
//!
//! More tokens: `EDGE_CLAIMS_ORACLE_TOKENS=200000`; the same ones again: `EDGE_CLAIMS_ORACLE_SEED=…`,
//! as a run prints it.

use std::collections::BTreeMap;

use edge_claims_harness::tokens::{Key, Order, base64url, from_base64url, jwks, mint, now};
use edge_claims_harness::{Response, Setup, Upstream};
use serde_json::{Value, json};

use crate::support::{CLAIMS, ISSUER};

/// Where the filter rejects what `jwt_authn` accepts, and why it does.
const STRICTER: [(&str, &str); 9] = [
    (
        "claims_malformed",
        "duplicate JSON keys, `crit`, `b64`, `zip` and `jwk` in the header, registered claims of another type, base64url that is not canonical",
    ),
    (
        "key_unknown",
        "jwt_authn tries every key that fits where a token has no `kid`, or a `kid` that no key has; here `kid` selects",
    ),
    (
        "algorithm_refused",
        "jwt_authn has no allow-list: any algorithm that a key can do will do",
    ),
    (
        "audience",
        "jwt_authn strips a scheme and a trailing slash before it compares; here it is exact",
    ),
    ("type", "jwt_authn does not look at `typ`"),
    ("claim_required", "`exp` is always required here"),
    ("not_yet_valid", "jwt_authn does not look at `iat`"),
    ("expired", "a fraction of `exp` is cut off here"),
    (
        "signature_invalid",
        "jwt_authn takes an ECDSA signature with bytes behind it; RFC 7518 §3.4 fixes its length",
    ),
];

#[test]
fn what_jwt_authn_rejects_is_never_accepted() {
    let count = number("EDGE_CLAIMS_ORACLE_TOKENS").unwrap_or(20_000);
    let seed = number("EDGE_CLAIMS_ORACLE_SEED").unwrap_or_else(|| now().unsigned_abs());
    println!("oracle: {count} tokens, EDGE_CLAIMS_ORACLE_SEED={seed}");

    let keys = [
        Key::generate("ES256", "es256"),
        Key::generate("RS256", "RS"),
        Key::generate("PS256", "PS"),
        Key::generate("EdDSA", "eddsa"),
        Key::generate("ES384", "es384"),
    ];
    let upstream = Upstream::start();
    let envoy = Setup::new(&upstream)
        .log_level("warning")
        .hcm(
            &json!({"route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
            {"match": {"prefix": "/"}, "direct_response": {"status": 200}}]}]}}),
        )
        .filter(jwt_authn(&keys))
        .plugin(&filter(&keys))
        .start();

    let mut random = Random(seed);
    let mut accepted = (0_u64, 0_u64);
    let mut stricter: BTreeMap<String, (u64, String)> = BTreeMap::new();
    let mut left = count;
    while left > 0 {
        let size = left.min(1_000);
        left -= size;
        let tokens = batch(&mut random, &keys, usize::try_from(size).unwrap());
        let ask = |path: &str| {
            let requests: Vec<Vec<u8>> = tokens.iter().map(|token| request(path, token)).collect();
            let requests: Vec<&[u8]> = requests.iter().map(Vec::as_slice).collect();
            envoy.client().conversation(&requests)
        };
        let (ours, theirs) = (ask("/ours"), ask("/native"));
        for ((token, ours), theirs) in tokens.iter().zip(ours).zip(theirs) {
            let verdicts = (ours.status == 200, theirs.status == 200);
            accepted.0 += u64::from(verdicts.0);
            accepted.1 += u64::from(verdicts.1);
            match verdicts {
                (true, false) => panic!(
                    "seed {seed}: accepted, while jwt_authn says {}: {token}",
                    theirs.text()
                ),
                (false, true) => {
                    let entry = stricter.entry(code(&ours)).or_insert((0, token.clone()));
                    entry.0 += 1;
                }
                _ => {}
            }
        }
    }
    println!(
        "oracle: accepted by the filter {}, by jwt_authn {}",
        accepted.0, accepted.1
    );
    for (code, (times, example)) in &stricter {
        let known = STRICTER.iter().find(|(known, _)| known == code);
        let Some((_, why)) = known else {
            panic!(
                "seed {seed}: {times} times stricter by {code}, which is not listed, as with {example}"
            );
        };
        println!("oracle: stricter {times} times: {code}: {why}");
    }
    // A run in which nothing is accepted, or nothing differs, would prove nothing.
    assert!(
        accepted.0 > count / 50,
        "too few tokens were good to either"
    );
    assert!(
        stricter.len() >= 3,
        "the mutations reach too little: {stricter:?}"
    );
    envoy.finish();
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is no number")),
    )
}

fn filter(keys: &[Key]) -> Value {
    let all: Vec<&Key> = keys.iter().collect();
    // ES384 is left out of the list on purpose.
    json!({
        "claims": {"forward": true, "issuers": [{
            "issuer": ISSUER,
            "audiences": ["mesh.example.com"],
            "algorithms": ["ES256", "RS256", "PS256", "EdDSA"],
            "keys": {"inline": jwks(&all)},
        }]},
        "rbac": {"routes": [
            {"name": "ours", "path": "/ours", "allow": "authenticated"},
            {"name": "native", "path": "/native", "allow": "public"},
        ]},
    })
}

fn jwt_authn(keys: &[Key]) -> Value {
    let all: Vec<&Key> = keys.iter().collect();
    json!({
        "name": "jwt_authn",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"edge": {
                "issuer": ISSUER,
                "audiences": ["mesh.example.com"],
                "local_jwks": {"inline_string": jwks(&all).to_string()},
                "from_headers": [{"name": CLAIMS}],
                "forward": true,
                "clock_skew_seconds": 10,
            }},
            "rules": [{"match": {"prefix": "/native"}, "requires": {"provider_name": "edge"}}],
        },
    })
}

fn request(path: &str, token: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: a.example\r\n{CLAIMS}: {token}\r\n\r\n").into_bytes()
}

fn code(response: &Response) -> String {
    if response.status == 0 {
        return format!("connection lost: {response:?}");
    }
    response.json()["code"]
        .as_str()
        .unwrap_or("no code")
        .to_owned()
}

/// Half of the tokens are signed over a mutated header or payload, the others are mutated afterwards.
fn batch(random: &mut Random, keys: &[Key], size: usize) -> Vec<String> {
    let orders: Vec<Order> = (0..size)
        .map(|index| {
            let key = random.pick(keys);
            if index % 2 == 0 {
                Order::raw(key, header(random, key, keys), payload(random))
            } else {
                let header = json!({"alg": key.algorithm(), "kid": key.kid()});
                Order::raw(key, header.to_string(), good_payload().to_string())
            }
        })
        .collect();
    let mut tokens = mint(&orders);
    for (index, token) in tokens.iter_mut().enumerate() {
        if index % 2 == 1 && random.below(8) != 0 {
            *token = mutated(random, token);
        }
    }
    tokens
}

fn good_payload() -> Value {
    json!({"iss": ISSUER, "aud": "mesh.example.com", "sub": "alice", "iat": now(), "exp": now() + 600})
}

/// A header that is mostly right, as JSON text, so that it can have what no [`Value`] has.
fn header(random: &mut Random, key: &Key, keys: &[Key]) -> String {
    let alg = match random.below(12) {
        0 => "\"none\"".to_owned(),
        1 => format!("{:?}", key.algorithm().to_lowercase()),
        2 => "\"HS256\"".to_owned(),
        3 => format!("{:?}", random.pick(keys).algorithm()),
        4 => "1".to_owned(),
        _ => format!("{:?}", key.algorithm()),
    };
    let kid = match random.below(10) {
        0 => String::new(),
        1 => ",\"kid\":\"unknown\"".to_owned(),
        2 => format!(",\"kid\":{:?}", random.pick(keys).kid()),
        3 => ",\"kid\":7".to_owned(),
        _ => format!(",\"kid\":{:?}", key.kid()),
    };
    let more = random.pick(&[
        "",
        "",
        "",
        "",
        "",
        "",
        ",\"typ\":\"JWT\"",
        ",\"typ\":\"at+jwt\"",
        ",\"typ\":1",
        ",\"crit\":[\"exp\"]",
        ",\"crit\":[]",
        ",\"b64\":false",
        ",\"zip\":\"DEF\"",
        ",\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}",
        ",\"jku\":\"https://evil.example\"",
        ",\"alg\":\"none\"",
        ",\"x\":{\"a\":1,\"a\":2}",
        ",\"cty\":\"JWT\"",
        ",\"x5c\":[\"AAAA\"]",
    ]);
    let space = random.pick(&["", "", "", " ", "\n"]);
    format!("{{\"alg\":{alg}{kid}{more}}}{space}")
}

fn payload(random: &mut Random) -> String {
    let now = now();
    let iss = random.pick(&[
        ISSUER,
        ISSUER,
        ISSUER,
        ISSUER,
        ISSUER,
        "https://evil.example",
        "",
        "https://edge.example.com/",
    ]);
    let iss = if random.below(20) == 0 {
        "1".to_owned()
    } else {
        format!("{iss:?}")
    };
    let aud = random.pick(&[
        "\"mesh.example.com\"",
        "\"mesh.example.com\"",
        "[\"mesh.example.com\"]",
        "[\"other\",\"mesh.example.com\"]",
        "\"https://mesh.example.com/\"",
        "\"other\"",
        "[]",
        "1",
        "[1,\"mesh.example.com\"]",
        "null",
        "\"\"",
        "{\"a\":\"mesh.example.com\"}",
    ]);
    let exp = match random.below(16) {
        0 => (now - 100).to_string(),
        1 => (now - 9).to_string(),
        2 => format!("{}.5", now + 60),
        3 => format!("\"{}\"", now + 60),
        4 => "1e400".to_owned(),
        5 => "-1".to_owned(),
        6 => "9223372036854775807".to_owned(),
        7 => "1e18".to_owned(),
        8 => "null".to_owned(),
        9 => format!("{}e0", now + 60),
        _ => (now + 600).to_string(),
    };
    let exp = if random.below(20) == 0 {
        String::new()
    } else {
        format!(",\"exp\":{exp}")
    };
    let more = match random.below(14) {
        0 => format!(",\"nbf\":{}", now + 300),
        1 => format!(",\"nbf\":{}", now + 5),
        2 => ",\"nbf\":\"soon\"".to_owned(),
        3 => format!(",\"iat\":{}", now + 300),
        4 => ",\"iat\":-5".to_owned(),
        5 => ",\"sub\":5".to_owned(),
        6 => ",\"sub\":\"mallory\"".to_owned(),
        7 => ",\"a\":{\"b\":1,\"b\":2}".to_owned(),
        8 => ",\"\\u0073ub\":\"mallory\"".to_owned(),
        9 => ",\"jti\":[]".to_owned(),
        _ => format!(",\"iat\":{now}"),
    };
    let (open, close) = random.pick(&[
        ("{", "}"),
        ("{", "}"),
        ("{", "}"),
        ("{", "}"),
        ("[{", "}]"),
        ("\u{feff}{", "}"),
        ("{", "}}"),
        ("{", ""),
    ]);
    format!("{open}\"iss\":{iss},\"aud\":{aud},\"sub\":\"alice\"{exp}{more}{close}")
}

/// A change to the token's text.
fn mutated(random: &mut Random, token: &str) -> String {
    const LETTERS: &[u8] =
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=.+/ ,~";
    let mut bytes = token.as_bytes().to_vec();
    let at = random.index(bytes.len());
    let parts: Vec<&str> = token.split('.').collect();
    match random.below(12) {
        0 => bytes[at] = *random.pick(LETTERS),
        1 => bytes.insert(at, *random.pick(LETTERS)),
        2 => {
            bytes.remove(at);
        }
        3 => bytes.truncate(at.max(1)),
        4 => bytes.extend_from_slice(
            random
                .pick(&["=", "==", ".", "..", "A", ".AAAA"])
                .as_bytes(),
        ),
        5 => return format!("{}.{}.", parts[0], parts[1]),
        6 => return format!("{}.{}.{}", parts[1], parts[0], parts[2]),
        // The last letter of the signature: its lowest bits may stand for nothing.
        7 => {
            let last = bytes.len() - 1;
            bytes[last] = *random.pick(LETTERS);
        }
        8 => {
            let mut signature = from_base64url(parts[2]);
            let at = random.index(signature.len());
            signature[at] ^= 1 << random.below(8);
            return format!("{}.{}.{}", parts[0], parts[1], base64url(&signature));
        }
        9 => {
            let signature = from_base64url(parts[2]);
            let zero = vec![0; signature.len()];
            return format!("{}.{}.{}", parts[0], parts[1], base64url(&zero));
        }
        10 => {
            let header = String::from_utf8(from_base64url(parts[0])).unwrap();
            let header = header.replace(
                "\"kid\"",
                random.pick::<&str>(&["\"kie\"", "\"Kid\"", "\"kid\" "]),
            );
            return format!("{}.{}.{}", base64url(header.as_bytes()), parts[1], parts[2]);
        }
        _ => {
            let mut payload = from_base64url(parts[1]);
            let at = random.index(payload.len());
            payload[at] ^= 1 << random.below(5);
            return format!("{}.{}.{}", parts[0], base64url(&payload), parts[2]);
        }
    }
    String::from_utf8(bytes).unwrap().trim().to_owned()
}

/// SplitMix64: small, and the same everywhere for a seed.
struct Random(u64);

impl Random {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    const fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }

    fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.index(choices.len())]
    }
}
