//! A node's end of all its connections, and dialing from it.

use crate::net::acceptor::Acceptor;
use crate::net::directory::{Directory, Party};
use crate::net::frame::{FrameError, FrameReader, FrameWriter, Stream};
use crate::net::hello::{Answer, Hello, MOST_HELLO_BYTES, told};
use crate::net::identity::{Certificates, Identity, NoCertificateMade};
use crate::net::limits::Limits;
use crate::net::places::Places;
use crate::net::refusal::{Counters, Refusal};
use crate::net::tls::{Materials, PROTOCOL};
use crate::net::verifier::{key_in, refusal_of};
use crate::types::ReplicaId;
use crate::wire;
use bytes::Bytes;
use rustls::ServerConfig;
use rustls::pki_types::ServerName;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;

/// Why there is no endpoint.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BadEndpoint {
    /// The file lists another key.
    #[error(
        "the TLS key is not the one that the cluster file lists for {0}: use that party's key \
         file, or list this key"
    )]
    NotTheListed(Party),
    /// The key is of no use.
    #[error(transparent)]
    Certificate(#[from] NoCertificateMade),
    /// The library does not take it.
    #[error("the TLS library refuses this configuration: {0}")]
    Tls(#[from] rustls::Error),
}

/// Why a dialed replica is not connected.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The cluster has no such replica.
    #[error("the cluster file lists no replica {0}")]
    Unknown(ReplicaId),
    /// Its host has no address, or nobody listens there.
    #[error("replica {replica} cannot be reached at {address} ({error}): is it running there?")]
    Unreachable {
        /// Whom we dialed.
        replica: ReplicaId,
        /// Where.
        address: String,
        /// What the system says.
        error: io::Error,
    },
    /// One of the two sides refuses the other.
    #[error("no connection to replica {replica} at {address}: {refusal}")]
    Refused {
        /// Whom we dialed.
        replica: ReplicaId,
        /// Where.
        address: String,
        /// Why.
        refusal: Refusal,
    },
}

/// A node's end of its connections: who it is, whom it knows, what it allows.
#[derive(Clone)]
pub struct Endpoint {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub directory: Arc<Directory>,
    pub hello: Hello,
    pub limits: Limits,
    pub counters: Counters,
    pub places: Arc<Places>,
    pub server: Arc<ServerConfig>,
    materials: Materials,
}

/// A connection whose both sides know each other.
pub struct Connection {
    /// Who is at the other end.
    pub party: Party,
    /// From where.
    pub address: SocketAddr,
    /// What comes.
    pub reader: FrameReader,
    /// What goes.
    pub writer: FrameWriter,
}

impl fmt::Debug for Connection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Connection({} at {})", self.party, self.address)
    }
}

impl Endpoint {
    /// The endpoint of this identity in this cluster.
    pub fn new(
        directory: impl Into<Arc<Directory>>,
        identity: Identity,
        limits: Limits,
    ) -> Result<Endpoint, BadEndpoint> {
        let directory = directory.into();
        let ours = identity.party;
        if directory.key_of(ours) != Some(identity.public()) {
            return Err(BadEndpoint::NotTheListed(ours));
        }
        let certificates = Arc::new(Certificates::new(&identity)?);
        let materials = Materials { directory: Arc::clone(&directory), ours, certificates };
        let shared = Shared {
            hello: Hello::of(&directory, ours),
            limits,
            counters: Counters::default(),
            places: Arc::new(Places::new(limits)),
            server: Arc::new(materials.server()?),
            materials,
            directory,
        };
        Ok(Endpoint { shared: Arc::new(shared) })
    }

    /// Who we are.
    pub fn party(&self) -> Party {
        self.shared.hello.party
    }

    /// Whom we know.
    pub fn directory(&self) -> &Arc<Directory> {
        &self.shared.directory
    }

