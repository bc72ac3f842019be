//! Who is connected, and how many of each may be.

use crate::net::directory::Party;
use crate::net::limits::Limits;
use crate::net::refusal::Refusal;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// So many seconds' worth of connections may come at once.
const BURST: Duration = Duration::from_secs(4);

/// The places of one node.
pub(crate) struct Places {
    limits: Limits,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    next: u64,
    parties: BTreeMap<Party, OfOne>,
    clients: usize,
}

#[derive(Default)]
struct OfOne {
    open: BTreeMap<u64, watch::Sender<bool>>,
    /// When the rate allows the connections made so far.
    paid_until: Option<Instant>,
}

/// A connection's place. It is given back when this is dropped.
pub(crate) struct Seat {
    places: Arc<Places>,
    party: Party,
    number: u64,
    replaced: watch::Receiver<bool>,
}

impl Places {
    pub fn new(limits: Limits) -> Places {
        Places { limits, taken: Mutex::default() }
    }

    /// A place for one more connection of this party. A replica's newest takes the
    /// place of its older ones (X5); clients may have several.
    pub fn take(self: &Arc<Places>, party: Party, now: Instant) -> Result<Seat, Refusal> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = &mut *taken;
        let is_client = matches!(party, Party::Client(_));
        if is_client && taken.clients >= self.limits.client_connections {
            return Err(Refusal::TooMany(taken.clients));
        }
        let one = taken.parties.entry(party).or_default();
        if is_client && one.open.len() >= self.limits.connections_per_client {
            return Err(Refusal::TooManyOfOne(party, one.open.len()));
        }
        one.pay(self.rate_of(party), now).ok_or(Refusal::TooOften(party))?;
        if !is_client {
            for older in one.open.values() {
                older.send_replace(true);
            }
        }
        let (sender, replaced) = watch::channel(false);
        let number = taken.next;
        taken.next += 1;
        one.open.insert(number, sender);
        taken.clients += usize::from(is_client);
        Ok(Seat { places: Arc::clone(self), party, number, replaced })
    }

    fn rate_of(&self, party: Party) -> u32 {
        match party {
            Party::Replica(_) => self.limits.replica_rate,
            Party::Client(_) => self.limits.client_rate,
        }
    }

    /// How many connections are open now, made by others to us.
    pub fn open(&self) -> usize {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.parties.values().map(|one| one.open.len()).sum()
    }
}

impl OfOne {
    fn pay(&mut self, rate: u32, now: Instant) -> Option<()> {
        let cost = BURST.checked_div(rate.saturating_mul(4)).unwrap_or(BURST);
        let until = self.paid_until.map_or(now, |until| until.max(now)) + cost;
        (until <= now + BURST).then(|| self.paid_until = Some(until))
    }
}

impl Seat {
    /// Waits until a newer connection takes this place.
    pub async fn replaced(&self) {
        let mut replaced = self.replaced.clone();
        if replaced.wait_for(|is_replaced| *is_replaced).await.is_err() {
            std::future::pending().await
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(one) = taken.parties.get_mut(&self.party) {
            one.open.remove(&self.number);
        }
        taken.clients -= usize::from(matches!(self.party, Party::Client(_)));
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Seat({} of {})", self.number, self.party)
    }
}
