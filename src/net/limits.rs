//! How much of anything a connection, an address or a party may take.

use std::time::Duration;

/// The limits of one node's connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// From the TCP connection to the end of the hellos.
    pub handshake: Duration,
    /// The most handshakes under way at once. Another one ends the oldest of the
    /// address that has most of them, of those from where no replica is known to come first.
    pub handshakes: usize,
    /// The most handshakes under way at once from one address. Another one ends that
    /// address' oldest.
    pub handshakes_per_address: usize,
    /// The most connections of clients, all together. Replicas are never kept out by
    /// clients.
    pub client_connections: usize,
    /// The most connections of one client.
    pub connections_per_client: usize,
    /// The most connections a second that one replica may make in the long run; four
    /// seconds' worth may come at once.
    pub replica_rate: u32,
    /// The same for one client.
    pub client_rate: u32,
    /// A replica that dialed us and from which nothing came for so long is gone: it tells
    /// its status several times a second.
    pub replica_silence: Duration,
    /// After so long without a sign of life, a client's machine is asked for one.
    pub client_keepalive: Duration,
    /// How long a frame that has begun may take, and a write of frames; for large ones,
    /// a second more for every [`LEAST_RATE`] bytes.
    pub progress: Duration,
}

/// Bytes that a connection must carry each second to be worth keeping.
pub const LEAST_RATE: usize = 256 << 10;

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            handshake: Duration::from_secs(5),
            handshakes: 256,
            handshakes_per_address: 64,
            client_connections: 1024,
            connections_per_client: 32,
            replica_rate: 10,
            client_rate: 100,
            replica_silence: Duration::from_secs(10),
            client_keepalive: Duration::from_secs(30),
            progress: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// How long so many bytes may take.
    pub(crate) fn time_for(&self, bytes: usize) -> Duration {
        self.progress + Duration::from_secs((bytes / LEAST_RATE) as u64)
    }
}