    /// What we allow.
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// How often connections were refused or failed, by cause.
    pub fn refusals(&self) -> BTreeMap<&'static str, u64> {
        self.shared.counters.read()
    }

    /// How many connections that others made are open now.
    pub fn accepted_connections(&self) -> usize {
        self.shared.places.open()
    }

    /// Waits for connections at this address.
    pub async fn listen(&self, address: SocketAddr) -> io::Result<Acceptor> {
        Acceptor::listen(self.clone(), address).await
    }

    /// Connects to a replica, and to nobody in its place.
    pub async fn dial(&self, to: ReplicaId) -> Result<Connection, DialError> {
        let address = self.shared.directory.address_of(to).ok_or(DialError::Unknown(to))?;
        let dialed = tokio::time::timeout(self.shared.limits.handshake, self.dial_at(to, address));
        let error = match dialed.await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => error,
            Err(_) => refused(to, address, Refusal::Slow),
        };
        if let DialError::Refused { refusal, .. } = &error {
            self.shared.count(refusal, &format_args!("{} at {address}", Party::Replica(to)));
        }
        Err(error)
    }

    async fn dial_at(&self, to: ReplicaId, address: &str) -> Result<Connection, DialError> {
        let stream = TcpStream::connect(address).await.map_err(|error| DialError::Unreachable {
            replica: to,
            address: address.to_string(),
            error,
        })?;
        self.greet(to, stream).await.map_err(|refusal| refused(to, address, refusal))
    }

    async fn greet(&self, to: ReplicaId, stream: TcpStream) -> Result<Connection, Refusal> {
        let broken = |error: io::Error| refusal_of(&error);
        let party = Party::Replica(to);
        let address = stream.peer_addr().map_err(broken)?;
        prepare(&stream, &self.shared.limits).map_err(broken)?;
        let config = self.shared.materials.client(party);
        let config = config.map_err(|error| Refusal::Broken(error.to_string()))?;
        let name = ServerName::try_from("quorate").expect("a name of letters is a host's name");
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, stream).await.map_err(broken)?;
        require_protocol(stream.get_ref().1.alpn_protocol())?;
        let (mut reader, mut writer) = self.shared.halves(stream.into());
        let hello = Bytes::from(wire::encode(&self.shared.hello));
        // Who refuses our certificate says so before it closes: what it said is worth
        // more than that we could not write.
        let written = writer.write(&[hello]).await;
        let answer: Answer = first_message(&mut reader).await?;
        written.map_err(broken)?;
        match answer {
            Answer::Welcome(theirs) => self.shared.hello.judge(&theirs, party)?,
            Answer::Refused(_, reason) => return Err(Refusal::Told(told(&reason))),
        }
        // Silence says nothing on this side: a replica may have nothing to tell those who
        // dial it. That it is gone is seen from what it does not acknowledge.
        reader.admit(self.shared.directory.most_bytes_from(party), None, None);
        Ok(Connection { party, address, reader, writer })
    }
}

fn refused(replica: ReplicaId, address: &str, refusal: Refusal) -> DialError {
    DialError::Refused { replica, address: address.to_string(), refusal }
}

/// What every socket gets: no waiting for more to send, and a look whether anybody is
/// still there.
pub(crate) fn prepare(stream: &TcpStream, limits: &Limits) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(stream);
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(limits.client_keepalive)
        .with_interval(limits.client_keepalive / 3);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(limits.client_keepalive))?;
    Ok(())
}

/// Both sides must have named the protocol.
pub(crate) fn require_protocol(agreed: Option<&[u8]>) -> Result<(), Refusal> {
    (agreed == Some(PROTOCOL)).then_some(()).ok_or(Refusal::OtherProtocol)
}

/// Reads the other side's first message.
pub(crate) async fn first_message<T: wire::Wire>(reader: &mut FrameReader) -> Result<T, Refusal> {
    let frame = match reader.next().await {
        Ok(Some(frame)) => frame,
        Ok(None) => return Err(Refusal::Broken("the connection ended".into())),
        Err(FrameError::Io(error)) => return Err(refusal_of(&error)),
        Err(FrameError::Half) => return Err(Refusal::Broken(FrameError::Half.to_string())),
        Err(error) => return Err(Refusal::BadHello(error.to_string())),
    };
    wire::decode(&frame, MOST_HELLO_BYTES).map_err(|error| Refusal::BadHello(error.to_string()))
}

impl Shared {
    /// The two halves of a stream whose other end has said nothing yet.
    pub fn halves(&self, stream: Stream) -> (FrameReader, FrameWriter) {
        let (reader, writer) = tokio::io::split(stream);
        let reader = FrameReader::new(reader, MOST_HELLO_BYTES, self.limits);
        (reader, FrameWriter::new(writer, self.limits))
    }

    /// Whose key the other end of this stream has shown.
    pub fn shown(
        &self,
        certificates: Option<&[rustls::pki_types::CertificateDer<'_>]>,
    ) -> Result<Party, Refusal> {
        let certificate = certificates.and_then(<[_]>::first).ok_or(Refusal::NoCertificate)?;
        let key = key_in(certificate)?;
        self.directory.party_of(&key).ok_or(Refusal::NotListed(key))
    }

    /// How long one who dialed us may be silent: replicas tell their status all the time,
    /// clients speak when they like.
    pub fn silence_of(&self, party: Party) -> Option<std::time::Duration> {
        match party {
            Party::Replica(_) => Some(self.limits.replica_silence),
            Party::Client(_) => None,
        }
    }

    /// Counts a refusal, and tells the log of it unless it was told just now.
    pub fn count(&self, refusal: &Refusal, whom: &dyn fmt::Display) {
        if let Some(untold) = self.counters.count(refusal) {
            tracing::warn!(cause = refusal.cause(), %whom, untold, "no connection: {refusal}");
        }
    }
}
