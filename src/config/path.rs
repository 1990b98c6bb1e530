//! Paths to values of the config, for error messages.

use std::fmt;

/// The path to a value: `rbac.routes[3].allow.any_role[0]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigPath(Vec<PathStep>);

/// One step of a [`ConfigPath`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathStep {
    /// A member of an object.
    Key(String),
    /// An element of a list, counted from 0.
    Index(usize),
}

impl ConfigPath {
    /// The config as a whole.
    pub fn root() -> Self {
        Self::default()
    }

    /// A member of the object at this path.
    #[must_use]
    pub fn key(&self, name: &str) -> Self {
        self.with(PathStep::Key(name.to_owned()))
    }

    /// An element of the list at this path.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.with(PathStep::Index(index))
    }

    /// The steps from the root.
    pub fn steps(&self) -> &[PathStep] {
        &self.0
    }

    fn with(&self, step: PathStep) -> Self {
        let Self(steps) = self;
        Self(steps.iter().cloned().chain([step]).collect())
    }
}

impl fmt::Display for ConfigPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return formatter.write_str("config");
        }
        for (position, step) in self.0.iter().enumerate() {
            match step {
                PathStep::Key(name) if !is_plain(name) => write!(formatter, "[{name:?}]")?,
                PathStep::Key(name) if position == 0 => formatter.write_str(name)?,
                PathStep::Key(name) => write!(formatter, ".{name}")?,
                PathStep::Index(index) => write!(formatter, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Whether a key can be shown without quotes.
fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_not_words_are_quoted() {
        let root = ConfigPath::root();
        assert_eq!(root.to_string(), "config");
        let path = root.key("rbac").key("routes").index(3).key("allow");
        assert_eq!(path.to_string(), "rbac.routes[3].allow");
        assert_eq!(path.steps().len(), 4);
        let path = root.key("identity").key("headers").key("x-auth");
        assert_eq!(path.to_string(), "identity.headers[\"x-auth\"]");
        assert_eq!(root.key("").to_string(), "[\"\"]");
    }
}
