//! Tests of a text: Envoy's `StringMatcher`, and Istio's values with `*`.

/// A test of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) rule: TextRule,
    pub(super) ignore_case: bool,
}

/// What a text must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TextRule {
    /// Any text, the empty one too.
    Any,
    /// Any text that is not empty.
    NonEmpty,
    /// This text.
    Exact(String),
    /// Starts with this.
    Prefix(String),
    /// Ends with this.
    Suffix(String),
    /// Contains this.
    Contains(String),
    /// A regular expression that none of the others says.
    Regex(String),
    /// A matcher that is not known here.
    Unknown,
}

impl Text {
    pub(super) const fn new(rule: TextRule) -> Self {
        Self {
            rule,
            ignore_case: false,
        }
    }

    pub(super) fn exact(text: &str) -> Self {
        Self::new(TextRule::Exact(text.to_owned()))
    }

    /// Istio's form: `*`, `*suffix`, `prefix*` or the text itself.
    pub(super) fn istio(value: &str) -> Self {
        Self::new(if value == "*" {
            TextRule::NonEmpty
        } else if let Some(suffix) = value.strip_prefix('*') {
            TextRule::Suffix(suffix.to_owned())
        } else if let Some(prefix) = value.strip_suffix('*') {
            TextRule::Prefix(prefix.to_owned())
        } else {
            TextRule::Exact(value.to_owned())
        })
    }

    /// A regular expression, which must match the whole text (RE2 syntax).
    pub(super) fn regex(regex: &str) -> Self {
        let trimmed = regex.strip_prefix('^').unwrap_or(regex);
        let trimmed = match trimmed.strip_suffix('$') {
            Some(rest) if !rest.ends_with('\\') => rest,
            _ => trimmed,
        };
        let rule = match trimmed {
            ".*" => Some(TextRule::Any),
            ".+" => Some(TextRule::NonEmpty),
            _ => match trimmed.strip_suffix(".*") {
                Some(prefix) => literal(prefix).map(TextRule::Prefix),
                None => match trimmed.strip_prefix(".*") {
                    Some(suffix) => literal(suffix).map(TextRule::Suffix),
                    None => literal(trimmed).map(TextRule::Exact),
                },
            },
        };
        Self::new(rule.unwrap_or_else(|| TextRule::Regex(regex.to_owned())))
    }

    pub(super) fn ignoring_case(mut self, ignore_case: bool) -> Self {
        self.ignore_case = ignore_case;
        self
    }

    /// Whether a text satisfies it; `None` if that is not known here.
    pub(super) fn matches(&self, text: &str) -> Option<bool> {
        if self.ignore_case {
            let lower = self.map(|text| text.to_ascii_lowercase());
            return lower.matches(&text.to_ascii_lowercase());
        }
        match &self.rule {
            TextRule::Any => Some(true),
            TextRule::NonEmpty => Some(!text.is_empty()),
            TextRule::Exact(exact) => Some(text == exact),
            TextRule::Prefix(prefix) => Some(text.starts_with(prefix)),
            TextRule::Suffix(suffix) => Some(text.ends_with(suffix)),
            TextRule::Contains(part) => Some(text.contains(part)),
            TextRule::Regex(_) | TextRule::Unknown => None,
        }
    }

    /// The same test of another text, with respect to case.
    fn map(&self, change: impl Fn(&str) -> String) -> Self {
        Self::new(match &self.rule {
            TextRule::Exact(text) => TextRule::Exact(change(text)),
            TextRule::Prefix(text) => TextRule::Prefix(change(text)),
            TextRule::Suffix(text) => TextRule::Suffix(change(text)),
            TextRule::Contains(text) => TextRule::Contains(change(text)),
            TextRule::Any => TextRule::Any,
            TextRule::NonEmpty => TextRule::NonEmpty,
            TextRule::Regex(regex) => TextRule::Regex(regex.clone()),
            TextRule::Unknown => TextRule::Unknown,
        })
    }
}

/// The text that a regular expression without operators matches.
fn literal(regex: &str) -> Option<String> {
    let mut text = String::new();
    let mut characters = regex.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                // An escaped letter or digit is an operator (`\d`, `\Q`).
                Some(escaped) if escaped.is_ascii_punctuation() => text.push(escaped),
                _ => return None,
            },
            '.' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '|' | '^' | '$' => {
                return None;
            }
            other => text.push(other),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_regular_expression_is_read_only_if_it_says_no_more_than_a_literal() {
        for (regex, rule) in [
            (".*", TextRule::Any),
            (".+", TextRule::NonEmpty),
            ("/a\\.b", TextRule::Exact("/a.b".into())),
            ("^/a/.*$", TextRule::Prefix("/a/".into())),
            (".*\\.html", TextRule::Suffix(".html".into())),
        ] {
            assert_eq!(Text::regex(regex).rule, rule, "{regex}");
        }
        for regex in [
            "a.b",
            "a|b",
            "(?i)a",
            "\\d",
            "a+",
            ".*a.*",
            "a\\$|b",
            "[a]",
            "\\Qa.b\\E",
        ] {
            let rule = Text::regex(regex).rule;
            assert_eq!(rule, TextRule::Regex(regex.into()));
        }
    }
}
