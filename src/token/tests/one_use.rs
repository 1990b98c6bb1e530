//! One-use tokens.

use std::cell::RefCell;
use std::rc::Rc;

use super::support::{
    CACHE, LIVE, NOW, claims_with, claims_without, environment, header, issuer, reason, sign,
    token, verdict, verifier,
};
use crate::claims::ClaimPath;
use crate::denial::Reason;
use crate::token::replay::{MemoryWindow, TokenId};
use crate::token::{
    Algorithm, Issuer, IssuerId, MAX_LEEWAY, OneUse, Portable, ReplayError, ReplayWindow, Verifier,
};

fn one_use(entries: usize) -> Issuer {
    Issuer {
        one_use: Some(OneUse {
            claim: ClaimPath::from("jti"),
            entries,
        }),
        ..issuer()
    }
}

fn with_id(id: &str) -> String {
    let claims = claims_with(&format!(r#""jti":"{id}""#));
    sign(Algorithm::EdDsa, &header(Algorithm::EdDsa), &claims)
}

#[test]
fn a_one_use_token_is_accepted_once() {
    let mut verifier = verifier(one_use(10));
    let verified = verdict(&mut verifier, &with_id("a")).unwrap();
    assert_eq!(verifier.consume(&verified, NOW), Ok(()));
    assert_eq!(verifier.consume(&verified, NOW), Err(Reason::Replayed));
    // The same ID in a new token is still a replay.
    let again = verdict(&mut verifier, &with_id("a")).unwrap();
    assert_eq!(verifier.consume(&again, NOW + 69), Err(Reason::Replayed));
    let resigned = sign(
        Algorithm::Es256,
        &header(Algorithm::Es256),
        &claims_with(r#""jti":"a","x":1"#),
    );
    let resigned = verdict(&mut verifier, &resigned).unwrap();
    assert_eq!(verifier.consume(&resigned, NOW), Err(Reason::Replayed));
    let other = verdict(&mut verifier, &with_id("b")).unwrap();
    assert_eq!(verifier.consume(&other, NOW), Ok(()));
}

#[test]
fn a_full_window_denies_with_503() {
    let mut verifier = verifier(one_use(1));
    let [a, b] = ["a", "b"].map(|id| verdict(&mut verifier, &with_id(id)).unwrap());
    assert_eq!(verifier.consume(&a, NOW), Ok(()));
    assert_eq!(verifier.consume(&b, NOW), Err(Reason::Internal));
    assert_eq!(Reason::Internal.status(), 503);
    // After `exp` plus the maximum leeway, no config accepts the first token again.
    let kept = 60 + MAX_LEEWAY;
    assert_eq!(verifier.consume(&b, NOW + kept - 1), Err(Reason::Internal));
    assert_eq!(verifier.consume(&b, NOW + kept), Ok(()));
}

/// A window that outlives its config, like one in shared memory.
#[derive(Clone)]
struct Shared(Rc<RefCell<MemoryWindow>>);

impl ReplayWindow for Shared {
    fn consume(&mut self, id: TokenId, keep_until: u64, now: u64) -> Result<(), ReplayError> {
        self.0.borrow_mut().consume(id, keep_until, now)
    }
}

#[test]
fn a_used_token_stays_used_when_a_new_config_raises_the_leeway() {
    let window = Shared(Rc::new(RefCell::new(MemoryWindow::new(10))));
    let with_leeway = |leeway| {
        let issuer = Issuer {
            leeway,
            ..one_use(10)
        };
        let mut verifier = verifier(issuer);
        verifier.set_replay_window(IssuerId(0), Box::new(window.clone()));
        verifier
    };
    let mut before = with_leeway(0);
    let used = verdict(&mut before, &with_id("a")).unwrap();
    assert_eq!(before.consume(&used, NOW), Ok(()));
    // The token has expired for the old config, and another request clears what has expired.
    let later = NOW + 100;
    let other = verdict(&mut before, &with_id("b")).unwrap();
    assert_eq!(before.consume(&other, later), Ok(()));
    let mut after = with_leeway(MAX_LEEWAY);
    let again = after.verify(with_id("a").as_bytes(), &LIVE, later * 1_000, &Portable);
    assert_eq!(after.consume(&again.unwrap(), later), Err(Reason::Replayed));
}

#[test]
fn verification_does_not_consume_a_one_use_token() {
    let mut verifier = verifier(one_use(10));
    for _ in 0..3 {
        assert!(verdict(&mut verifier, &with_id("a")).is_ok());
    }
}

#[test]
fn a_one_use_token_needs_its_claim() {
    let without = sign(
        Algorithm::EdDsa,
        &header(Algorithm::EdDsa),
        &claims_without("jti"),
    );
    assert_eq!(reason(one_use(10), &without), Some(Reason::ClaimRequired));
    assert_eq!(
        reason(one_use(10), &with_id("")),
        Some(Reason::ClaimRequired)
    );
    let number = || Issuer {
        one_use: Some(OneUse {
            claim: ClaimPath::from("n"),
            entries: 10,
        }),
        ..issuer()
    };
    let token = sign(
        Algorithm::EdDsa,
        &header(Algorithm::EdDsa),
        &claims_with(r#""n":7"#),
    );
    assert_eq!(reason(number(), &token), Some(Reason::ClaimRequired));
}

#[test]
fn one_use_ids_are_separate_for_each_issuer() {
    let second = Issuer {
        name: "https://other.example.com".into(),
        ..one_use(10)
    };
    let mut verifier = Verifier::<()>::new(vec![one_use(10), second], CACHE, 1, &environment);
    let other = sign(
        Algorithm::EdDsa,
        &header(Algorithm::EdDsa),
        &claims_with(r#""iss":"https://other.example.com","jti":"a""#),
    );
    let [first, second] =
        [with_id("a"), other].map(|token| verdict(&mut verifier, &token).unwrap());
    assert_eq!(verifier.consume(&first, NOW), Ok(()));
    assert_eq!(verifier.consume(&second, NOW), Ok(()));
}

#[test]
fn issuers_without_one_use_consume_nothing() {
    let mut verifier = verifier(issuer());
    let verified = verdict(&mut verifier, &token(Algorithm::EdDsa)).unwrap();
    for _ in 0..3 {
        assert_eq!(verifier.consume(&verified, NOW), Ok(()));
    }
}

#[test]
fn the_replay_window_can_be_replaced() {
    struct Broken;
    impl ReplayWindow for Broken {
        fn consume(&mut self, _: TokenId, keep_until: u64, now: u64) -> Result<(), ReplayError> {
            assert_eq!((keep_until, now), (NOW + 60 + MAX_LEEWAY, NOW));
            Err(ReplayError::Full)
        }
    }
    let mut verifier = verifier(one_use(10));
    verifier.set_replay_window(IssuerId(0), Box::new(Broken));
    let verified = verdict(&mut verifier, &with_id("a")).unwrap();
    assert_eq!(verifier.consume(&verified, NOW), Err(Reason::Internal));
}
