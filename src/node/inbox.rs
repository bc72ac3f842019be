//! What waits for the replica: one bounded queue for each source, drained in turn.
//!
//! A source that fills its queue waits, and its socket with it; nobody else does. Clients
//! are many and only one class among the peers: however many they are, the votes of peers
//! get their turns. The inbox knows nothing of what is in it.

use crate::types::{ClientId, ReplicaId};
use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// The most messages that wait from one source.
pub(super) const MOST_MESSAGES: usize = 1_024;

/// The most bytes that wait from one source, in bytes of frames. A single message may have
/// more.
pub(super) const MOST_BYTES: usize = 16 << 20;

/// The most bytes that wait from all clients together, in bytes of frames.
pub(super) const MOST_CLIENTS_BYTES: usize = 64 << 20;

/// So many messages of clients are taken for one of each peer.
const CLIENTS_PER_TURN: usize = 8;

/// Where something came from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Source {
    /// A peer's own messages.
    Peer(ReplicaId),
    /// Requests that a peer passes on: they fill a queue of their own, and never the
    /// one of its votes.
    Relayed(ReplicaId),
    /// A client's messages.
    Client(ClientId),
}

impl Source {
    fn is_client(self) -> bool {
        matches!(self, Source::Client(_))
    }
}

/// Nobody takes anything out any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Closed;

/// How much waits at present.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Depth {
    /// Of peers, in messages.
    pub(super) peers: usize,
    /// Of clients, in messages.
    pub(super) clients: usize,
    /// Of both, in bytes of frames.
    pub(super) bytes: usize,
}

struct Lane<T> {
    waiting: VecDeque<(T, usize)>,
    bytes: usize,
    room: Arc<Notify>,
}

impl<T> Lane<T> {
    fn new() -> Lane<T> {
        Lane { waiting: VecDeque::new(), bytes: 0, room: Arc::default() }
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.waiting.is_empty()
            || (self.waiting.len() < MOST_MESSAGES && self.bytes + bytes <= MOST_BYTES)
    }
}

struct Lanes<T> {
    lanes: BTreeMap<Source, Lane<T>>,
    /// Whose turn it is, among those with something in their lane.
    peers: VecDeque<Source>,
    clients: VecDeque<Source>,
    urgent: VecDeque<T>,
    depth: Depth,
    clients_bytes: usize,
    clients_room: Arc<Notify>,
    is_closed: bool,
}

/// See the module's head.
pub(super) struct Inbox<T> {
    lanes: Mutex<Lanes<T>>,
    filled: Notify,
}

impl<T> Inbox<T> {
    pub(super) fn new() -> Inbox<T> {
        let lanes = Lanes {
            lanes: BTreeMap::new(),
            peers: VecDeque::new(),
            clients: VecDeque::new(),
            urgent: VecDeque::new(),
            depth: Depth::default(),
            clients_bytes: 0,
            clients_room: Arc::default(),
            is_closed: false,
        };
        Inbox { lanes: Mutex::new(lanes), filled: Notify::new() }
    }

    /// Puts something in as soon as its source has room for so many bytes.
    pub(super) async fn put(&self, source: Source, item: T, bytes: usize) -> Result<(), Closed> {
        let mut item = item;
        loop {
            let (back, room) = match self.offer(source, item, bytes) {
                Offered::Taken => return Ok(()),
                Offered::Closed => return Err(Closed),
                Offered::Full(back, room) => (back, room),
            };
            // Whoever makes room wakes only those who wait already: so wait first, and
            // look again.
            let mut waiting = pin!(room.notified());
            waiting.as_mut().enable();
            let again;
            (item, again) = match self.offer(source, back, bytes) {
                Offered::Taken => return Ok(()),
                Offered::Closed => return Err(Closed),
                Offered::Full(back, room) => (back, room),
            };
            // What is lacking may be another room by now, and nobody tells of the first.
            if Arc::ptr_eq(&room, &again) {
                waiting.await;
            }
        }
    }

    /// Puts something in if there is room at once; false if there is none.
    pub(super) fn put_now(&self, source: Source, item: T, bytes: usize) -> Result<bool, Closed> {
        match self.offer(source, item, bytes) {
            Offered::Taken => Ok(true),
            Offered::Full(..) => Ok(false),
            Offered::Closed => Err(Closed),
        }
    }

