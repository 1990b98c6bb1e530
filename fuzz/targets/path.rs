//! Reading a path never panics, reading it again changes nothing, and another spelling of the same
//! path gets the same verdict.
#![no_main]

use edge_claims::internals::{CanonicalPath, Config, Target, load as load_config};
use libfuzzer_sys::fuzz_target;

const RULES: [&str; 3] = [
    r#"{}"#,
    r#"{"dot_segments":"normalize","empty_segments":"normalize"}"#,
    r#"{"dot_segments":"normalize","empty_segments":"normalize","encoded_slash":"keep","double_encoding":"keep",
        "semicolon":"keep","backslash":"keep","encoded_query":"keep","trailing_slash":"distinct"}"#,
];

fn load(rules: &str) -> Config {
    let text = format!(
        r#"{{"claims":{{"issuers":[{{"issuer":"i","any_audience":true,"algorithms":["HS256"],
            "keys":{{"secrets":[{{"env":"S"}}]}}}}]}},
        "rbac":{{"path":{rules},"routes":[
            {{"name":"admin","path":"/admin/{{*rest}}","allow":"authenticated"}},
            {{"name":"tenant","path":"/tenants/{{tenant}}/x","allow":{{"bind":{{"tenant":"t"}}}}}},
            {{"name":"files","path":"/files/{{name}}","path_rules":{{"encoded_slash":"keep"}},"allow":"public"}},
            {{"name":"get","methods":["GET"],"path":"/a/b","allow":"public"}},
            {{"name":"all","path":"/{{*rest}}","allow":"public"}}]}}}}"#
    );
    load_config(text.as_bytes()).expect("the config is good")
}

thread_local! {
    static CONFIGS: Vec<Config> = RULES.iter().map(|rules| load(rules)).collect();
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, raw)) = bytes.split_first() else {
        return;
    };
    CONFIGS.with(|configs| check(configs, first, raw));
});

fn check(configs: &[Config], first: u8, raw: &[u8]) {
    for config in configs {
        let verdict = verdict(config, raw);
        if let Ok(path) = CanonicalPath::parse(raw)
            && let Some(normalized) = path.normalized()
        {
            let again = CanonicalPath::parse(normalized).expect("what was normalized is a path");
            assert_eq!(
                again.normalized(),
                None,
                "normalizing twice is normalizing once"
            );
            assert!(again.segments().eq(path.segments()), "{normalized:?}");
        }
        let other = respelled(raw, first);
        assert_eq!(forwarded(raw), forwarded(&other));
        assert_eq!(
            self::verdict(config, &other),
            verdict,
            "{:?}",
            String::from_utf8_lossy(&other)
        );
    }
}

/// The path as it goes upstream.
fn forwarded(raw: &[u8]) -> Option<Vec<u8>> {
    let path = CanonicalPath::parse(raw).ok()?;
    Some(path.normalized().unwrap_or(raw).to_vec())
}

/// The route, or why there is none.
fn verdict(config: &Config, raw: &[u8]) -> String {
    let target = Target {
        method: b"GET",
        authority: b"shop.example.com",
        path: raw,
        ..Target::default()
    };
    match config.rbac.locate(&target) {
        Ok(location) => format!("{:?}", location.route),
        Err(error) => format!("{:?} {:?}", error.denial, error.route),
    }
}

/// The same path (RFC 3986 §6.2.2.2) with some unreserved characters percent-encoded.
fn respelled(raw: &[u8], which: u8) -> Vec<u8> {
    let mut other = Vec::new();
    let (mut at, mut count) = (0, 0_u8);
    while let Some(&byte) = raw.get(at) {
        at += 1;
        match byte {
            b'?' | b'#' => {
                other.push(byte);
                other.extend_from_slice(&raw[at..]);
                break;
            }
            b'%' => {
                // A triplet stays as it is.
                let end = raw.len().min(at + 2);
                other.push(byte);
                other.extend_from_slice(&raw[at..end]);
                at = end;
            }
            _ if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                count = count.wrapping_add(1);
                if which.rotate_left(u32::from(count)) & 1 == 1 {
                    other.extend_from_slice(format!("%{byte:02x}").as_bytes());
                } else {
                    other.push(byte);
                }
            }
            _ => other.push(byte),
        }
    }
    other
}
