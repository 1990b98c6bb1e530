mod properties;

use super::*;

fn parse(raw: &str) -> CanonicalPath<'_> {
    match CanonicalPath::parse(raw.as_bytes()) {
        Ok(path) => path,
        Err(error) => panic!("{raw}: {error}"),
    }
}

fn segments(raw: &str) -> Vec<String> {
    let text = |segment: &[u8]| String::from_utf8(segment.to_vec()).unwrap();
    parse(raw).segments().map(text).collect()
}

fn classes(raw: &str) -> Vec<&'static str> {
    parse(raw).classes().iter().map(Ambiguity::code).collect()
}

fn normalized(raw: &str) -> Option<String> {
    parse(raw)
        .normalized()
        .map(|path| String::from_utf8(path.to_vec()).unwrap())
}

const LENIENT: PathRules = PathRules::LENIENT;

#[test]
fn a_plain_path_is_borrowed() {
    for raw in ["/", "/a", "/a/b.c/", "/a/b?c=%zz#d", "/a/~_-!$&'()*+,=:@"] {
        let path = parse(raw);
        assert!(matches!(path.segments.text, Cow::Borrowed(_)), "{raw}");
        assert!(path.classes().is_empty());
        assert_eq!(path.normalized(), None);
    }
    assert_eq!(segments("/"), [""; 0]);
    assert_eq!(segments("/a/b/?x/y"), ["a", "b"]);
    assert_eq!(segments("/caf\u{e9}/x"), ["caf\u{e9}", "x"]);
    assert!(parse("/a/").trailing_slash());
    assert!(!parse("/a").trailing_slash());
    assert!(!parse("/").trailing_slash());
}

#[test]
fn invalid_paths_are_malformed() {
    for (raw, error) in [
        ("", PathError::NotAbsolute),
        ("*", PathError::NotAbsolute),
        ("a/b", PathError::NotAbsolute),
        ("?a", PathError::NotAbsolute),
        ("http://a/b", PathError::NotAbsolute),
        ("/a#b", PathError::Fragment),
        ("/a#?b", PathError::Fragment),
        ("/a%00b", PathError::Control),
        ("/a%0ab", PathError::Control),
        ("/a%7fb", PathError::Control),
        ("/a\u{7f}", PathError::Control),
        ("/a\tb", PathError::Control),
        ("/a b", PathError::Control),
        ("/a%", PathError::Percent),
        ("/a%4", PathError::Percent),
        ("/a%zz", PathError::Percent),
        ("/a%+1", PathError::Percent),
        ("/a%%41", PathError::Percent),
        ("/a%4?1", PathError::Percent),
        ("/a%4/1", PathError::Percent),
        ("/%c0%ae%c0%ae/b", PathError::Utf8),
        ("/%ff", PathError::Utf8),
        ("/%c3/%a9", PathError::Utf8),
        ("/%ed%a0%80", PathError::Utf8),
        ("/%ff/../b", PathError::Utf8),
        ("/..", PathError::AboveRoot),
        ("/a/../..", PathError::AboveRoot),
        ("/%2e%2E/b", PathError::AboveRoot),
        ("/./../b", PathError::AboveRoot),
        ("//..", PathError::AboveRoot),
    ] {
        assert_eq!(
            CanonicalPath::parse(raw.as_bytes()).err(),
            Some(error),
            "{raw}"
        );
    }
    for raw in [&b"/a\xff"[..], b"/\xc0\xae", b"/%41\xff"] {
        assert_eq!(CanonicalPath::parse(raw).err(), Some(PathError::Utf8));
    }
}

#[test]
fn triplets_are_decoded_once_and_never_become_separators() {
    assert_eq!(segments("/%24%41/b%20c"), ["$A", "b c"]);
    assert_eq!(segments("/caf%C3%A9"), ["caf\u{e9}"]);
    assert_eq!(segments("/a%2Fb/c"), ["a/b", "c"]);
    assert_eq!(segments("/a%2541"), ["a%41"]);
    assert_eq!(segments("/a%3Fb%23"), ["a?b#"]);
    assert_eq!(classes("/%24%41%25"), [""; 0]);
    assert_eq!(normalized("/%24%41").as_deref(), Some("/%24A"));
}

