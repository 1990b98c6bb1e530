//! Properties of all paths.

use proptest::prelude::*;

use super::*;

/// Paths with special characters and encodings.
fn odd_path() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/", "/", "/", "a", "b", ".", "..", "%2e", "%2E", "%2f", "%2F", "%5c", "\\", ";", "%3b",
        "%25", "%252f", "%252e", "41", "%41", "A", "%24", "$", "%c3%a9", "\u{e9}", "?", "%20",
        "%00", "%", "#", " ",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

/// The same path with every byte except separators percent-encoded.
fn encode_all(raw: &str) -> String {
    let (path, query) = raw.split_at(raw.find('?').unwrap_or(raw.len()));
    let mut encoded = String::new();
    let mut rest = path.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'/' => encoded.push('/'),
            b'%' => {
                encoded.push('%');
                encoded.extend(after.iter().take(2).map(|byte| char::from(*byte)));
                rest = after.get(2..).unwrap_or_default();
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded + query
}

proptest! {
    #[test]
    fn parsing_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let mut raw = vec![b'/'];
        raw.extend_from_slice(&bytes);
        let _ = CanonicalPath::parse(&bytes);
        let _ = CanonicalPath::parse(&raw);
    }

    #[test]
    fn normalization_is_idempotent(raw in odd_path()) {
        if let Ok(path) = CanonicalPath::parse(raw.as_bytes())
            && let Some(once) = path.normalized()
        {
            let again = CanonicalPath::parse(once).unwrap();
            prop_assert_eq!(again.normalized(), None);
            prop_assert!(path.segments().eq(again.segments()));
            prop_assert_eq!(path.trailing_slash(), again.trailing_slash());
            prop_assert!(!again.classes().contains(Ambiguity::EmptySegments));
        }
    }

    #[test]
    fn equivalent_encodings_parse_to_the_same_path(raw in odd_path()) {
        // Not equivalent: a raw space or '#' is malformed, an encoded one is data.
        prop_assume!(!raw.contains([' ', '#']));
        if let Ok(path) = CanonicalPath::parse(raw.as_bytes()) {
            let encoded = encode_all(&raw);
            let other = CanonicalPath::parse(encoded.as_bytes()).unwrap();
            prop_assert!(path.segments().eq(other.segments()), "{} {}", raw, encoded);
            prop_assert_eq!(path.trailing_slash(), other.trailing_slash());
            prop_assert_eq!(path.classes(), other.classes());
            for rules in [LENIENT, PathRules::default()] {
                prop_assert_eq!(path.rejected_by(&rules), other.rejected_by(&rules));
            }
        }
    }

    #[test]
    fn only_resolved_or_decoded_paths_are_rewritten(raw in odd_path()) {
        if let Ok(path) = CanonicalPath::parse(raw.as_bytes()) {
            if path.normalized().is_some() {
                prop_assert!(path.classes().contains(Ambiguity::DotSegments)
                    || path.classes().contains(Ambiguity::EmptySegments)
                    || raw.contains('%'));
            }
            prop_assert!(path.segments().all(|segment| !matches!(segment, b"" | b"." | b"..")));
        }
    }
}
