//! What becomes of the port in `:authority`.

/// The config's `rbac.authority_port`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuthorityPort {
    /// The port is removed before Envoy selects its virtual host, so that Envoy and the policy see
    /// the same host.
    #[default]
    Strip,
    /// The port stays as sent, for listeners that strip or ignore it themselves.
    Keep,
}