    /// Puts in something of this node's own, which comes before all else.
    pub(super) fn put_urgent(&self, item: T) {
        self.lock().urgent.push_back(item);
        self.filled.notify_one();
    }

    /// Takes up to so many, in turns, and waits for the first; takes what is left if it is
    /// closed. May be dropped while it waits and called again. For one taker.
    pub(super) async fn take(&self, most: usize) -> Vec<T> {
        loop {
            if let Some(taken) = self.take_now(most) {
                return taken;
            }
            self.filled.notified().await;
        }
    }

    /// Whether something waits.
    pub(super) fn has_waiting(&self) -> bool {
        !self.lock().is_empty()
    }

    /// How much waits.
    pub(super) fn depth(&self) -> Depth {
        self.lock().depth
    }

    /// Whether nothing more is let in.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Waits for so long, or until it is closed; whether it is. For the taker.
    pub(super) async fn wait_until_closed(&self, most: Duration) -> bool {
        let closed = async {
            while !self.is_closed() {
                self.filled.notified().await;
            }
        };
        timeout(most, closed).await.is_ok()
    }

    /// Lets nothing more in, and whoever waits for room go.
    pub(super) fn close(&self) {
        let mut lanes = self.lock();
        lanes.is_closed = true;
        lanes.clients_room.notify_waiters();
        lanes.lanes.values().for_each(|lane| lane.room.notify_waiters());
        self.filled.notify_one();
    }

    /// What there is, unless that is nothing and more may come.
    fn take_now(&self, most: usize) -> Option<Vec<T>> {
        let mut lanes = self.lock();
        let is_over = lanes.is_closed || !lanes.is_empty();
        is_over.then(|| lanes.take(most))
    }

    fn offer(&self, source: Source, item: T, bytes: usize) -> Offered<T> {
        let mut lanes = self.lock();
        let was_empty = lanes.is_empty();
        let offered = lanes.offer(source, item, bytes);
        if was_empty {
            self.filled.notify_one();
        }
        offered
    }

    fn lock(&self) -> MutexGuard<'_, Lanes<T>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Offered<T> {
    Taken,
    Full(T, Arc<Notify>),
    Closed,
}

impl<T> Lanes<T> {
    fn is_empty(&self) -> bool {
        self.urgent.is_empty() && self.peers.is_empty() && self.clients.is_empty()
    }

    fn offer(&mut self, source: Source, item: T, bytes: usize) -> Offered<T> {
        if self.is_closed {
            return Offered::Closed;
        }
        let is_first = self.clients_bytes == 0;
        if source.is_client() && !is_first && self.clients_bytes + bytes > MOST_CLIENTS_BYTES {
            return Offered::Full(item, Arc::clone(&self.clients_room));
        }
        let lane = self.lanes.entry(source).or_insert_with(Lane::new);
        if !lane.has_room(bytes) {
            return Offered::Full(item, Arc::clone(&lane.room));
        }
        if lane.waiting.is_empty() {
            match source.is_client() {
                true => self.clients.push_back(source),
                false => self.peers.push_back(source),
            }
        }
        lane.waiting.push_back((item, bytes));
        lane.bytes += bytes;
        self.depth.bytes += bytes;
        match source.is_client() {
            true => {
                self.clients_bytes += bytes;
                self.depth.clients += 1;
            }
            false => self.depth.peers += 1,
        }
        Offered::Taken
    }

    fn take(&mut self, most: usize) -> Vec<T> {
        let mut taken: Vec<T> = self.urgent.drain(..).collect();
        while taken.len() < most && !(self.peers.is_empty() && self.clients.is_empty()) {
            for _ in 0..self.peers.len() {
                let source = self.peers.pop_front().expect("as many as were counted");
                let (item, is_left) = self.take_one(source);
                taken.push(item);
                if is_left {
                    self.peers.push_back(source);
                }
            }
            for _ in 0..self.clients.len().min(CLIENTS_PER_TURN) {
                let source = self.clients.pop_front().expect("as many as were counted");
                let (item, is_left) = self.take_one(source);
                taken.push(item);
                if is_left {
                    self.clients.push_back(source);
                }
            }
        }
        taken
    }

