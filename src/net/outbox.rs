//! What waits to be written to one connection: a bounded queue that never makes anybody
//! wait. When it is full, the oldest goes; the protocol tells again what was lost.

use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The most frames written at once.
const MOST_WRITTEN: usize = 512;

/// The most bytes written at once. A single frame may have more.
const MOST_WRITTEN_BYTES: usize = 1 << 20;

/// How much may wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    /// In frames.
    pub frames: usize,
    /// In bytes. A single frame may have more.
    pub bytes: usize,
}

impl Room {
    /// For the messages to one peer that can be reached.
    pub const PEER: Room = Room { frames: 16_384, bytes: 64 << 20 };
    /// For the messages to one that can't be, now.
    pub const UNREACHED: Room = Room { frames: 1_024, bytes: 4 << 20 };
    /// For the answers to one client.
    pub const CLIENT: Room = Room { frames: 4_096, bytes: 8 << 20 };
}

struct Queue {
    frames: VecDeque<Bytes>,
    bytes: usize,
    room: Room,
    dropped: u64,
}

/// See the module's head.
pub struct Outbox {
    queue: Mutex<Queue>,
    filled: Notify,
}

impl Outbox {
    /// An empty one.
    pub fn new(room: Room) -> Outbox {
        let queue = Queue { frames: VecDeque::new(), bytes: 0, room, dropped: 0 };
        Outbox { queue: Mutex::new(queue), filled: Notify::new() }
    }

    /// Adds a frame, in place of the oldest ones where there is no room.
    pub fn push(&self, frame: Bytes) {
        let mut queue = self.lock();
        queue.make_room(1, frame.len());
        queue.bytes += frame.len();
        queue.frames.push_back(frame);
        drop(queue);
        self.filled.notify_one();
    }

    /// Gives it more room or less.
    pub fn resize(&self, room: Room) {
        let mut queue = self.lock();
        queue.room = room;
        queue.make_room(0, 0);
    }

    /// Throws away all that waits.
    pub fn clear(&self) {
        let mut queue = self.lock();
        queue.frames.clear();
        queue.bytes = 0;
    }

    /// Takes the oldest frames, as many as are written at once, and waits for the first.
    /// For one taker.
    pub async fn take(&self) -> Vec<Bytes> {
        loop {
            let taken = self.lock().take();
            if !taken.is_empty() {
                return taken;
            }
            self.filled.notified().await;
        }
    }

    /// How many frames wait, and how many bytes.
    pub fn depth(&self) -> (usize, usize) {
        let queue = self.lock();
        (queue.frames.len(), queue.bytes)
    }

    /// How many frames were dropped for lack of room, ever.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn make_room(&mut self, frames: usize, bytes: usize) {
        let is_over = |queue: &Queue| {
            queue.frames.len() + frames > queue.room.frames
                || queue.bytes + bytes > queue.room.bytes
        };
        while is_over(self) {
            let Some(oldest) = self.frames.pop_front() else { return };
            self.bytes -= oldest.len();
            self.dropped += 1;
        }
    }

    fn take(&mut self) -> Vec<Bytes> {
        let mut bytes = 0;
        let mut count = 0;
        for frame in self.frames.iter().take(MOST_WRITTEN) {
            bytes += frame.len();
            if count > 0 && bytes > MOST_WRITTEN_BYTES {
                break;
            }
            count += 1;
        }
        let taken: Vec<Bytes> = self.frames.drain(..count).collect();
        self.bytes -= taken.iter().map(Bytes::len).sum::<usize>();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(bytes: usize) -> Bytes {
        Bytes::from(vec![u8::try_from(bytes % 256).expect("a byte"); bytes])
    }

    /// X6
    #[tokio::test]
    async fn the_oldest_make_room() {
        let outbox = Outbox::new(Room { frames: 2, bytes: 100 });
        (1..=3).for_each(|bytes| outbox.push(frame(bytes)));
        assert_eq!(outbox.take().await, [frame(2), frame(3)]);
        assert_eq!(outbox.dropped(), 1);
        outbox.push(frame(60));
        outbox.push(frame(50));
        assert_eq!(outbox.depth(), (1, 50));
    }

    #[tokio::test]
    async fn a_frame_larger_than_all_room_is_sent_alone() {
        let outbox = Outbox::new(Room { frames: 2, bytes: 100 });
        outbox.push(frame(1));
        outbox.push(frame(200));
        assert_eq!(outbox.take().await, [frame(200)]);
    }

    #[tokio::test]
    async fn less_room_drops_what_was_kept() {
        let outbox = Outbox::new(Room { frames: 10, bytes: 100 });
        (1..=5).for_each(|bytes| outbox.push(frame(bytes)));
        outbox.resize(Room { frames: 2, bytes: 100 });
        assert_eq!(outbox.take().await, [frame(4), frame(5)]);
    }

    #[tokio::test]
    async fn little_is_written_together_and_much_in_pieces() {
        let outbox = Outbox::new(Room::PEER);
        (0..3).for_each(|_| outbox.push(frame(MOST_WRITTEN_BYTES / 2)));
        assert_eq!(outbox.take().await.len(), 2);
        assert_eq!(outbox.take().await.len(), 1);
        assert_eq!(outbox.depth(), (0, 0));
    }
}
