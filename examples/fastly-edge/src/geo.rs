//! Where the client is, as the platform's lookup knows it by the client's address: context for policies and
//! applications, never a proof. Proxies and VPNs move it, and a lookup may know nothing.

use serde::Serialize;
use serde_json::Value;

/// The longest name that goes on, in characters.
const MAX_NAME: usize = 64;

/// The claim `geo`. What the lookup does not know is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Geo {
    /// The continent: `AF`, `AN`, `AS`, `EU`, `NA`, `OC` or `SA`.
    #[serde(skip_serializing_if = "Option::is_none")]
    continent: Option<String>,
    /// The country: ISO 3166-1 alpha-2.
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<String>,
    /// The subdivision of the country: the second part of ISO 3166-2.
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    /// The city, as the platform writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    city: Option<String>,
}

impl Geo {
    /// Made of what the platform says: each part is left out where it is empty or one of the platform's words for
    /// "unknown" and "reserved". `None` where nothing is left.
    #[must_use]
    pub fn new(continent: &str, country: &str, region: &str, city: &str) -> Option<Self> {
        let geo = Self {
            continent: code(continent),
            country: code(country),
            region: code(region),
            city: name(city),
        };
        let parts = [&geo.continent, &geo.country, &geo.region, &geo.city];
        let is_known = parts.into_iter().any(Option::is_some);
        is_known.then_some(geo)
    }

    /// The value of the claim.
    #[must_use]
    pub fn to_claim(&self) -> Value {
        // Strings in a struct: this cannot fail, and `null` satisfies no policy.
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// `**`, `??` and `NO DATA` are the platform's words for what it does not know.
fn code(text: &str) -> Option<String> {
    let fits =
        (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    fits.then(|| text.to_ascii_uppercase())
}

fn name(text: &str) -> Option<String> {
    let fits = (1..=MAX_NAME).contains(&text.chars().count())
        && text.chars().any(char::is_alphabetic)
        && !text.chars().any(char::is_control);
    (fits && !matches!(text, "reserved" | "private")).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_known_becomes_a_claim() {
        let claim = |geo: Option<Geo>| geo.map(|geo| geo.to_claim());
        assert_eq!(
            claim(Geo::new("EU", "DE", "BE", "berlin")),
            Some(json!({"continent": "EU", "country": "DE", "region": "BE", "city": "berlin"}))
        );
        assert_eq!(
            claim(Geo::new("??", "ax", "NO DATA", "?")),
            Some(json!({"country": "AX"}))
        );
        assert_eq!(claim(Geo::new("??", "**", "", "reserved")), None);
        assert_eq!(claim(Geo::new("", "", "", &"a".repeat(65))), None);
        assert_eq!(claim(Geo::new("", "", "", "a\nb")), None);
    }
}
