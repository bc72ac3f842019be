//! The two configurations of the TLS library. TLS 1.3 only; nothing is resumed, since
//! resuming would skip the look at the other side's key.

use crate::net::directory::{Directory, Party};
use crate::net::identity::Certificates;
use crate::net::verifier::Verifier;
use rustls::client::Resumption;
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, ServerConfig};
use std::sync::Arc;

/// The protocol's name inside of TLS.
pub(crate) const PROTOCOL: &[u8] = b"quorate/1";

/// What both sides' configurations are made from.
pub(crate) struct Materials {
    pub directory: Arc<Directory>,
    pub ours: Party,
    pub certificates: Arc<Certificates>,
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

impl Materials {
    fn verifier(&self, expected: Option<Party>) -> Arc<Verifier> {
        Arc::new(Verifier { directory: Arc::clone(&self.directory), ours: self.ours, expected })
    }

    /// For those who dial us.
    pub fn server(&self) -> Result<ServerConfig, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(self.verifier(None))
            .with_cert_resolver(Arc::clone(&self.certificates) as _);
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok(config)
    }

    /// For dialing exactly this party.
    pub fn client(&self, expected: Party) -> Result<ClientConfig, rustls::Error> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(Some(expected)))
            .with_client_cert_resolver(Arc::clone(&self.certificates) as _);
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        config.resumption = Resumption::disabled();
        config.enable_early_data = false;
        config.enable_sni = false;
        Ok(config)
    }
}
