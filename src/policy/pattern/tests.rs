use super::*;

fn error(source: &str) -> PatternError {
    match PathPattern::parse(source) {
        Ok(pattern) => panic!("{source} parses: {pattern:?}"),
        Err(error) => error,
    }
}

#[test]
fn a_pattern_has_literals_variables_and_a_tail() {
    let pattern = PathPattern::parse("/tenants/{tenant}/orders/{*rest}").unwrap();
    assert_eq!(
        pattern.segments(),
        [
            Segment::Literal("tenants".into()),
            Segment::Variable("tenant".into()),
            Segment::Literal("orders".into()),
            Segment::Tail("rest".into()),
        ]
    );
    assert!(pattern.variables().eq(["tenant", "rest"]));
    assert_eq!(pattern.to_string(), "/tenants/{tenant}/orders/{*rest}");
}

#[test]
fn the_root_and_a_trailing_slash_are_valid_patterns() {
    assert!(PathPattern::parse("/").unwrap().segments().is_empty());
    assert!(!PathPattern::parse("/").unwrap().trailing_slash());
    assert!(PathPattern::parse("/a/").unwrap().trailing_slash());
    assert!(PathPattern::parse("/{*rest}").is_ok());
}

#[test]
fn literals_are_compared_decoded() {
    let encoded = PathPattern::parse("/%41%24/caf%C3%A9/%2A%7Bx%7D").unwrap();
    assert_eq!(
        encoded.segments(),
        [
            Segment::Literal("A$".into()),
            Segment::Literal("caf\u{e9}".into()),
            Segment::Literal("*{x}".into()),
        ]
    );
}

#[test]
fn invalid_patterns_are_rejected_with_the_cause() {
    use PatternError as E;
    for (source, expected) in [
        ("", E::NoLeadingSlash),
        ("a", E::NoLeadingSlash),
        ("*", E::NoLeadingSlash),
        ("/a?b", E::QueryOrFragment('?')),
        ("/a#b", E::QueryOrFragment('#')),
        ("//", E::EmptySegment),
        ("/a//b", E::EmptySegment),
        ("/a//", E::EmptySegment),
        ("/a/../b", E::DotSegment("..".into())),
        ("/%2e", E::DotSegment("%2e".into())),
        ("/*", E::Star("*".into())),
        ("/a/b*", E::Star("b*".into())),
        ("/a/**/b", E::Star("**".into())),
        ("/a{b}", E::Mixed("a{b}".into())),
        ("/{a}b", E::Mixed("{a}b".into())),
        ("/{a}{b}", E::Mixed("{a}{b}".into())),
        ("/{a", E::Mixed("{a".into())),
        ("/a}", E::Mixed("a}".into())),
        ("/{{a}}", E::Mixed("{{a}}".into())),
        ("/{}", E::VariableName("".into())),
        ("/{*}", E::VariableName("".into())),
        ("/{**a}", E::VariableName("*a".into())),
        ("/{1a}", E::VariableName("1a".into())),
        ("/{a-b}", E::VariableName("a-b".into())),
        ("/{a:int}", E::VariableName("a:int".into())),
        ("/{a}/{a}", E::DuplicateVariable("a".into())),
        ("/{a}/{*a}", E::DuplicateVariable("a".into())),
        ("/{*a}/b", E::TailNotLast("a".into())),
        ("/{*a}/", E::TailNotLast("a".into())),
    ] {
        assert_eq!(error(source), expected, "{source}");
    }
    for (source, class) in [
        ("/a;b", "semicolon"),
        ("/a%3Bb", "semicolon"),
        ("/a\\b", "backslash"),
        ("/a%2Fb", "encoded_slash"),
        ("/a%2541", "double_encoding"),
        ("/..;", "dot_segments"),
    ] {
        assert!(
            matches!(error(source), E::Ambiguous { class: found, .. } if found == class),
            "{source}"
        );
    }
    for (source, expected) in [
        ("/a%zz", PathError::Percent),
        ("/a%00", PathError::Control),
        ("/a b", PathError::Control),
        ("/%ff", PathError::Utf8),
    ] {
        assert!(
            matches!(error(source), E::Malformed { error, .. } if error == expected),
            "{source}"
        );
    }
    assert!(PathPattern::parse(&"/a".repeat(MAX_SEGMENTS)).is_ok());
    assert_eq!(error(&"/a".repeat(MAX_SEGMENTS + 1)), E::TooManySegments);
}

#[test]
fn patterns_that_differ_only_in_names_have_the_same_shape() {
    let shape = |source: &str| PathPattern::parse(source).unwrap().shape();
    assert_eq!(shape("/a/{b}/{*c}"), shape("/%61/{x}/{*y}"));
    assert_eq!(shape("/a/"), shape("/a"));
    assert_ne!(shape("/a/{b}"), shape("/a/{*b}"));
    assert_ne!(shape("/a/b"), shape("/a/{b}"));
    assert_ne!(shape("/ab"), shape("/a/b"));
}
