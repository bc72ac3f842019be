//! A link: the connection to one replica, dialed again and again for as long as anybody
//! wants it.
//!
//! What is to be sent goes into the link's outbox, whether there is a connection or not.
//! The link knows nothing of what it carries.

use super::outbox::{Outbox, Room};
use super::{Connection, DialError, Endpoint, Refusal};
use crate::types::ReplicaId;
use bytes::Bytes;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// The shortest pause before a replica is dialed again; it doubles.
const LEAST_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause before a replica is dialed again.
const MOST_PAUSE: Duration = Duration::from_secs(2);

/// A connection that lasted so long was a good one: the next is dialed soon.
const LASTING: Duration = Duration::from_secs(2);

/// The most bytes of frames that came over one link and are not handled yet. A single
/// frame may have more.
const MOST_RECEIVED_BYTES: usize = 16 << 20;

/// A frame that came over a link. It takes its room there until this is dropped.
pub struct Received {
    /// Who sent it.
    pub from: ReplicaId,
    /// What was sent.
    pub frame: Bytes,
    _room: OwnedSemaphorePermit,
}

/// Whether a replica can be reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reach {
    /// It was not dialed yet, or not answered yet.
    Dialing,
    /// There is a connection.
    Connected,
    /// There is none, and why.
    Unreached(Arc<str>),
    /// There is none since one side does not take the other for a member, and why.
    Refused(Arc<str>),
}

/// See the module's head.
pub struct Link {
    to: ReplicaId,
    outbox: Outbox,
    reach: Mutex<Reach>,
    was_connected: AtomicBool,
    room: Arc<Semaphore>,
}

impl Link {
    /// A link that is not dialed yet.
    pub fn new(to: ReplicaId) -> Link {
        Link {
            to,
            outbox: Outbox::new(Room::UNREACHED),
            reach: Mutex::new(Reach::Dialing),
            was_connected: AtomicBool::new(false),
            room: Arc::new(Semaphore::new(MOST_RECEIVED_BYTES)),
        }
    }

    /// The replica at its other end.
    pub fn to(&self) -> ReplicaId {
        self.to
    }

    /// What waits to be sent.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Whether the replica can be reached.
    pub fn reach(&self) -> Reach {
        self.reach.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether there ever was a connection. Before that, nothing was sent.
    pub fn was_connected(&self) -> bool {
        self.was_connected.load(Ordering::SeqCst)
    }

    /// Keeps the link up, for ever. Frames that come in go to `received`; without one,
    /// nothing is expected from the other side, and whatever comes ends the connection.
    pub async fn keep(&self, endpoint: &Endpoint, received: Option<mpsc::Sender<Received>>) -> ! {
        let mut pause = LEAST_PAUSE;
        loop {
            match endpoint.dial(self.to).await {
                Ok(connection) => {
                    let since = Instant::now();
                    self.connected();
                    let why = self.carry(connection, received.as_ref()).await;
                    self.lost(Reach::Unreached(format!("the connection ended: {why}").into()));
                    if since.elapsed() >= LASTING {
                        pause = LEAST_PAUSE;
                    }
                }
                Err(error) => self.lost(reach_after(&error)),
            }
            tokio::time::sleep(jittered(pause)).await;
            pause = (pause * 2).min(MOST_PAUSE);
        }
    }

    /// Carries frames both ways until one of them ends, and tells why it did.
    async fn carry(
        &self,
        connection: Connection,
        received: Option<&mpsc::Sender<Received>>,
    ) -> String {
        let Connection { mut reader, mut writer, .. } = connection;
        let reading = async {
            loop {
                let frame = match reader.next().await {
                    Ok(Some(frame)) => frame,
                    Ok(None) => return "the other side closed it".to_owned(),
                    Err(error) => return error.to_string(),
                };
                let Some(received) = received else {
                    return "the other side sent something where nothing belongs".to_owned();
                };
                if received.send(self.received(frame).await).await.is_err() {
                    return "this side is being closed".to_owned();
                }
            }
        };
        let writing = async {
            loop {
                let frames = self.outbox.take().await;
                if let Err(error) = writer.write(&frames).await {
                    return error.to_string();
                }
            }
        };
        tokio::select! {
            why = reading => why,
            why = writing => why,
        }
    }

    /// A frame, as soon as there is room for it.
    async fn received(&self, frame: Bytes) -> Received {
        let bytes = u32::try_from(frame.len().min(MOST_RECEIVED_BYTES)).expect("not so many");
        let room = Arc::clone(&self.room).acquire_many_owned(bytes).await;
        Received { from: self.to, frame, _room: room.expect("nobody closes it") }
    }

    pub(crate) fn connected(&self) {
        tracing::info!(replica = self.to.0, "connected");
        self.was_connected.store(true, Ordering::SeqCst);
        self.outbox.resize(Room::PEER);
        self.set(Reach::Connected);
    }

    /// Says why once, and not again at each attempt.
    fn lost(&self, reach: Reach) {
        if self.reach() == reach {
            return;
        }
        if let Reach::Unreached(why) | Reach::Refused(why) = &reach {
            tracing::info!(replica = self.to.0, %why, "not connected");
        }
        self.outbox.resize(Room::UNREACHED);
        self.set(reach);
    }

    fn set(&self, reach: Reach) {
        *self.reach.lock().unwrap_or_else(PoisonError::into_inner) = reach;
    }
}

/// What a failed attempt says of the way there.
pub(crate) fn reach_after(error: &DialError) -> Reach {
    let why = error.to_string().into();
    match error {
        DialError::Unknown(_) | DialError::Unreachable { .. } => Reach::Unreached(why),
        DialError::Refused { refusal, .. } => match refusal {
            // These pass.
            Refusal::Broken(_)
            | Refusal::Slow
            | Refusal::Evicted
            | Refusal::TooManyOfOne(..)
            | Refusal::TooMany(_)
            | Refusal::TooOften(_) => Reach::Unreached(why),
            _ => Reach::Refused(why),
        },
    }
}

/// Between half of a pause and all of it, so that not everybody dials at one moment.
fn jittered(pause: Duration) -> Duration {
    let chance = getrandom::u32().unwrap_or(u32::MAX);
    pause / 2 + pause.mul_f64(f64::from(chance) / f64::from(u32::MAX) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    /// K1: a replica that sends more than is taken fills its own room, and no memory.
    #[test]
    fn what_is_not_handled_yet_is_bounded_in_bytes() {
        let link = Link::new(ReplicaId(1));
        let frame = Bytes::from(vec![0; MOST_RECEIVED_BYTES / 2]);
        let mut context = Context::from_waker(Waker::noop());
        let mut receive =
            |bytes: &Bytes| match pin!(link.received(bytes.clone())).poll(&mut context) {
                Poll::Ready(received) => Some(received),
                Poll::Pending => None,
            };
        let first = receive(&frame).expect("there is room");
        let second = receive(&frame).expect("there is room");
        assert!(receive(&Bytes::from_static(b"x")).is_none());
        drop(first);
        assert!(receive(&Bytes::from_static(b"x")).is_some());
        drop(second);
        let larger = Bytes::from(vec![0; MOST_RECEIVED_BYTES + 1]);
        assert_eq!(receive(&larger).expect("it is alone").frame.len(), larger.len());
    }
}
