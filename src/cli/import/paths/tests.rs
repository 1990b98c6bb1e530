use super::*;

fn of(pattern: &str) -> PathTest {
    PathTest::of(&Text::istio(pattern))
}

fn shape(path: &str) -> PathShape {
    match of(path) {
        PathTest::Shape { shape, .. } => shape,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_the_filter_refuses_is_never_matched() {
    for path in [
        "//", "/a//b", "/a/../b", "/a;b", "/a%2Fb", "/a%zz", "/a?b", "a", "/a\\b",
    ] {
        assert_eq!(of(path), PathTest::Never, "{path}");
    }
}

#[test]
fn a_path_whose_spelling_is_doubtful_is_neither_matched_nor_excluded() {
    for path in ["/caf\u{e9}", "/%61", "/a%21", "/a\"b"] {
        let test = of(path);
        let [shape] = test.shapes().try_into().unwrap();
        assert_eq!(test.cover(&shape), Cover::Partial, "{path}");
    }
    let test = of("/a%20b");
    assert_eq!(test.cover(&test.shapes()[0]), Cover::Full);
}

#[test]
fn patterns_are_written_as_they_are_read() {
    for (path, pattern) in [
        ("/", "/"),
        ("/a/", "/a/"),
        ("/a%20b/c:d", "/a%20b/c:d"),
        ("/a%7Bb%7D", "/a%7Bb%7D"),
    ] {
        assert_eq!(shape(path).pattern(), pattern);
    }
    let PathTest::Shape { shape, .. } = PathTest::template("/a/*/{id}/") else {
        panic!();
    };
    assert_eq!(shape.pattern(), "/a/{v2}/{v3}/");
}

#[test]
fn a_folder_does_not_include_its_own_name() {
    let below = of("/a/*");
    assert_eq!(below.cover(&shape("/a")), Cover::None);
    assert_eq!(below.cover(&shape("/a/")), Cover::Full);
    assert_eq!(below.cover(&shape("/a/b")), Cover::Full);
    assert_eq!(below.cover(&shape("/ab")), Cover::None);
    assert_eq!(below.cover(&PathShape::all()), Cover::None);
    assert_eq!(of("/*").cover(&PathShape::all()), Cover::Full);
}

#[test]
fn the_rest_of_a_prefix_is_within_its_folder() {
    let prefix = of("/x/ad*");
    let patterns: Vec<String> = prefix.shapes().iter().map(PathShape::pattern).collect();
    assert_eq!(patterns, ["/x/ad/{*rest}", "/x/{*rest}"]);
    assert_eq!(prefix.cover(&shape("/x/admin")), Cover::Full);
    assert_eq!(prefix.cover(&shape("/x/b")), Cover::None);
    assert_eq!(prefix.cover(&prefix.shapes()[1]), Cover::Partial);
    assert_eq!(prefix.cover(&PathShape::all()), Cover::None);
}

#[test]
fn shapes_meet_in_what_both_match() {
    let template = |text: &str| PathTest::template(text).shapes().remove(0);
    let meet = |one: &str, other: &str| Some(template(one).meet(&template(other))?.pattern());
    assert_eq!(meet("/a/*", "/*/b").as_deref(), Some("/a/b"));
    assert_eq!(meet("/a/**", "/*/b/").as_deref(), Some("/a/b/"));
    assert_eq!(meet("/a/**", "/*/b/**").as_deref(), Some("/a/b/{*rest}"));
    assert_eq!(meet("/a", "/a/"), None);
    assert_eq!(meet("/a/*", "/b/*"), None);
    assert_eq!(meet("/a/*", "/*"), None);
}
