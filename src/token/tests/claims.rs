//! The checks of a token's claims, at their limits.

use super::support::{
    NOW, claims_with, claims_without, header, issuer, reason, reason_at, sign, token,
};
use crate::claims::ClaimPath;
use crate::denial::Reason;
use crate::token::{Algorithm, Issuer, RequestBinding};

pub(super) fn with(members: &str) -> String {
    sign(
        Algorithm::EdDsa,
        &header(Algorithm::EdDsa),
        &claims_with(members),
    )
}

pub(super) fn without(name: &str) -> String {
    sign(
        Algorithm::EdDsa,
        &header(Algorithm::EdDsa),
        &claims_without(name),
    )
}

pub(super) fn path(names: &[&str]) -> ClaimPath {
    ClaimPath::new(names.iter().map(|name| (*name).to_owned()).collect()).unwrap()
}

#[test]
fn a_token_expires_at_exp_plus_leeway() {
    let expiring = with(&format!(r#""exp":{NOW}"#));
    assert_eq!(reason_at(issuer(), &expiring, NOW + 9), None);
    assert_eq!(
        reason_at(issuer(), &expiring, NOW + 10),
        Some(Reason::Expired)
    );
    let strict = Issuer {
        leeway: 0,
        ..issuer()
    };
    assert_eq!(reason_at(strict.clone(), &expiring, NOW - 1), None);
    assert_eq!(
        reason_at(strict.clone(), &expiring, NOW),
        Some(Reason::Expired)
    );
    let fraction = with(&format!(r#""exp":{NOW}.9"#));
    assert_eq!(reason_at(strict, &fraction, NOW), Some(Reason::Expired));
    assert_eq!(reason(issuer(), &with(r#""exp":0"#)), Some(Reason::Expired));
}

#[test]
fn exp_is_required() {
    assert_eq!(
        reason(issuer(), &without("exp")),
        Some(Reason::ClaimRequired)
    );
}

#[test]
fn a_token_is_valid_from_nbf_and_iat_minus_leeway() {
    for name in ["nbf", "iat"] {
        let at = |time: u64| with(&format!(r#""{name}":{time}"#));
        assert_eq!(reason(issuer(), &at(NOW + 10)), None, "{name}");
        assert_eq!(
            reason(issuer(), &at(NOW + 11)),
            Some(Reason::NotYetValid),
            "{name}"
        );
        let strict = Issuer {
            leeway: 0,
            ..issuer()
        };
        assert_eq!(reason(strict.clone(), &at(NOW)), None, "{name}");
        assert_eq!(
            reason(strict.clone(), &at(NOW + 1)),
            Some(Reason::NotYetValid),
            "{name}"
        );
        let fraction = with(&format!(r#""{name}":{NOW}.1"#));
        assert_eq!(
            reason(strict, &fraction),
            Some(Reason::NotYetValid),
            "{name}"
        );
    }
}

#[test]
fn times_at_the_end_of_the_calendar_do_not_overflow() {
    let forever = with(r#""exp":253402300799"#);
    assert_eq!(reason(issuer(), &forever), None);
    assert_eq!(
        reason_at(issuer(), &forever, u64::MAX),
        Some(Reason::Expired)
    );
    assert_eq!(reason_at(issuer(), &forever, 0), Some(Reason::NotYetValid));
    let endless = Issuer {
        leeway: u64::MAX,
        max_age: Some(u64::MAX),
        ..issuer()
    };
    assert_eq!(reason(endless, &forever), None);
}

#[test]
fn max_age_counts_from_iat() {
    let issuer = || Issuer {
        max_age: Some(100),
        ..issuer()
    };
    let aged = |age: u64| with(&format!(r#""iat":{}"#, NOW - age));
    assert_eq!(reason(issuer(), &aged(100)), None);
    assert_eq!(reason(issuer(), &aged(110)), None);
    assert_eq!(reason(issuer(), &aged(111)), Some(Reason::TooOld));
    assert_eq!(
        reason(issuer(), &without("iat")),
        Some(Reason::ClaimRequired)
    );
}

#[test]
fn max_lifetime_is_exp_minus_iat() {
    let issuer = || Issuer {
        max_lifetime: Some(100),
        ..issuer()
    };
    let living = |seconds: u64| with(&format!(r#""iat":{NOW},"exp":{}"#, NOW + seconds));
    assert_eq!(reason(issuer(), &living(100)), None);
    assert_eq!(reason(issuer(), &living(101)), Some(Reason::TooOld));
    assert_eq!(
        reason(issuer(), &without("iat")),
        Some(Reason::ClaimRequired)
    );
}

#[test]
fn one_of_the_audiences_is_enough() {
    let many = Issuer {
        audiences: Some(vec!["a".into(), "b".into()]),
        ..issuer()
    };
    for (aud, expected) in [
        (r#""b""#, None),
        (r#"["x","b"]"#, None),
        (r#""c""#, Some(Reason::Audience)),
        (r#""A""#, Some(Reason::Audience)),
        (r#""a b""#, Some(Reason::Audience)),
        (r#""a,b""#, Some(Reason::Audience)),
        (r#"["x"]"#, Some(Reason::Audience)),
        ("[]", Some(Reason::Audience)),
        (r#""""#, Some(Reason::Audience)),
    ] {
        assert_eq!(
            reason(many.clone(), &with(&format!(r#""aud":{aud}"#))),
            expected,
            "{aud}"
        );
    }
    assert_eq!(reason(issuer(), &without("aud")), Some(Reason::Audience));
    let any = Issuer {
        audiences: None,
        ..issuer()
    };
    assert_eq!(reason(any.clone(), &without("aud")), None);
    assert_eq!(reason(any, &with(r#""aud":"elsewhere""#)), None);
    let nowhere = Issuer {
        audiences: Some(vec![]),
        ..issuer()
    };
    assert_eq!(
        reason(nowhere, &token(Algorithm::EdDsa)),
        Some(Reason::Audience)
    );
}

#[test]
fn the_type_is_exact() {
    let typed = || Issuer {
        token_type: Some("edge-claims+jwt".into()),
        ..issuer()
    };
    let of_type = |member: &str| {
        let header = format!(r#"{{"alg":"EdDSA","kid":"ed25519"{member}}}"#);
        sign(Algorithm::EdDsa, &header, super::support::CLAIMS)
    };
    assert_eq!(
        reason(typed(), &of_type(r#","typ":"edge-claims+jwt""#)),
        None
    );
    for member in [
        "",
        r#","typ":"JWT""#,
        r#","typ":"Edge-Claims+JWT""#,
        r#","typ":"""#,
        r#","typ":"application/edge-claims+jwt""#,
        r#","typ":"at+jwt""#,
    ] {
        assert_eq!(
            reason(typed(), &of_type(member)),
            Some(Reason::Type),
            "{member}"
        );
    }
}

#[test]
fn required_claims_must_be_present_and_not_null() {
    let demanding = || Issuer {
        require: vec![path(&["sub"]), path(&["org", "id"])],
        ..issuer()
    };
    assert_eq!(reason(demanding(), &with(r#""org":{"id":7}"#)), None);
    for members in [
        r#""org":{"id":null}"#,
        r#""org":{}"#,
        r#""org":"id""#,
        r#""org.id":7"#,
    ] {
        assert_eq!(
            reason(demanding(), &with(members)),
            Some(Reason::ClaimRequired),
            "{members}"
        );
    }
    assert_eq!(
        reason(demanding(), &without("sub")),
        Some(Reason::ClaimRequired)
    );
}

#[test]
fn an_issuer_past_not_after_is_unknown() {
    let ending = |at| Issuer {
        not_after: Some(at),
        ..issuer()
    };
    assert_eq!(reason(ending(NOW + 1), &token(Algorithm::EdDsa)), None);
    assert_eq!(
        reason(ending(NOW), &token(Algorithm::EdDsa)),
        Some(Reason::IssuerUnknown)
    );
}

#[test]
fn the_first_failing_check_names_the_reason() {
    // Each issuer would reject the token for its own reason and all later ones.
    let token = sign(
        Algorithm::EdDsa,
        r#"{"alg":"EdDSA","kid":"ed25519","typ":"x"}"#,
        &claims_with(r#""exp":1"#),
    );
    let all = Issuer {
        token_type: Some("y".into()),
        audiences: Some(vec!["z".into()]),
        max_lifetime: Some(0),
        require: vec![path(&["nothing"])],
        revoked: crate::token::Revoked {
            subjects: ["alice".to_owned()].into(),
            ..Default::default()
        },
        bind: RequestBinding {
            method: Some(path(&["htm"])),
            ..Default::default()
        },
        ..issuer()
    };
    let fresh = sign(
        Algorithm::EdDsa,
        r#"{"alg":"EdDSA","kid":"ed25519","typ":"y"}"#,
        &claims_with(r#""x":1"#),
    );
    assert_eq!(reason(all.clone(), &token), Some(Reason::Type));
    let all = Issuer {
        token_type: None,
        ..all
    };
    assert_eq!(reason(all.clone(), &token), Some(Reason::Expired));
    assert_eq!(reason(all.clone(), &fresh), Some(Reason::Audience));
    let all = Issuer {
        audiences: None,
        ..all
    };
    assert_eq!(reason(all.clone(), &fresh), Some(Reason::TooOld));
    let all = Issuer {
        max_lifetime: None,
        ..all
    };
    assert_eq!(reason(all.clone(), &fresh), Some(Reason::ClaimRequired));
    let all = Issuer {
        require: vec![],
        ..all
    };
    assert_eq!(reason(all.clone(), &fresh), Some(Reason::Revoked));
    let all = Issuer {
        revoked: Default::default(),
        ..all
    };
    assert_eq!(reason(all, &fresh), Some(Reason::BindingRequest));
}
