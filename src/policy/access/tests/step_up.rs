//! Step-up authentication (RFC 9470).

use super::*;

#[test]
fn only_failures_that_a_new_login_fixes_are_a_step_up() {
    let step_up = |test: Test, claims: &str| {
        let denial = check_with(vec![conditions(when(test))], roles(), claims, &[]).unwrap_err();
        assert_eq!(denial.reason == Reason::StepUp, denial.step_up.is_some());
        denial.step_up.clone()
    };
    let asks = |acr_values: &[&str], max_age: Option<u64>| {
        Some(StepUp {
            acr_values: strings(acr_values),
            max_age,
        })
    };
    let dept = || Test::Claim {
        path: ClaimPath::from("dept"),
        test: ClaimTest::Exists,
    };
    let acr_in = Test::Claim {
        path: ClaimPath::from("acr"),
        test: ClaimTest::In(vec![
            Scalar::String("gold".into()),
            Scalar::String("silver".into()),
            Scalar::String("not \"quotable".into()),
        ]),
    };
    assert_eq!(
        step_up(acr("mfa"), r#"{"acr":"pwd"}"#),
        asks(&["mfa"], None)
    );
    assert_eq!(step_up(acr("mfa"), "{}"), asks(&["mfa"], None));
    assert_eq!(step_up(acr_in, "{}"), asks(&["gold", "silver"], None));
    assert_eq!(
        step_up(max_age(900), r#"{"auth_time":1}"#),
        asks(&[], Some(900))
    );
    let both = || Test::All(vec![acr("mfa"), max_age(900), max_age(600)]);
    assert_eq!(step_up(both(), "{}"), asks(&["mfa"], Some(600)));
    // A test that holds is not part of the challenge.
    let fresh = r#"{"auth_time":999990}"#;
    assert_eq!(step_up(both(), fresh), asks(&["mfa"], None));
    // Another test fails, too.
    assert_eq!(step_up(Test::All(vec![acr("mfa"), dept()]), "{}"), None);
    assert_eq!(
        step_up(Test::All(vec![acr("mfa"), dept()]), r#"{"dept":1}"#),
        asks(&["mfa"], None)
    );
    // Of `any`, the challenge contains only one test.
    let either = Test::Any(vec![
        dept(),
        Test::All(vec![dept(), max_age(1)]),
        acr("mfa"),
    ]);
    assert_eq!(step_up(either, "{}"), asks(&["mfa"], None));
    // A challenge cannot ask for a test under `not` to fail.
    assert_eq!(
        step_up(Test::Not(Box::new(acr("pwd"))), r#"{"acr":"pwd"}"#),
        None
    );
    // A nested claim with the same name is a different claim.
    let inner = Test::Claim {
        path: ClaimPath::new(strings(&["x", "acr"])).unwrap(),
        test: ClaimTest::Exists,
    };
    assert_eq!(step_up(inner, "{}"), None);
}

#[test]
fn a_step_up_needs_everything_else_to_hold() {
    let one = Conditions {
        audiences: strings(&["orders"]),
        ..when(acr("mfa"))
    };
    assert_eq!(
        denial(vec![conditions(one.clone())], "{}").0,
        Reason::AudienceRoute
    );
    assert_eq!(
        denial(vec![conditions(one.clone())], "").0,
        Reason::ClaimsMissing
    );
    assert_eq!(
        denial(vec![conditions(one)], r#"{"aud":"orders"}"#).0,
        Reason::StepUp
    );
}
