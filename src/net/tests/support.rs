//! A small cluster's keys, endpoints on free ports, and a hostile peer's tools.

use crate::crypto::{PublicKey, SecretKey};
use crate::message::genesis::{Genesis, Parameters};
use crate::net::identity::{Terms, certificate};
use crate::net::tls::PROTOCOL;
use crate::net::{Acceptor, Connection, Directory, Endpoint, Identity, Limits, Listed, Party};
use crate::types::{ClientId, ReplicaId};
use bytes::Bytes;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::net::TcpStream;

/// Nothing that a test waits for takes so long, however slow the machine is.
pub const LONG: Duration = Duration::from_secs(60);

pub const REPLICAS: u8 = 4;
pub const CLIENTS: u8 = 2;

/// The TLS key of a party; consensus keys have other seeds.
pub fn secret(party: Party) -> SecretKey {
    match party {
        Party::Replica(ReplicaId(id)) => SecretKey::from_seed(&[100 + id as u8; 32]),
        Party::Client(ClientId(id)) => SecretKey::from_seed(&[200 + id as u8; 32]),
    }
}

pub fn replica(id: u16) -> Party {
    Party::Replica(ReplicaId(id))
}

pub fn client(id: u32) -> Party {
    Party::Client(ClientId(id))
}

/// Addresses are filled in for those that listen.
pub struct Plan {
    pub name: &'static str,
    pub parameters: Parameters,
    pub addresses: [String; REPLICAS as usize],
    pub limits: Limits,
}

impl Default for Plan {
    fn default() -> Plan {
        let nowhere = || "127.0.0.1:1".to_string();
        Plan {
            name: "test",
            parameters: Parameters::default(),
            addresses: [nowhere(), nowhere(), nowhere(), nowhere()],
            limits: Limits { handshake: LONG, replica_silence: LONG, ..Limits::default() },
        }
    }
}

impl Plan {
    pub fn directory(&self) -> Directory {
        let public = |seed: u8| SecretKey::from_seed(&[seed; 32]).public();
        let tls = |party| secret(party).public();
        let replica_keys: Vec<PublicKey> =
            (0..u16::from(REPLICAS)).map(|id| tls(replica(id))).collect();
        let client_keys: Vec<PublicKey> =
            (0..u32::from(CLIENTS)).map(|id| tls(client(id))).collect();
        let genesis = Genesis {
            name: Directory::genesis_name(self.name, &replica_keys, &client_keys).into(),
            replicas: (1..=REPLICAS).map(public).collect(),
            clients: (50..50 + CLIENTS).map(public).collect(),
            parameters: self.parameters,
        };
        let listed = self.addresses.iter().cloned().zip(replica_keys);
        let listed = listed.map(|(address, tls_key)| Listed { address, tls_key }).collect();
        Directory::new(self.name, genesis, listed, client_keys).expect("a good directory")
    }

    pub fn endpoint(&self, party: Party) -> Endpoint {
        let identity = Identity::new(party, secret(party));
        Endpoint::new(self.directory(), identity, self.limits).expect("a good endpoint")
    }

    /// Replica 0 listens, and its address is known from here on.
    pub async fn listen(&mut self) -> (Endpoint, Acceptor) {
        let endpoint = self.endpoint(replica(0));
        let acceptor = endpoint.listen(anywhere()).await.expect("a free port");
        self.addresses[0] = acceptor.local_addr().to_string();
        (endpoint, acceptor)
    }
}

pub fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().expect("an address")
}

/// A dialed and an accepted connection, the two ends of one.
pub async fn joined(endpoint: &Endpoint, acceptor: &mut Acceptor) -> (Connection, Connection) {
    let (dialed, accepted) = tokio::join!(endpoint.dial(ReplicaId(0)), acceptor.accept());
    (dialed.expect("both are honest"), accepted)
}

/// Waits until something was refused for this cause.
pub async fn until_refused(endpoint: &Endpoint, cause: &str) {
    let refused = async {
        while !endpoint.refusals().contains_key(cause) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(LONG, refused).await.is_err() {
        panic!("nobody was refused for {cause}, only for {:?}", endpoint.refusals());
    }
}

/// Takes whatever it is shown.
#[derive(Debug)]
struct Gullible;

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// A certificate with its key, as the library takes them.
pub type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A certificate on terms of one's choice.
pub fn shown(party: Party, secret: &SecretKey, spoil: impl FnOnce(&mut Terms)) -> Shown {
    let mut terms = Terms::at(SystemTime::now());
    spoil(&mut terms);
    let der = secret.to_der();
    let der = PrivatePkcs8KeyDer::from(der.to_vec());
    let maker = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der, &rcgen::PKCS_ED25519);
    let made = certificate(party, &maker.expect("a key"), &terms).expect("a certificate");
    (vec![made], PrivateKeyDer::from(der))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// How a hostile peer dials: with this certificate or none, and these protocols.
pub fn dialing(shown: Option<Shown>, protocols: &[&[u8]]) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Gullible));
    let mut config = match shown {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).expect("a key"),
    };
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    config
}

pub type Tls = tokio_rustls::client::TlsStream<TcpStream>;

/// Dials with this configuration. In TLS 1.3 a refusal comes with the first read.
pub async fn dial(config: ClientConfig, to: SocketAddr) -> std::io::Result<Tls> {
    let stream = TcpStream::connect(to).await?;
    let name = ServerName::try_from("quorate").expect("a name");
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// Dials as a listed party would, and stops before the hello.
pub async fn dial_as(party: Party, to: SocketAddr) -> Tls {
    let shown = shown(party, &secret(party), |_| ());
    dial(dialing(Some(shown), &[PROTOCOL]), to).await.expect("a listed key")
}

/// Serves one connection, showing this certificate, and asks for none.
pub async fn serve(shown: Shown) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind(anywhere()).await.expect("a free port");
    let address = listener.local_addr().expect("a bound port");
    let (chain, key) = shown;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a key");
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        if let Ok((stream, _)) = listener.accept().await {
            let _held = acceptor.accept(stream).await;
            std::future::pending::<()>().await
        }
    });
    address
}

/// A frame as it is on the wire.
pub fn framed(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("a small frame");
    [&length.to_le_bytes(), bytes].concat()
}

/// The next frame, which must come.
pub async fn next(connection: &mut Connection) -> Bytes {
    let next = tokio::time::timeout(LONG, connection.reader.next()).await;
    next.expect("it comes in time").expect("the connection holds").expect("it does not end")
}
