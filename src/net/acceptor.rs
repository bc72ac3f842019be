//! Waiting for connections. Handshakes run beside each other, each within its time, and
//! however many others begin and never end, those who come get their turn.

use crate::net::directory::{Directory, Party};
use crate::net::endpoint::{
    Connection, Endpoint, Shared, first_message, prepare, require_protocol,
};
use crate::net::frame::{FrameReader, FrameWriter};
use crate::net::hello::{Answer, Hello};
use crate::net::places::Seat;
use crate::net::refusal::Refusal;
use crate::net::verifier::refusal_of;
use crate::wire;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};

/// Connections that are ready and not taken yet.
const READY: usize = 64;

/// How long nothing is accepted after the system could not give a connection: it is out
/// of files or memory, and asking at once gives nothing.
const BREATH: Duration = Duration::from_millis(50);

/// So many addresses of replicas are remembered.
const MOST_KNOWN: usize = 4096;

/// So many handshakes from where a replica is make no room for strangers.
const MOST_SPARED: usize = 4;

/// The most bytes read and thrown away of one who was refused.
const LINGER_BYTES: u64 = 64 << 10;

/// One who was refused has this part of a handshake's time to hear why.
const LINGER_PART: u32 = 4;

/// Waits for connections, until it is dropped.
pub struct Acceptor {
    address: SocketAddr,
    ready: mpsc::Receiver<Connection>,
    task: JoinHandle<()>,
    closed: Option<oneshot::Receiver<()>>,
}

