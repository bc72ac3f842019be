//! § Clients.

use crate::support::Solo;
use crate::world::parameters;
use quorate::replica::Settings;
use quorate::service::State;
use quorate::service::kv::KeyValue;
use quorate::types::{ClientId, Seq};
use std::sync::Arc;

/// A replica restored at number 8 from a state in which client 3 is off the list.
pub fn with_client_three_unlisted(id: u16) -> Solo {
    let mut solo = Solo::with(4, id, parameters(), Settings::default());
    solo.advance_to(8);
    let tree = solo.disk.states[&Seq(8)].clone();
    let mut state = State::from_tree(Arc::new(KeyValue), tree).expect("its own state");
    state.unlist_client(ClientId(3), Seq(8));
    let mut other = Solo::before_start(4, id, parameters(), Settings::default());
    other.disk.states.insert(Seq(8), state.tree().clone());
    let _ = other.start(false);
    let _ = other.answer_start();
    assert_eq!(other.executed(), 8);
    other
}
