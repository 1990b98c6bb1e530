//! A token that was changed in any way does not verify, and nothing panics.

use proptest::prelude::*;

use super::support::{
    Counting, LIVE, NOW, environment, issuer, issuer_for, symmetric_issuer, token, verifier,
};
use crate::token::{Algorithm, CacheLimits, Issuer, KeySet, Portable, Verifier};

fn cheap() -> impl Strategy<Value = Algorithm> {
    prop::sample::select(vec![Algorithm::EdDsa, Algorithm::Hs256, Algorithm::Es256])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_token_with_other_bytes_does_not_verify(
        algorithm in cheap(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        warm: bool,
    ) {
        let good = token(algorithm);
        let mut bytes = good.clone().into_bytes();
        for (index, byte) in edits {
            let position = index.index(bytes.len());
            bytes[position] = byte;
        }
        let mut verifier = verifier(issuer_for(algorithm));
        if warm {
            prop_assert!(verifier.verify(good.as_bytes(), &LIVE, NOW * 1_000, &Portable).is_ok());
        }
        let verdict = verifier.verify(&bytes, &LIVE, NOW * 1_000, &Portable);
        prop_assert_eq!(verdict.is_ok(), bytes == good.as_bytes());
    }

    #[test]
    fn a_token_of_another_length_does_not_verify(
        algorithm in cheap(),
        at: prop::sample::Index,
        remove in 0_usize..3,
        insert in "[A-Za-z0-9_.=-]{0,3}",
    ) {
        let good = token(algorithm);
        let start = at.index(good.len());
        let end = (start + remove).min(good.len());
        let other = format!("{}{insert}{}", &good[..start], &good[end..]);
        let mut verifier = verifier(issuer_for(algorithm));
        let verdict = verifier.verify(other.as_bytes(), &LIVE, NOW * 1_000, &Portable);
        prop_assert_eq!(verdict.is_ok(), other == good);
    }

    #[test]
    fn parts_of_different_tokens_do_not_verify_together(
        a in cheap(), b in cheap(), c in cheap(),
    ) {
        let tokens = [token(a), token(b), token(c)];
        let part = |token: usize, part: usize| tokens[token].split('.').nth(part).unwrap();
        let mixed = format!("{}.{}.{}", part(0, 0), part(1, 1), part(2, 2));
        let second = Issuer { name: "other".into(), ..symmetric_issuer() };
        let mut verifier = Verifier::<()>::new(
            vec![issuer_for(a), second],
            CacheLimits { entries: 4, bytes: 10_000 },
            1,
            &environment,
        );
        let verdict = verifier.verify(mixed.as_bytes(), &LIVE, NOW * 1_000, &Portable);
        prop_assert_eq!(verdict.is_ok(), a == c);
    }

    /// Once a signature was valid, the token is accepted from the cache; until then, each request is verified.
    #[test]
    fn only_valid_signatures_are_cached(answers in prop::collection::vec(any::<bool>(), 1..4)) {
        let good = token(Algorithm::Es256);
        let mut verifier = verifier(issuer());
        let mut valid = false;
        for answer in &answers {
            valid |= *answer;
            let backend = Counting { answer: Some(Some(*answer)), ..Counting::default() };
            let verdict = verifier.verify(good.as_bytes(), &LIVE, NOW * 1_000, &backend);
            prop_assert_eq!(verdict.is_ok(), valid);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, now: u64) {
        let mut verifier = verifier(issuer());
        prop_assert!(verifier.verify(&bytes, &LIVE, now, &Portable).is_err());
        prop_assert!(KeySet::fetched(&bytes).is_err());
    }
}