impl Acceptor {
    pub(crate) async fn listen(endpoint: Endpoint, address: SocketAddr) -> io::Result<Acceptor> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (sender, ready) = mpsc::channel(READY);
        let (open, closed) = oneshot::channel();
        let task = tokio::spawn(accept_all(open, endpoint.shared, listener, sender));
        Ok(Acceptor { address, ready, task, closed: Some(closed) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Resolves once this is dropped and the address is free again.
    pub fn closed(&mut self) -> impl Future<Output = ()> + Send + use<> {
        let closed = self.closed.take();
        async {
            // Nothing is ever sent: its other half goes last.
            if let Some(closed) = closed {
                let _ = closed.await;
            }
        }
    }

    /// The next connection. Those that fail or are refused are counted and never seen
    /// here. May be dropped while it waits and called again.
    pub async fn accept(&mut self) -> Connection {
        if let Some(connection) = self.ready.recv().await {
            return connection;
        }
        match (&mut self.task).await {
            // Whoever waits for connections must not wait for ever.
            Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
            Ok(()) | Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Handshakes under way, the oldest first.
struct Handshakes {
    tasks: JoinSet<Admitted>,
    running: Vec<(IpAddr, AbortHandle)>,
    /// Where replicas are, as far as that is known without asking anybody: addresses that are
    /// listed as numbers, and those from which one was admitted.
    known: BTreeSet<IpAddr>,
}

/// Whether a replica has come.
type Admitted = bool;

impl Handshakes {
    fn new(directory: &Directory) -> Handshakes {
        let listed = directory.addresses().filter_map(|one| one.parse::<SocketAddr>().ok());
        let known = listed.map(|one| counted_as(one.ip())).collect();
        Handshakes { tasks: JoinSet::new(), running: Vec::new(), known }
    }

    /// Makes room for one more from this address, by ending the oldest of whoever has
    /// too many. Says where from the ended one was.
    fn make_room(&mut self, address: IpAddr, shared: &Shared) -> Option<IpAddr> {
        let limits = &shared.limits;
        let of = |one: IpAddr| self.running.iter().filter(|(address, _)| *address == one).count();
        let whose = if of(address) >= limits.handshakes_per_address.max(1) {
            address
        } else if self.running.len() >= limits.handshakes.max(1) {
            // Of those that have as many, the one that has been here for longest: whoever has
            // just come is not ended by the next. And strangers first: there may be any number
            // of their addresses. Of a replica's, a few are spared.
            let is_spared = |one: &IpAddr| self.known.contains(one) && of(*one) <= MOST_SPARED;
            let worst = |one: &IpAddr| (!is_spared(one), of(*one));
            self.running.iter().rev().map(|(one, _)| *one).max_by_key(worst)?
        } else {
            return None;
        };
        let oldest = self.running.iter().position(|(one, _)| *one == whose)?;
        let (_, task) = self.running.remove(oldest);
        task.abort();
        Some(whose)
    }

    fn ended(&mut self, task: tokio::task::Id, admitted: Admitted) {
        let Some(place) = self.running.iter().position(|(_, one)| one.id() == task) else { return };
        let (address, _) = self.running.remove(place);
        if admitted && self.known.len() < MOST_KNOWN {
            self.known.insert(address);
        }
    }
}

/// What counts as one address: a whole network of IPv6 is given to one customer.
fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
    }
}

/// What comes first among these is dropped last.
async fn accept_all(
    _open: oneshot::Sender<()>,
    shared: Arc<Shared>,
    listener: TcpListener,
    ready: mpsc::Sender<Connection>,
) {
    let mut handshakes = Handshakes::new(&shared.directory);
    loop {
        tokio::select! {
            Some(ended) = handshakes.tasks.join_next_with_id() => {
                let (task, admitted) = ended.unwrap_or_else(|error| (error.id(), false));
                handshakes.ended(task, admitted);
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => {
                    let address = counted_as(from.ip());
                    if let Some(ended) = handshakes.make_room(address, &shared) {
                        shared.count(&Refusal::Evicted, &ended);
                    }
                    let one = handshake(Arc::clone(&shared), stream, from, ready.clone());
                    let task = handshakes.tasks.spawn(one);
                    handshakes.running.push((address, task));
                }
                Err(error) => {
                    shared.count(&Refusal::Broken(error.to_string()), &"nobody yet");
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    }
}

/// One who is not admitted, and the way to let him hear it.
struct Refused {
    refusal: Refusal,
    farewell: Farewell,
}

/// What a refused one can still be told. That takes time of its own, after the refusal
/// was counted.
enum Farewell {
    /// Nothing: the connection is gone, or was never one.
    None,
    /// The alert that says why is on its way.
    Alert(TcpStream),
    /// The reason in words.
    Words(Box<(FrameReader, FrameWriter)>),
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Refused {
        Refused { refusal, farewell: Farewell::None }
    }
}

async fn handshake(
    shared: Arc<Shared>,
    stream: TcpStream,
    from: SocketAddr,
    ready: mpsc::Sender<Connection>,
) -> Admitted {
    let admitted = tokio::time::timeout(shared.limits.handshake, admit(&shared, stream, from));
    match admitted.await.unwrap_or(Err(Refusal::Slow.into())) {
        // Nobody takes it only if the acceptor is gone.
        Ok(connection) => {
            let is_replica = matches!(connection.party, Party::Replica(_));
            ready.send(connection).await.is_ok() && is_replica
        }
        Err(Refused { refusal, farewell }) => {
            shared.count(&refusal, &from);
            let told = farewell.say(&shared, &refusal);
            let _ = tokio::time::timeout(shared.limits.handshake / LINGER_PART, told).await;
            false
        }
    }
}

async fn admit(
    shared: &Shared,
    stream: TcpStream,
    address: SocketAddr,
) -> Result<Connection, Refused> {
    let broken = |error: io::Error| refusal_of(&error);
    prepare(&stream, &shared.limits).map_err(broken)?;
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(&shared.server));
    let stream = acceptor.accept(stream).into_fallible().await.map_err(|(error, stream)| {
        Refused { refusal: refusal_of(&error), farewell: Farewell::Alert(stream) }
    })?;
    let session = stream.get_ref().1;
    let party = shared.shown(session.peer_certificates())?;
    let agreed = require_protocol(session.alpn_protocol());
    let (mut reader, mut writer) = shared.halves(stream.into());
    let judged = match agreed {
        Ok(()) => judge(shared, &mut reader, party).await,
        Err(refusal) => Err(refusal),
    };
    let seat = match judged {
        Ok(seat) => Some(Arc::new(seat)),
        Err(refusal) => {
            return Err(Refused { refusal, farewell: Farewell::Words(Box::new((reader, writer))) });
        }
    };
    reader.admit(shared.directory.most_bytes_from(party), shared.silence_of(party), seat.clone());
    writer.admit(seat);
    let welcome = wire::encode(&Answer::Welcome(shared.hello.clone()));
    writer.write(&[Bytes::from(welcome)]).await.map_err(broken)?;
    Ok(Connection { party, address, reader, writer })
}

/// Hears the other side's hello, and gives it a place.
async fn judge(shared: &Shared, reader: &mut FrameReader, party: Party) -> Result<Seat, Refusal> {
    let theirs: Hello = first_message(reader).await?;
    shared.hello.judge(&theirs, party)?;
    shared.places.take(party, Instant::now())
}

impl Farewell {
    /// Tells the other side why it is refused; whether it hears that is its own affair.
    /// Then waits for its end, since closing with something unread would take back what
    /// was written.
    async fn say(self, shared: &Shared, refusal: &Refusal) {
        match self {
            Farewell::None => {}
            Farewell::Alert(mut stream) => {
                if stream.shutdown().await.is_ok() {
                    let mut rest = stream.take(LINGER_BYTES);
                    let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
                }
            }
            Farewell::Words(halves) => {
                let (mut reader, mut writer) = *halves;
                let answer = wire::encode(&Answer::refused(&shared.hello, refusal));
                let written = writer.write(&[Bytes::from(answer)]).await;
                if written.is_ok() && writer.close().await.is_ok() {
                    while let Ok(Some(_)) = reader.next().await {}
                }
            }
        }
    }
}