#[test]
fn only_unreserved_characters_are_forwarded_decoded() {
    for (raw, expected) in [
        ("/%70ublic/%2dx%7E?%41", Some("/public/-x~?%41")),
        ("/a%2fb%2Fc/%61", Some("/a%2fb%2Fc/a")),
        ("/%2541", None),
        ("/%25%34%31", Some("/%2541")),
        ("/a%2Bb%40%3A%21", None),
        ("/caf%C3%A9", None),
        ("/caf\u{e9}", None),
    ] {
        assert_eq!(normalized(raw).as_deref(), expected, "{raw}");
    }
}

#[test]
fn paths_are_decoded_until_nothing_changes_to_find_hidden_dots() {
    for raw in [
        "/%252e%252e",
        "/%25252e%25252e/x",
        "/a%25252f..",
        "/%2525252e%2525252e",
    ] {
        let path = parse(raw);
        assert_eq!(
            path.rejected_by(&LENIENT),
            Some(Ambiguity::DotSegments),
            "{raw}"
        );
    }
    // Nested deeper than the limit.
    let deep = format!("/a%{}41", "25".repeat(9));
    assert_eq!(
        parse(&deep).rejected_by(&LENIENT),
        Some(Ambiguity::DoubleEncoding)
    );
}

#[test]
fn each_ambiguity_class_is_found_in_every_encoding() {
    for (class, paths) in [
        (
            "dot_segments",
            &[
                "/a/.",
                "/a/./b",
                "/a/..",
                "/a/../b",
                "/a/%2e/b",
                "/a/%2E%2e",
                "/a/.%2e/b",
                "/a/..;x/b",
                "/a/.;/b",
                "/a/..%3Bx",
                "/a/..%2fb",
                "/a/..%5cb",
                "/a/..\\b",
                "/a/b%2f..",
                "/a/b\\..",
                "/a/b%5c.%5cc",
                "/a/%2e%2e%2f",
                "/a/%252e%252e/b",
                "/a/..%252fb",
                "/a/b%255c..",
                "/a/..%253bx",
                "/a/b%2f..;x",
            ][..],
        ),
        (
            "empty_segments",
            &["//", "//a", "/a//b", "/a//", "/a///", "/a//?b"],
        ),
        ("encoded_slash", &["/a%2fb", "/a%2F", "/%2f"]),
        (
            "double_encoding",
            &["/a%2541", "/a%252f", "/%25%34%31", "/a%25%32F"],
        ),
        ("semicolon", &["/a;b", "/a;", "/;", "/a%3bb", "/a%3B"]),
        ("backslash", &["/a\\b", "/\\", "/a%5cb", "/a%5C"]),
        ("encoded_query", &["/a%3fb", "/a%3F", "/%23", "/a%23b"]),
    ] {
        for raw in paths {
            assert!(classes(raw).contains(&class), "{raw}: {:?}", classes(raw));
            let rejected = parse(raw).rejected_by(&PathRules::default());
            assert!(rejected.is_some(), "{raw}");
        }
    }
}

#[test]
fn unusual_but_unambiguous_paths_have_no_class() {
    for raw in [
        "/.well-known/x",
        "/a/...",
        "/a/..b",
        "/a/b..",
        "/a.b/.c",
        "/a/",
        "/",
        "/a?b//../;%2f\\",
        "/a%25",
        "/a%25zz",
        "/a%20b",
        "/a%2e%2eb",
        "/a%2eb",
        "/%2ewell-known",
    ] {
        assert_eq!(classes(raw), [""; 0], "{raw}");
    }
}

#[test]
fn dot_and_empty_segments_are_resolved_in_the_forwarded_path() {
    for (raw, expected) in [
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/b/.", "/a/b/"),
        ("/a/%2e%2E/b?x=../y", "/b?x=../y"),
        ("/a/..", "/"),
        ("/.", "/"),
        ("//", "/"),
        ("/a//b///c", "/a/b/c"),
        ("/a//", "/a/"),
        ("//a/?x", "/a/?x"),
        ("/a//../b", "/b"),
        ("/%41/./%24%2F;\\", "/A/%24%2F;\\"),
        ("/./?", "/?"),
    ] {
        assert_eq!(normalized(raw).as_deref(), Some(expected), "{raw}");
        let path = parse(raw);
        let again = parse(expected);
        assert_eq!(path.segments.trailing_slash, again.segments.trailing_slash);
        assert!(path.segments().eq(again.segments()), "{raw}");
    }
}

