//! Errors of the config's `tests`.

/// Why a policy test is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyTestError {
    /// Two tests have the same name.
    #[error("two tests are named {0:?}: give each its own name")]
    DuplicateName(String),
    /// An expectation with neither or both of `allow: true` and `deny`.
    #[error("must have either allow: true or deny: <reason>")]
    Expectation,
    /// The policy's decision differs from the expected one.
    #[error("the test {name:?} fails: expected {expected}, got {actual}{}", Because(why.as_deref()))]
    Failed {
        /// The test's name.
        name: String,
        /// The decision that the test expects.
        expected: String,
        /// The decision of the policy.
        actual: String,
        /// The explanation of a denial.
        why: Option<String>,
    },
}

struct Because<'a>(Option<&'a str>);

impl std::fmt::Display for Because<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |why| write!(formatter, " ({why})"))
    }
}
