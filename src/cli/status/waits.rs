//! Why a cluster stands still: who is missing, which wait runs and how long it is, and who
//! does not reach whom. Pure, and made of the replicas' own words.

use super::health::{Row, span};
use crate::node::Status;
use crate::types::Committee;

/// In the order in which an operator wants to know it.
pub(super) fn waits(rows: &[Row], committee: Committee) -> Vec<String> {
    let missing = rows.iter().filter_map(|row| Some((row.id, row.trouble.as_ref()?)));
    let missing: Vec<String> =
        missing.map(|(id, trouble)| format!("replica {id} ({trouble})")).collect();
    let part = rows.len() - missing.len();
    let quorum = committee.quorum();
    let mut waits = Vec::new();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        waits.push(format!(
            "{part} replicas take part, and {quorum} are needed; missing: {missing}"
        ));
    }
    let told = || rows.iter().filter_map(|row| row.claims.as_ref().ok());
    waits.extend(told().map(|status| wait(status, told(), committee)));
    waits.extend(told().flat_map(|status| unreached(status, rows)));
    waits
}

/// Which wait runs at one replica.
fn wait<'a>(
    status: &Status,
    all: impl Iterator<Item = &'a Status>,
    committee: Committee,
) -> String {
    let Status { id, view, primary, .. } = status;
    let (quorum, next) = (committee.quorum(), view.saturating_add(1));
    let patience = span(status.patience_ms);
    let asking = all.filter(|other| other.is_voting() && other.view >= *view).count();
    let waiting = match status.held.waiting {
        0 => "nothing waits there".to_owned(),
        1 => "1 request waits there".to_owned(),
        count => format!("{count} requests wait there"),
    };
    if status.running != crate::node::status::RUNNING {
        return format!("replica {id} takes no steps ({}), and no timer runs", status.running);
    }
    if !status.is_voting() {
        let again = span(status.wakes_in_ms);
        let standing = &status.standing;
        return format!("replica {id} is {standing}, and asks the others again in {again}");
    }
    if !status.active && asking < quorum {
        let since = status.suspicion.as_ref().filter(|one| one.view == *view);
        let since = since
            .map_or_else(String::new, |one| format!(" since {} ({})", span(one.ago_ms), one.why));
        return format!(
            "replica {id} asks for view {view}{since}; {asking} of {quorum} that are needed do, and \
             no timer runs before; {waiting}"
        );
    }
    if !status.active {
        return format!(
            "replica {id} waits for replica {primary} to open view {view}, as {asking} ask it to; \
             {patience} after they did it asks for view {next}; {waiting}"
        );
    }
    if status.is_primary() {
        return format!(
            "replica {id} is the primary of view {view}: it needs the votes of {quorum}, and has no \
             timer for that; {waiting}"
        );
    }
    match status.held.waiting {
        0 => format!(
            "replica {id} is in view {view}, of which replica {primary} is the primary; {waiting}, \
             and no timer runs"
        ),
        _ => format!(
            "replica {id} is in view {view}; {waiting}, and {patience} after the oldest came it asks \
             for view {next}, unless replica {primary} has it executed"
        ),
    }
}

/// Those that answer us, and not this replica.
fn unreached(status: &Status, rows: &[Row]) -> Vec<String> {
    let answers = |id: u16| rows.iter().any(|row| row.id.0 == id && row.claims.is_ok());
    let lost = status.peers.iter().filter(|peer| !peer.connected && answers(peer.id));
    let told = lost.map(|peer| {
        let why = peer.reason.as_deref().unwrap_or("it has no answer yet");
        format!("replica {} does not reach replica {}: {why}", status.id, peer.id)
    });
    told.collect()
}