#[test]
fn hidden_dot_segments_are_always_rejected() {
    for raw in [
        "/a/..;x",
        "/a/..%2fb",
        "/a/..%5cb",
        "/a/b%2f../c",
        "/a/%252e%252e/b",
        "/a/..%252fb",
        "/a/x%252f..%253by/b",
        "/a/..%3fx",
        "/a/..%2523x",
    ] {
        assert_eq!(
            parse(raw).rejected_by(&LENIENT),
            Some(Ambiguity::DotSegments),
            "{raw}"
        );
    }
    for raw in ["/a/../b", "/a//b", "/a%2fb", "/a%2541", "/a;b", "/a\\b"] {
        assert_eq!(parse(raw).rejected_by(&LENIENT), None, "{raw}");
    }
    for raw in ["/a%2500", "/a%25c0%25ae", "/a%257f"] {
        assert_eq!(
            parse(raw).rejected_by(&LENIENT),
            Some(Ambiguity::DoubleEncoding),
            "{raw}"
        );
    }
}

#[test]
fn each_rule_applies_only_to_its_class() {
    for (raw, class) in [
        ("/a/./b", Ambiguity::DotSegments),
        ("/a//b", Ambiguity::EmptySegments),
        ("/a%2fb", Ambiguity::EncodedSlash),
        ("/a%2541", Ambiguity::DoubleEncoding),
        ("/a;b", Ambiguity::Semicolon),
        ("/a\\b", Ambiguity::Backslash),
        ("/a%3fb", Ambiguity::EncodedQuery),
    ] {
        let mut strict = LENIENT;
        match class {
            Ambiguity::DotSegments => strict.dot_segments = Resolve::Reject,
            Ambiguity::EmptySegments => strict.empty_segments = Resolve::Reject,
            Ambiguity::EncodedSlash => strict.encoded_slash = Retain::Reject,
            Ambiguity::DoubleEncoding => strict.double_encoding = Retain::Reject,
            Ambiguity::Semicolon => strict.semicolon = Retain::Reject,
            Ambiguity::Backslash => strict.backslash = Retain::Reject,
            Ambiguity::EncodedQuery => strict.encoded_query = Retain::Reject,
        }
        assert_eq!(parse(raw).rejected_by(&strict), Some(class));
        for other in [
            "/a/./b", "/a//b", "/a%2fb", "/a%2541", "/a;b", "/a\\b", "/a%3fb",
        ] {
            assert!(other == raw || parse(other).rejected_by(&strict).is_none());
        }
    }
}

#[test]
fn overrides_replace_single_rules() {
    let overrides = PathRuleOverrides {
        encoded_slash: Some(Retain::Keep),
        trailing_slash: Some(TrailingSlash::Distinct),
        ..PathRuleOverrides::default()
    };
    let rules = overrides.over(&PathRules::default());
    assert_eq!(rules.encoded_slash, Retain::Keep);
    assert_eq!(rules.trailing_slash, TrailingSlash::Distinct);
    assert_eq!(rules.semicolon, Retain::Reject);
    assert_eq!(PathRuleOverrides::default().over(&LENIENT), LENIENT);
}

#[test]
fn interpretations_are_those_of_common_backends() {
    let read = |raw: &str| -> Vec<String> {
        interpretations(parse(raw).segment_text())
            .map(|other| {
                let slash = if other.trailing_slash { "/" } else { "" };
                let text = std::str::from_utf8(&other.text).unwrap();
                format!("/{}{slash}", text.replace('\0', "|"))
            })
            .collect()
    };
    assert_eq!(read("/a%2Fb"), ["/a|b"]);
    assert_eq!(read("/a%2F"), ["/a/"]);
    assert_eq!(read("/a;x/b"), ["/a|b"]);
    assert_eq!(read("/a\\b"), ["/a|b"]);
    assert_eq!(read("/a%2541"), ["/aA"]);
    assert_eq!(read("/a%252fb"), ["/a/b", "/a|b"]);
    assert_eq!(read("/;x/b"), ["/b"]);
    assert_eq!(read("/a/;x"), ["/a/"]);
    assert_eq!(read("/a%2fb;c"), ["/a|b;c", "/a/b", "/a|b"]);
    assert_eq!(read("/a%3Fb/c/"), ["/a"]);
    assert_eq!(read("/a/%23"), ["/a/"]);
    assert_eq!(read("/a%253Fb"), ["/a?b", "/a"]);
    assert_eq!(read("/plain"), [""; 0]);
}

#[test]
fn long_paths_are_parsed() {
    for segment in ["/a", "/%41", "/a;b", "/./a", "//a", "/a%2fb%252e", "/a/.."] {
        let raw = segment.repeat(20_000);
        assert!(CanonicalPath::parse(raw.as_bytes()).is_ok());
    }
}
