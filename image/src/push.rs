//! Pushes an image to a registry.

use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::net::IpAddr;
use std::path::PathBuf;

use docker_credential::{CredentialRetrievalError, DockerCredential};
use oci_client::client::{Client, ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use oci_client::{Reference, RegistryOperation};

use crate::forms::{Blob, Image};

/// Pushes the image under this name. The manifest comes last: until then, the name means what it meant before.
///
/// # Errors
/// A text that says what the registry, or the user's logins, lack.
pub fn push(image: &Image, reference: &Reference) -> Result<(), String> {
    let registry = reference.resolve_registry();
    let auth = login(registry)?;
    // The provider of the whole process, which can be set only once.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let protocol = if is_this_machine(registry) {
        ClientProtocol::HttpsExcept(vec![registry.to_owned()])
    } else {
        ClientProtocol::Https
    };
    let client = Client::try_from(ClientConfig {
        protocol,
        use_monolithic_push: true,
        ..ClientConfig::default()
    })
    .map_err(|error| format!("the client of registries: {error}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(async {
        client
            .auth(reference, &auth, RegistryOperation::Push)
            .await
            .map_err(|error| refused(registry, "the login", &error))?;
        for blob in &image.blobs {
            push_blob(&client, reference, blob)
                .await
                .map_err(|error| refused(registry, "a layer", &error))?;
        }
        let media_type = blob_type(image.manifest.media_type)?;
        client
            .push_manifest_raw(reference, image.manifest.bytes.clone(), media_type)
            .await
            .map_err(|error| refused(registry, "the manifest", &error))?;
        // What the registry has now, not what was sent.
        let found = client
            .fetch_manifest_digest(reference, &auth)
            .await
            .map_err(|error| refused(registry, "the digest", &error))?;
        let expected = image.manifest.digest();
        if found == expected {
            Ok(())
        } else {
            Err(format!(
                "{reference} has the digest {found}, not {expected}: somebody else pushed to this name, or {registry} \
                 changes manifests"
            ))
        }
    })
}

/// Pushes a blob, unless the registry has it.
async fn push_blob(
    client: &Client,
    reference: &Reference,
    blob: &Blob,
) -> Result<(), OciDistributionError> {
    let digest = blob.digest();
    if client.blob_exists(reference, &digest).await? {
        return Ok(());
    }
    let pushed = client
        .push_blob(reference, blob.bytes.clone(), &digest)
        .await;
    match pushed {
        // Some registries do not say where the blob is, though they must.
        Err(OciDistributionError::RegistryNoLocationError)
            if client.blob_exists(reference, &digest).await? =>
        {
            Ok(())
        }
        other => other.map(|_| ()),
    }
}

/// As Docker does, a registry on this machine is spoken to without TLS.
fn is_this_machine(registry: &str) -> bool {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let host = match registry.rsplit_once(':') {
        Some((host, port)) if is_port(port) => host,
        _ => registry,
    };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The login that `docker login` or `podman login` stored.
fn login(registry: &str) -> Result<RegistryAuth, String> {
    let server = match registry {
        "index.docker.io" | "docker.io" => "https://index.docker.io/v1/",
        other => other,
    };
    for path in login_files() {
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        match docker_credential::get_credential_from_reader(BufReader::new(file), server) {
            Ok(DockerCredential::UsernamePassword(user, password)) => {
                return Ok(RegistryAuth::Basic(user, password));
            }
            Ok(DockerCredential::IdentityToken(_)) => {
                return Err(format!(
                    "{}: the login for {registry} is an identity token, which cannot be used here; log in with a name \
                     and a password, or push the folder target/image/oci with another tool",
                    path.display()
                ));
            }
            Err(CredentialRetrievalError::NoCredentialConfigured) => {}
            // What the helpers of Docker print for a registry without a login.
            Err(CredentialRetrievalError::HelperFailure { stdout, .. })
                if stdout.contains("credentials not found") => {}
            Err(error) => return Err(format!("{}: {registry}: {error}", path.display())),
        }
    }
    Ok(RegistryAuth::Anonymous)
}

/// Where Docker and Podman store logins.
fn login_files() -> Vec<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let docker = folder("DOCKER_CONFIG").or_else(|| Some(folder("HOME")?.join(".docker")));
    let podman = folder("REGISTRY_AUTH_FILE")
        .or_else(|| Some(folder("XDG_RUNTIME_DIR")?.join("containers/auth.json")));
    let docker = docker.map(|folder| folder.join("config.json"));
    [docker, podman].into_iter().flatten().collect()
}

fn blob_type(text: &str) -> Result<http::HeaderValue, String> {
    http::HeaderValue::from_str(text).map_err(|error| error.to_string())
}

/// What went wrong, with its causes, and what to try.
fn refused(registry: &str, what: &str, error: &dyn std::error::Error) -> String {
    let mut text = format!("{registry} did not take {what}: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text.push_str(&format!(
        "\nIs the name right, and are you logged in (docker login {registry})?"
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_spoken_to_without_tls() {
        for registry in [
            "localhost:5000",
            "127.0.0.1:5000",
            "[::1]:5000",
            "localhost",
        ] {
            assert!(is_this_machine(registry), "{registry}");
        }
        for registry in [
            "registry.example.com",
            "localhost.example.com:5000",
            "127.example.com",
            "10.0.0.1",
        ] {
            assert!(!is_this_machine(registry), "{registry}");
        }
    }
}
