//! Puts signatures to the host's `verify_signature` and logs what it says of them. Test vectors sign any
//! bytes, so they can't be tokens and can't go through the filter itself; but the argument of the call is
//! made by the filter's code, from a key that came in by a key set.
//!
//! The plugin's configuration is a list of [`Group`]s. For each, one line goes to the log: `vectors`, the
//! group's place, and one letter per test, see [`Said`].

use edge_claims::internals::Claims;
use edge_claims::internals::Json;
use edge_claims::internals::{Algorithm, Jws, KeySet, PublicKey, Times};
use edge_claims::internals::{FUNCTION, GOOD, verify_signature_argument};
use proxy_wasm::hostcalls::call_foreign_function;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Vectors));
}}

/// Signatures under one key.
#[derive(serde::Deserialize)]
struct Group {
    /// A key set with that one key (RFC 7517 §5).
    keys: String,
    algorithm: String,
    tests: Vec<Test>,
}

#[derive(serde::Deserialize)]
struct Test {
    message: Vec<u8>,
    signature: Vec<u8>,
}

/// What came of a test.
enum Said {
    /// The host says that the signature is right.
    Good,
    /// The host says that it is wrong.
    Wrong,
    /// The call failed; then the filter asks its portable back-end.
    Failed,
    /// The filter would not even ask: no signature of that key has this form.
    NotAsked,
    /// The key set has no key: the filter would refuse the config, or the set.
    NoKey,
}

impl Said {
    fn letter(&self) -> char {
        match self {
            Self::Good => 'g',
            Self::Wrong => 'w',
            Self::Failed => 'f',
            Self::NotAsked => '-',
            Self::NoKey => 'k',
        }
    }
}

impl Group {
    fn run(&self) -> String {
        let set = Json::parse(self.keys.as_bytes());
        let set = set.ok().and_then(|set| KeySet::inline(&set).ok());
        let key = set.as_ref().and_then(|set| set.iter().next());
        let said = |test: &Test| match (key, Algorithm::from_name(&self.algorithm)) {
            (Some(key), Some(algorithm)) => ask(algorithm, key, test),
            _ => Said::NoKey,
        };
        self.tests.iter().map(|test| said(test).letter()).collect()
    }
}

fn ask(algorithm: Algorithm, key: &PublicKey, test: &Test) -> Said {
    let token = Jws {
        token: "",
        signing_input: &test.message,
        signature: test.signature.clone(),
        algorithm: algorithm.name().into(),
        kid: None,
        token_type: None,
        claims: Claims::default(),
        times: Times::default(),
    };
    let Some(argument) = verify_signature_argument(algorithm, key, &token) else {
        return Said::NotAsked;
    };
    match call_foreign_function(FUNCTION, Some(&argument)) {
        Ok(Some(answer)) if answer == GOOD => Said::Good,
        Ok(_) => Said::Wrong,
        Err(_) => Said::Failed,
    }
}

struct Vectors;

impl Context for Vectors {}

impl RootContext for Vectors {
    fn on_configure(&mut self, _size: usize) -> bool {
        let bytes = self.get_plugin_configuration().unwrap_or_default();
        match serde_json::from_slice::<Vec<Group>>(&bytes) {
            Ok(groups) => {
                for (index, group) in groups.iter().enumerate() {
                    log::info!("vectors {index} {}", group.run());
                }
                true
            }
            Err(error) => {
                log::error!("vectors: {error}");
                false
            }
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Vectors))
    }
}

impl HttpContext for Vectors {}
