//! The edge, made of what is in the stores.

use super::Edge;
use crate::login::key::LoginKey;
use crate::mint::Signer;
use crate::session::SessionKeys;
use crate::settings::{ClientAuthentication, JwksSource, Settings};

/// Why the edge cannot decide. Neither holds a value from a store.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store has no such item, or there is no such store.
    #[error("{0}: missing")]
    Missing(&'static str),
    /// The settings cannot be used.
    #[error(transparent)]
    Settings(#[from] crate::settings::SettingsError),
    /// The key set cannot be used.
    #[error(transparent)]
    Keys(#[from] crate::session::KeySetError),
    /// The signing key cannot be used.
    #[error(transparent)]
    Signer(#[from] crate::mint::SignerError),
    /// The log's key is so short that subjects could be found by trying.
    #[error("log_key: must be at least 16 bytes long")]
    LogKey,
    /// The logins' key is so short that a state could be forged by trying.
    #[error("login_key: must be at least 32 bytes long")]
    LoginKey,
    /// The client's secret is no text, or empty.
    #[error("client_secret: must be text, at least one character")]
    ClientSecret,
}

impl Edge {
    /// Loads everything. `config` and `secret` look an item up in the config store and the secret store; `provider` has
    /// the key set that the authorization server publishes, if it was fetched.
    ///
    /// # Errors
    /// [`LoadError`], naming the first item that is missing or cannot be used.
    pub fn load(
        config: impl Fn(&str) -> Option<String>,
        secret: impl Fn(&str) -> Option<Vec<u8>>,
        provider: impl FnOnce(&JwksSource) -> Option<String>,
    ) -> Result<Self, LoadError> {
        let item = |name: &'static str| config(name).ok_or(LoadError::Missing(name));
        let secret_item = |name: &'static str| secret(name).ok_or(LoadError::Missing(name));
        let signing_key = secret_item("signing_key")?;
        let log_key = secret("log_key");
        if log_key.as_ref().is_some_and(|key| key.len() < 16) {
            return Err(LoadError::LogKey);
        }
        let login_key = secret_item("login_key")?;
        if login_key.len() < 32 {
            return Err(LoadError::LoginKey);
        }
        let settings = Settings::parse(&item("settings")?)?;
        let client_secret = match settings.login.client_authentication {
            ClientAuthentication::None => String::new(),
            ClientAuthentication::ClientSecretBasic | ClientAuthentication::ClientSecretPost => {
                let secret = String::from_utf8(secret_item("client_secret")?).ok();
                secret
                    .filter(|secret| !secret.is_empty())
                    .ok_or(LoadError::ClientSecret)?
            }
        };
        let signer = Signer::parse(&String::from_utf8_lossy(&signing_key))?;
        // Last, because it may have to be fetched.
        let session_keys = match settings.session.jwks.as_ref().and_then(provider) {
            Some(fetched) => SessionKeys::parse(&fetched)?,
            None => SessionKeys::parse(&item("session_jwks")?)?,
        };
        Ok(Self {
            login_key: LoginKey::new(
                &login_key,
                &settings.session.issuer,
                &settings.session.client_id,
                &settings.login.redirect_uri,
            ),
            client_secret,
            session_keys,
            signer,
            log_key,
            settings,
        })
    }
}
