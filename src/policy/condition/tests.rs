use super::evaluate::TestResult::{self, Fails, Holds, Missing};
use super::*;
use crate::claims::Claims;
use crate::headers::{Header, Headers};
use crate::json::Json;
use crate::policy::access::AccessRequest;
use crate::policy::roles::RoleModelBuilder;
use crate::policy::table::Variables;

const NOW: u64 = 1_000_000;

fn evaluated_in(
    test: &Test,
    claims: &str,
    headers: &[(&str, &[u8])],
    peers: &[&str],
) -> TestResult {
    let claims = Claims::parse(claims.as_bytes()).unwrap().unwrap();
    let model = RoleModelBuilder::new(None, &[]).build().unwrap();
    let headers: Vec<Header<'_>> = headers
        .iter()
        .map(|(name, value)| (name.as_bytes(), *value))
        .collect();
    let peers: Vec<String> = peers.iter().map(|peer| (*peer).to_owned()).collect();
    evaluate(
        test,
        &AccessRequest {
            claims: Some(&claims),
            role_model: &model,
            roles: None,
            issuer: None,
            variables: Variables::default(),
            headers: &Headers::new(&headers),
            peers: &peers,
            now: NOW,
        },
    )
}

fn evaluated(test: &Test, claims: &str) -> TestResult {
    evaluated_in(test, claims, &[], &[])
}

fn claim(name: &str, test: ClaimTest) -> Test {
    Test::Claim {
        path: ClaimPath::from(name),
        test,
    }
}

fn scalar(text: &str) -> Scalar {
    match Json::parse(text.as_bytes()).unwrap() {
        Json::String(text) => Scalar::String(text.to_string()),
        Json::Bool(flag) => Scalar::Bool(flag),
        number => Scalar::Number(Number::of(&number).unwrap()),
    }
}

fn not(test: Test) -> Test {
    Test::Not(Box::new(test))
}

