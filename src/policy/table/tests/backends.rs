//! No common backend interprets a forwarded path as a different one. An independent model of backends
//! interprets the forwarded path.

use proptest::prelude::*;

use super::*;

/// How a backend interprets a path, step by step.
#[derive(Debug, Clone, Copy)]
struct Backend {
    cuts_raw_parameters: bool,
    decodes_before_splitting: bool,
    decodes_twice: bool,
    takes_backslash_for_slash: bool,
    cuts_decoded_parameters: bool,
}

impl Backend {
    fn all() -> impl Iterator<Item = Self> {
        (0..32).map(|bits| Self {
            cuts_raw_parameters: bits & 1 != 0,
            decodes_before_splitting: bits & 2 != 0,
            decodes_twice: bits & 4 != 0,
            takes_backslash_for_slash: bits & 8 != 0,
            cuts_decoded_parameters: bits & 16 != 0,
        })
    }

    /// The segments it serves.
    fn read(self, raw: &[u8]) -> Vec<Vec<u8>> {
        let path = raw.split(|byte| *byte == b'?').next().unwrap();
        let mut segments = Vec::new();
        for raw_segment in path.split(|byte| *byte == b'/') {
            let raw_segment = if self.cuts_raw_parameters {
                raw_segment.split(|byte| *byte == b';').next().unwrap()
            } else {
                raw_segment
            };
            let mut decoded = decode(raw_segment);
            if self.decodes_twice {
                decoded = decode(&decoded);
            }
            let parts = decoded.split(|byte| match byte {
                b'/' => self.decodes_before_splitting,
                b'\\' => self.takes_backslash_for_slash,
                _ => false,
            });
            for part in parts {
                let part = if self.cuts_decoded_parameters {
                    part.split(|byte| *byte == b';').next().unwrap()
                } else {
                    part
                };
                match part {
                    b"" | b"." => {}
                    b".." => {
                        segments.pop();
                    }
                    _ => segments.push(part.to_vec()),
                }
            }
        }
        segments
    }
}

fn decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut index = 0;
    while index < text.len() {
        let digits = text.get(index + 1..index + 3).and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            digits
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit())
                .then_some(digits)
        });
        match digits {
            Some(digits) if text[index] == b'%' => {
                out.push(u8::from_str_radix(digits, 16).unwrap());
                index += 3;
            }
            _ => {
                out.push(text[index]);
                index += 1;
            }
        }
    }
    out
}

fn rules() -> impl Strategy<Value = PathRules> {
    let resolve = || {
        prop::sample::select(vec![
            Resolve::Reject,
            Resolve::Normalize,
            Resolve::Normalize,
        ])
    };
    let retain = || {
        prop::sample::select(vec![
            Retain::Reject,
            Retain::Keep,
            Retain::Keep,
            Retain::Keep,
        ])
    };
    (
        resolve(),
        resolve(),
        retain(),
        retain(),
        retain(),
        retain(),
        retain(),
    )
        .prop_map(
            |(
                dot_segments,
                empty_segments,
                encoded_slash,
                double_encoding,
                semicolon,
                backslash,
                encoded_query,
            )| {
                PathRules {
                    dot_segments,
                    empty_segments,
                    encoded_slash,
                    double_encoding,
                    semicolon,
                    backslash,
                    encoded_query,
                    trailing_slash: TrailingSlash::Same,
                }
            },
        )
}

fn hostile_path() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/",
        "/",
        "/",
        "admin",
        "admin",
        "public",
        "x",
        ".",
        "..",
        "%2e",
        "%2e%2e",
        "%252e%252e",
        "%2f",
        "%252F",
        "\\",
        "%5c",
        "%255c",
        ";",
        "%3b",
        "%253B",
        "%61dmin",
        "%2561dmin",
        ";v=1",
        "%3f",
        "%23",
        "%253F",
        "%25",
        "2f",
        "?",
    ]);
    let start = prop::sample::select(vec!["/", "/public/", "/public/x/", "//"]);
    (start, prop::collection::vec(piece, 0..9))
        .prop_map(|(start, pieces)| format!("{start}{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]
    #[test]
    fn no_encoding_reaches_a_protected_path_on_any_backend(
        raw in hostile_path(),
        rules in rules(),
        catch_all in any::<bool>(),
    ) {
        let mut routes = vec![route("admin: * * /admin/{*rest}"), route("public: * * /public/{*rest}")];
        if catch_all {
            routes.push(route("all: * * /{*rest}"));
        }
        let table = RouteTable::build(routes, rules).unwrap();
        let host = Authority::parse(b"h").unwrap();
        let Ok(path) = CanonicalPath::parse(raw.as_bytes()) else {
            return Ok(());
        };
        let Ok(Some(found)) = table.find(&host, b"GET", &path) else {
            return Ok(());
        };
        let sent = path.normalized().unwrap_or(raw.as_bytes());
        let route = table.get(found.route).unwrap();
        for backend in Backend::all() {
            let served_by = match backend.read(sent).first().map(Vec::as_slice) {
                Some(b"admin") => "admin",
                Some(b"public") => "public",
                _ => "all",
            };
            prop_assert_eq!(&*route.name, served_by, "{:?} {:?}", backend, sent);
        }
    }
}