    /// Takes the oldest of a source that has something. Tells whether anything is left.
    fn take_one(&mut self, source: Source) -> (T, bool) {
        let lane = self.lanes.get_mut(&source).expect("whose turn it is has a lane");
        let (item, bytes) = lane.waiting.pop_front().expect("and something in it");
        lane.bytes -= bytes;
        lane.room.notify_waiters();
        let is_left = !lane.waiting.is_empty();
        if !is_left {
            self.lanes.remove(&source);
        }
        self.depth.bytes -= bytes;
        match source.is_client() {
            true => {
                self.clients_bytes -= bytes;
                self.depth.clients -= 1;
                self.clients_room.notify_waiters();
            }
            false => self.depth.peers -= 1,
        }
        (item, is_left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: Source = Source::Peer(ReplicaId(1));
    const BERT: Source = Source::Peer(ReplicaId(2));

    fn client(id: u32) -> Source {
        Source::Client(ClientId(id))
    }

    fn fill(inbox: &Inbox<u32>, source: Source, items: impl IntoIterator<Item = u32>) {
        for item in items {
            assert_eq!(inbox.put_now(source, item, 1), Ok(true));
        }
    }

    #[tokio::test]
    async fn sources_take_turns_and_clients_are_one_class_among_them() {
        let inbox = Inbox::new();
        fill(&inbox, ANNA, 100..103);
        fill(&inbox, BERT, 200..201);
        (0..20).for_each(|id| fill(&inbox, client(id), [id]));
        let turn: Vec<u32> = inbox.take(1).await;
        assert_eq!(turn, [100, 200, 0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(inbox.take(1).await, [101, 8, 9, 10, 11, 12, 13, 14, 15]);
        assert_eq!(inbox.depth(), Depth { peers: 1, clients: 4, bytes: 5 });
    }

    #[tokio::test]
    async fn what_is_urgent_comes_first() {
        let inbox = Inbox::new();
        fill(&inbox, ANNA, [1, 2]);
        inbox.put_urgent(0);
        assert_eq!(inbox.take(3).await, [0, 1, 2]);
    }

    /// X6
    #[test]
    fn a_full_source_fills_nothing_but_its_own_queue() {
        let inbox = Inbox::new();
        fill(&inbox, ANNA, 0..MOST_MESSAGES as u32);
        assert_eq!(inbox.put_now(ANNA, 0, 1), Ok(false));
        assert_eq!(inbox.put_now(Source::Relayed(ReplicaId(1)), 0, 1), Ok(true));
        assert_eq!(inbox.put_now(BERT, 0, 1), Ok(true));
    }

    #[test]
    fn bytes_are_bounded_and_one_large_message_is_taken() {
        let inbox = Inbox::new();
        assert_eq!(inbox.put_now(ANNA, 0, MOST_BYTES + 1), Ok(true));
        assert_eq!(inbox.put_now(ANNA, 0, 1), Ok(false));
    }

    /// K6
    #[test]
    fn clients_together_are_bounded() {
        let inbox = Inbox::new();
        let fitting = u32::try_from(MOST_CLIENTS_BYTES / MOST_BYTES).expect("few");
        for id in 0..fitting {
            assert_eq!(inbox.put_now(client(id), 0, MOST_BYTES), Ok(true));
        }
        assert_eq!(inbox.put_now(client(fitting), 0, 1), Ok(false));
        assert_eq!(inbox.put_now(ANNA, 0, 1), Ok(true));
    }

    #[tokio::test]
    async fn whoever_waits_for_room_goes_on_when_there_is_some() {
        let inbox = Arc::new(Inbox::new());
        fill(&inbox, ANNA, 0..MOST_MESSAGES as u32);
        let late = Arc::clone(&inbox);
        let late = tokio::spawn(async move { late.put(ANNA, 7, 1).await });
        tokio::task::yield_now().await;
        assert_eq!(inbox.take(1).await, [0]);
        assert_eq!(late.await.expect("no panic"), Ok(()));
        assert_eq!(inbox.take(MOST_MESSAGES).await.last(), Some(&7));
    }

    #[tokio::test]
    async fn a_closed_inbox_sends_everybody_home() {
        let inbox = Arc::new(Inbox::new());
        fill(&inbox, ANNA, 0..MOST_MESSAGES as u32);
        let late = Arc::clone(&inbox);
        let late = tokio::spawn(async move { late.put(ANNA, 7, 1).await });
        tokio::task::yield_now().await;
        inbox.close();
        assert_eq!(late.await.expect("no panic"), Err(Closed));
        assert_eq!(inbox.put_now(BERT, 0, 1), Err(Closed));
    }
}
