//! The config's `rbac.authority_port`.

/// What to do with the port in `:authority`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuthorityPort {
    /// Remove the port, so that Envoy selects its virtual host by the same host as the policy.
    #[default]
    Strip,
    /// Keep the port, for listeners that remove or ignore it themselves.
    Keep,
}