#[test]
fn values_of_another_type_are_missing() {
    for (expected, value, result) in [
        (r#""a""#, r#""a""#, Holds),
        (r#""a""#, r#""A""#, Fails),
        (r#""5""#, "5", Missing),
        ("5", r#""5""#, Missing),
        ("5", "5.0", Holds),
        ("5.0", "5", Holds),
        ("5", "5.5", Fails),
        ("true", "true", Holds),
        ("true", "false", Fails),
        ("true", r#""true""#, Missing),
        ("true", "1", Missing),
        (r#""a""#, r#"["a"]"#, Missing),
        (r#""a""#, r#"{"a":1}"#, Missing),
        (r#""""#, "null", Missing),
    ] {
        let test = claim("x", ClaimTest::Equals(scalar(expected)));
        let claims = format!(r#"{{"x":{value}}}"#);
        assert_eq!(evaluated(&test, &claims), result, "{expected} {value}");
        // A value of another type does not satisfy `not`, either.
        let negated = match result {
            Holds => Fails,
            Fails => Holds,
            Missing => Missing,
        };
        assert_eq!(
            evaluated(&not(test), &claims),
            negated,
            "not {expected} {value}"
        );
    }
}

#[test]
fn each_claim_test_compares_as_documented() {
    let number = |text: &str| Number::of(&Json::parse(text.as_bytes()).unwrap()).unwrap();
    let list = |texts: &[&str]| texts.iter().map(|text| scalar(text)).collect::<Vec<_>>();
    for (test, value, result) in [
        (ClaimTest::In(list(&[r#""a""#, "5"])), "5.0", Holds),
        (ClaimTest::In(list(&[r#""a""#, "5"])), r#""b""#, Fails),
        (ClaimTest::In(list(&[r#""a""#, "5"])), "true", Missing),
        (ClaimTest::Contains(scalar(r#""a""#)), r#"["b","a"]"#, Holds),
        (ClaimTest::Contains(scalar(r#""a""#)), r#"["b",1]"#, Fails),
        (ClaimTest::Contains(scalar("1")), r#"["1",1.0]"#, Holds),
        (ClaimTest::Contains(scalar(r#""a""#)), "[]", Fails),
        (ClaimTest::Contains(scalar(r#""a""#)), r#""bab""#, Missing),
        (ClaimTest::Prefix("ab".into()), r#""abc""#, Holds),
        (ClaimTest::Prefix("ab".into()), r#""ba""#, Fails),
        (ClaimTest::Prefix("1".into()), "12", Missing),
        (ClaimTest::Exists, "false", Holds),
        (ClaimTest::Exists, "[]", Holds),
        (ClaimTest::Exists, "null", Missing),
        (ClaimTest::AtLeast(number("3")), "3.0", Holds),
        (ClaimTest::AtLeast(number("3")), "2.999", Fails),
        (ClaimTest::AtLeast(number("3")), r#""4""#, Missing),
        (ClaimTest::AtMost(number("3")), "3", Holds),
        (ClaimTest::AtMost(number("3")), "3.5", Fails),
        (ClaimTest::MaxAge(60), "999940", Holds),
        (ClaimTest::MaxAge(60), "999940.5", Holds),
        (ClaimTest::MaxAge(60), "999939", Fails),
        (ClaimTest::MaxAge(60), "1000060", Holds),
        (ClaimTest::MaxAge(60), "1000061", Missing),
        (ClaimTest::MaxAge(60), "-1e300", Fails),
        (ClaimTest::MaxAge(60), r#""999990""#, Missing),
        (ClaimTest::MaxAge(u64::MAX), "0", Holds),
    ] {
        let claims = format!(r#"{{"x":{value}}}"#);
        let test = claim("x", test);
        assert_eq!(evaluated(&test, &claims), result, "{test} {value}");
    }
}

#[test]
fn claim_names_with_dots_urls_and_slashes_need_no_escaping() {
    for names in [
        vec!["https://example.com/claims/acr"],
        vec!["a.b"],
        vec!["x", "y/z", "https://a.b"],
    ] {
        let path = ClaimPath::new(names.iter().map(|name| (*name).to_owned()).collect()).unwrap();
        let claims = names.iter().rev().fold(r#""v""#.to_owned(), |inner, name| {
            format!("{{{name:?}:{inner}}}")
        });
        let test = Test::Claim {
            path,
            test: ClaimTest::Equals(scalar(r#""v""#)),
        };
        assert_eq!(evaluated(&test, &claims), Holds, "{claims}");
    }
}

#[test]
fn a_missing_value_never_satisfies_any_combination() {
    let holds = || claim("yes", ClaimTest::Exists);
    let fails = || not(claim("yes", ClaimTest::Exists));
    let missing = || claim("nothing", ClaimTest::Exists);
    for (test, result) in [
        (not(missing()), Missing),
        (not(not(missing())), Missing),
        (Test::Any(vec![fails(), missing()]), Missing),
        (not(Test::Any(vec![fails(), missing()])), Missing),
        (Test::Any(vec![missing(), holds()]), Holds),
        (not(Test::Any(vec![missing(), holds()])), Fails),
        (Test::Any(vec![fails(), fails()]), Fails),
        (Test::All(vec![holds(), missing()]), Missing),
        (Test::All(vec![fails(), missing()]), Missing),
        (Test::All(vec![missing(), fails()]), Missing),
        (not(Test::All(vec![fails(), missing()])), Missing),
        (Test::All(vec![holds(), fails()]), Fails),
        (not(Test::All(vec![holds(), fails()])), Holds),
        (Test::All(vec![holds(), holds()]), Holds),
    ] {
        assert_eq!(evaluated(&test, r#"{"yes":true}"#), result, "{test}");
    }
}

#[test]
fn every_value_of_a_header_must_pass() {
    let test = |test| Test::Header {
        name: HeaderName::parse("x-env").unwrap(),
        test,
    };
    let prod = || test(TextTest::Equals("prod".into()));
    for (test, values, result) in [
        (prod(), &["prod"][..], Holds),
        (prod(), &["dev"], Fails),
        (prod(), &["prod", "prod"], Holds),
        (prod(), &["prod", "dev"], Missing),
        (not(prod()), &["prod", "dev"], Missing),
        (not(prod()), &["dev", "test"], Holds),
        (prod(), &["prod, dev"], Fails),
        (prod(), &[], Missing),
        (not(prod()), &[], Missing),
        (test(TextTest::Exists), &[""], Holds),
        (test(TextTest::Exists), &[], Missing),
        (
            test(TextTest::In(vec!["a".into(), "b".into()])),
            &["a", "b"],
            Holds,
        ),
        (test(TextTest::Contains("ro".into())), &["prod"], Holds),
        (test(TextTest::Contains("ro".into())), &["r"], Fails),
        (test(TextTest::Prefix("pr".into())), &["prod"], Holds),
        (test(TextTest::Prefix("pr".into())), &["xprod"], Fails),
    ] {
        let headers: Vec<(&str, &[u8])> = values
            .iter()
            .map(|value| ("x-env", value.as_bytes()))
            .collect();
        let headers: &[(&str, &[u8])] = headers.leak();
        assert_eq!(
            evaluated_in(&test, "{}", headers, &[]),
            result,
            "{test} {values:?}"
        );
    }
    let headers: &[(&str, &[u8])] = &[("x-env", b"\xff")];
    assert_eq!(evaluated_in(&prod(), "{}", headers, &[]), Fails);
}

#[test]
fn a_peer_test_needs_a_peer() {
    let test = Test::Peer(PeerPattern::parse("spiffe://td/ns/edge/*").unwrap());
    let peer = |peers: &[&str]| evaluated_in(&test, "{}", &[], peers);
    assert_eq!(peer(&["spiffe://td/ns/edge/sa"]), Holds);
    assert_eq!(peer(&["spiffe://td/ns/other/sa"]), Fails);
    assert_eq!(peer(&[]), Missing);
    assert_eq!(
        peer(&["spiffe://td/ns/edge/sa", "spiffe://td/ns/other/sa"]),
        Missing
    );
}

#[test]
fn tests_that_always_or_never_hold_are_rejected() {
    for (test, error) in [
        (Test::All(vec![]), TestError::Empty("all")),
        (not(Test::Any(vec![])), TestError::Empty("any")),
        (claim("x", ClaimTest::In(vec![])), TestError::EmptyIn),
        (
            claim("x", ClaimTest::Prefix(String::new())),
            TestError::EmptyText("prefix"),
        ),
        (
            Test::Header {
                name: HeaderName::parse("x-forwarded-client-cert").unwrap(),
                test: TextTest::Exists,
            },
            TestError::ForgedHeader(HeaderName::parse("x-forwarded-client-cert").unwrap()),
        ),
        (
            Test::Header {
                name: HeaderName::parse("x").unwrap(),
                test: TextTest::Contains(String::new()),
            },
            TestError::EmptyText("contains"),
        ),
    ] {
        assert_eq!(test.validate(), Err(error.clone()));
        assert_eq!(
            Test::All(vec![claim("x", ClaimTest::Exists), test]).validate(),
            Err(error)
        );
    }
}

#[test]
fn a_test_is_shown_as_the_config_has_it() {
    let test = Test::All(vec![
        claim("acr", ClaimTest::In(vec![scalar(r#""a""#), scalar("5")])),
        not(Test::Any(vec![
            claim("auth_time", ClaimTest::MaxAge(900)),
            Test::Header {
                name: HeaderName::parse("x").unwrap(),
                test: TextTest::Prefix("p".into()),
            },
        ])),
    ]);
    assert_eq!(
        test.to_string(),
        r#"all(claim acr in ["a", 5], not(any(claim auth_time max_age 900s, header x prefix "p")))"#
    );
}
