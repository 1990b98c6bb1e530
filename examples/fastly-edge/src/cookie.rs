//! The session's cookie: found in the request, and taken out before the mesh sees it.

/// What the request's cookies hold of one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    /// No such cookie.
    None,
    /// Its value.
    One(&'a str),
    /// More than one. Which of them is the user's own cannot be told (RFC 6265 §8.6), so none is.
    Repeated,
}

/// Looks a cookie up in all `Cookie` header values (RFC 6265 §5.4).
#[must_use]
pub fn find<'a>(values: impl Iterator<Item = &'a [u8]>, name: &str) -> Found<'a> {
    let mut found = Found::None;
    for pair in values.flat_map(pairs) {
        if let Some(value) = value_of(pair, name) {
            found = match (found, std::str::from_utf8(value)) {
                (Found::None, Ok(value)) => Found::One(value),
                // Not UTF-8 is not a token either; the empty string says so further on.
                (Found::None, Err(_)) => Found::One(""),
                _ => Found::Repeated,
            };
        }
    }
    found
}

/// The names of all cookies, in the order in which they were sent.
pub fn names<'a>(values: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a str> {
    values
        .flat_map(pairs)
        .filter_map(|pair| std::str::from_utf8(name_of(pair)?).ok())
}

/// One `Cookie` header value without the cookies of the edge's own; `None` where nothing is left.
#[must_use]
pub fn without(value: &[u8], is_own: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    let kept: Vec<&[u8]> = pairs(value)
        .filter(|pair| !pair.is_empty() && !name_of(pair).is_some_and(&is_own))
        .collect();
    (!kept.is_empty()).then(|| kept.join(&b"; "[..]))
}

fn pairs(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii)
}

fn name_of(pair: &[u8]) -> Option<&[u8]> {
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    Some(pair.split_at(equals).0.trim_ascii())
}

fn value_of<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    let (found, value) = pair.split_at(equals);
    let value = value.get(1..)?.trim_ascii();
    let unquoted = value
        .strip_prefix(b"\"")
        .and_then(|inner| inner.strip_suffix(b"\""));
    (found.trim_ascii() == name.as_bytes()).then(|| unquoted.unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(values: &'a [&'a [u8]]) -> Found<'a> {
        find(values.iter().copied(), "session")
    }

    #[test]
    fn one_cookie_is_found_among_others() {
        assert_eq!(found(&[b"a=1; session=tok; b=2"]), Found::One("tok"));
        assert_eq!(found(&[b"a=1", b"session=\"tok\""]), Found::One("tok"));
        assert_eq!(found(&[b"xsession=no; session-2=no"]), Found::None);
        assert_eq!(found(&[b"session"]), Found::None);
    }

    #[test]
    fn a_repeated_cookie_is_no_session() {
        assert_eq!(found(&[b"session=a; session=b"]), Found::Repeated);
        assert_eq!(found(&[b"session=a", b"session=a"]), Found::Repeated);
    }

    #[test]
    fn bytes_that_are_no_text_are_an_empty_value() {
        assert_eq!(found(&[b"session=\xff"]), Found::One(""));
    }

    #[test]
    fn the_session_is_taken_out_and_the_rest_stays() {
        let left = |value: &[u8]| without(value, |name| name == b"session");
        assert_eq!(
            left(b"a=1; session=tok;b=2").as_deref(),
            Some(&b"a=1; b=2"[..])
        );
        assert_eq!(left(b"session=tok"), None);
        assert_eq!(left(b"session=tok; session=tok2; "), None);
        assert_eq!(left(b"a=\xff").as_deref(), Some(&b"a=\xff"[..]));
    }
}
