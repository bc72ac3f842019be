//! A thread that checks what clients signed in large batches, beside the loop: meanwhile
//! that goes on with the votes about others.

use super::inbox::Inbox;
use super::owner::Arrival;
use crate::crypto::Listed;
use crate::message::{Unchecked, Verifier};
use std::sync::{Arc, mpsc};

/// Batches with so many signatures together are checked on the loop: to wake another thread
/// would cost as much.
const MOST_AT_ONCE: usize = 16;

/// The loop's end of it. What waits here is bounded, since the replica has no more checked at
/// a time than there are numbers in its window.
pub(super) struct Checking {
    waiting: mpsc::Sender<Vec<Unchecked>>,
}

impl Checking {
    /// Starts the thread. It ends with the loop.
    pub(super) fn start(
        name: String,
        verifier: Arc<Verifier<Listed>>,
        inbox: Arc<Inbox<Arrival>>,
    ) -> std::io::Result<Checking> {
        let (waiting, batches) = mpsc::channel::<Vec<Unchecked>>();
        let work = move || {
            for batches in batches {
                let checked = verifier.check_all(batches);
                checked.into_iter().for_each(|one| inbox.put_urgent(Arrival::Checked(one)));
            }
        };
        std::thread::Builder::new().name(name).spawn(work)?;
        Ok(Checking { waiting })
    }

    /// Has batches checked, if they are worth it; or gives them back.
    pub(super) fn take(&self, batches: Vec<Unchecked>) -> Vec<Unchecked> {
        let signatures: usize = batches.iter().map(Unchecked::signatures).sum();
        match signatures > MOST_AT_ONCE {
            // The thread ends only after this does.
            true => self.waiting.send(batches).map_or_else(|back| back.0, |()| Vec::new()),
            false => batches,
        }
    }
}
