//! § Normal case, 6: who replies to a client, and who leaves it to others.

use crate::support::Solo;
use crate::world::parameters;
use quorate::replica::{Outgoing, Settings};
use quorate::types::ClientId;

fn settings() -> Settings {
    Settings { spared_from: 1, ..Settings::default() }
}

/// How often a replica tells this client of number 1 when that is executed.
fn replies(solo: &mut Solo, seq: u64, client: u32) -> usize {
    let request = solo.write(client, seq);
    let batch = solo.batch_of(&[&request]);
    let out = solo.decide(0, seq, &batch);
    let is_it = |one: &&Outgoing| matches!(one, Outgoing::Client(id, _) if *id == ClientId(client));
    out.bound.iter().filter(is_it).count()
}

/// As many reply to each client as it believes: the primary, and all backups but those that
/// can be spared. Of two clients not the same.
#[test]
fn no_more_reply_than_are_believed_and_others_to_the_next_client() {
    for client in 0..4 {
        let told: Vec<usize> = (0..4)
            .map(|id| {
                let mut solo = Solo::with(4, id, parameters(), settings());
                replies(&mut solo, 1, client)
            })
            .collect();
        let spared = [1 + client as usize % 3, 1 + (client as usize + 1) % 3];
        let expected: Vec<usize> = (0..4).map(|id| usize::from(!spared.contains(&id))).collect();
        assert_eq!(told, expected);
    }
}

/// K2, K11: whoever asks a replica itself is told what it keeps; and what comes soon after, at
/// once.
#[test]
fn whoever_asks_is_told_and_goes_on_being_told_for_a_while() {
    let mut solo = Solo::with(4, 1, parameters(), settings());
    assert_eq!(replies(&mut solo, 1, 0), 0);
    let again = solo.write(0, 1);
    assert_eq!(solo.submit(&again).bound.len(), 1, "the kept reply");
    assert_eq!(replies(&mut solo, 2, 0), 1);
    solo.pass(settings().replies_for);
    assert_eq!(replies(&mut solo, 3, 0), 0);
}

/// K11: a request that is shown as soon as it is made says nothing of replies that are missing.
#[test]
fn whoever_only_shows_a_request_is_told_no_more_than_others() {
    for is_proposed in [false, true] {
        let mut solo = Solo::with(4, 1, parameters(), settings());
        let request = solo.write(0, 1);
        if is_proposed {
            let batch = solo.batch_of(&[&request]);
            solo.propose(0, 1, &batch);
        }
        solo.submit(&request);
        assert_eq!(replies(&mut solo, 1, 0), usize::from(is_proposed));
    }
}

/// What was refused where it was ordered is kept by nobody: everybody tells it.
#[test]
fn what_is_kept_by_nobody_is_told_by_everybody() {
    let mut solo = Solo::with(4, 1, parameters(), settings());
    let window = solo.genesis.parameters.client_window;
    let beyond = solo.request(0, window + 1, 0, &[b"x"]);
    let batch = solo.batch_of(&[&beyond]);
    assert_eq!(solo.decide(0, 1, &batch).bound.len(), 1);
}

/// A batch of few requests is not worth it.
#[test]
fn of_a_small_batch_all_tell() {
    let mut solo = Solo::with(4, 1, parameters(), Settings { spared_from: 2, ..settings() });
    assert_eq!(replies(&mut solo, 1, 0), 1);
    let requests = [0, 3, 1].map(|client| solo.write(client, 2));
    let batch = solo.batch_of(&requests.each_ref());
    assert_eq!(solo.decide(0, 2, &batch).bound.len(), 1, "to the second client alone");
}
