//! Certificates for TLS and mTLS: an authority made for the test, and what it signs.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, SanType,
};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// The name in the server's certificate.
pub const SERVER_NAME: &str = "shop.example.com";

/// A certificate authority.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key, both PEM.
#[derive(Debug, Clone)]
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

/// How a client connects by TLS.
#[derive(Debug, Clone)]
pub struct ClientTls {
    config: ClientConfig,
    /// The name that the server's certificate must have.
    server: String,
}

impl Authority {
    /// A new authority.
    ///
    /// # Panics
    /// Where the system gives no randomness.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "edge-claims test authority");
        let key = KeyPair::generate().expect("a key pair");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        Self { issuer }
    }

    /// The authority's own certificate, PEM.
    #[must_use]
    pub fn certificate(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for the server that [`SERVER_NAME`] names.
    #[must_use]
    pub fn server(&self) -> Identity {
        self.server_named(&[SERVER_NAME])
    }

    /// A certificate for a server with those names and addresses.
    ///
    /// # Panics
    /// Where one is not ASCII.
    #[must_use]
    pub fn server_named(&self, names: &[&str]) -> Identity {
        let name = |name: &&str| match name.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName((*name).try_into().expect("an ASCII name")),
        };
        let names = names.iter().map(name).collect();
        self.sign(names, &[ExtendedKeyUsagePurpose::ServerAuth])
    }

    /// A certificate for a workload of a mesh, which is a server and a client, with that URI.
    ///
    /// # Panics
    /// Where the URI is not ASCII.
    #[must_use]
    pub fn workload(&self, uri: &str) -> Identity {
        let name = SanType::URI(uri.try_into().expect("an ASCII URI"));
        let usages = [
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        self.sign(vec![name], &usages)
    }

    /// A certificate for a client with that URI, `spiffe://cluster.local/ns/edge/sa/gateway` say.
    ///
    /// # Panics
    /// Where the URI is not ASCII.
    #[must_use]
    pub fn client(&self, uri: &str) -> Identity {
        self.client_with(&[uri])
    }

    /// A certificate for a client with those URIs, in their order.
    ///
    /// # Panics
    /// Where one is not ASCII.
    #[must_use]
    pub fn client_with(&self, uris: &[&str]) -> Identity {
        let name = |uri: &&str| SanType::URI((*uri).try_into().expect("an ASCII URI"));
        let names = uris.iter().map(name).collect();
        self.sign(names, &[ExtendedKeyUsagePurpose::ClientAuth])
    }

    fn sign(&self, names: Vec<SanType>, usages: &[ExtendedKeyUsagePurpose]) -> Identity {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.extended_key_usages.extend_from_slice(usages);
        let key = KeyPair::generate().expect("a key pair");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// The settings of a client that trusts this authority and shows that identity, or none.
    ///
    /// # Panics
    /// Where the identity is not PEM.
    #[must_use]
    pub fn client_tls(&self, identity: Option<&Identity>) -> ClientTls {
        ClientTls::from_pem(&self.certificate(), identity)
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl ClientTls {
    /// The settings of a client that trusts that authority and shows that identity, or none.
    ///
    /// # Panics
    /// Where authority or identity are not PEM.
    #[must_use]
    pub fn from_pem(authority: &str, identity: Option<&Identity>) -> Self {
        let certificate =
            |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).expect("a PEM certificate");
        let mut roots = RootCertStore::empty();
        roots.add(certificate(authority)).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider's own versions")
            .with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes());
                builder
                    .with_client_auth_cert(
                        vec![certificate(&identity.certificate)],
                        key.expect("a PEM key"),
                    )
                    .expect("a key that fits its certificate")
            }
        };
        config.resumption = Resumption::disabled();
        Self {
            config,
            server: SERVER_NAME.to_owned(),
        }
    }

    /// Expects a server of that name in place of [`SERVER_NAME`].
    #[must_use]
    pub fn server(mut self, name: &str) -> Self {
        name.clone_into(&mut self.server);
        self
    }

    /// Resumes its TLS session with each connection after the first, as clients do.
    #[must_use]
    pub fn resuming(mut self) -> Self {
        self.config.resumption = Resumption::in_memory_sessions(8);
        self
    }

    /// Performs the TLS handshake on a connection and offers the protocols by ALPN.
    pub(crate) fn connect(
        &self,
        stream: TcpStream,
        protocols: &[&[u8]],
    ) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let mut config = self.config.clone();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let name = ServerName::try_from(self.server.clone()).map_err(io::Error::other)?;
        let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        Ok(StreamOwned::new(connection, stream))
    }
}
