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
            "{} part, and {quorum} are needed; missing: {missing}",
            if part == 1 { "1 replica takes".to_owned() } else { format!("{part} replicas take") }
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
    let ends = status.timer.as_ref().map(|timer| match timer.in_ms {
        0 => "any moment".to_owned(),
        ms => format!("in {}", span(ms)),
    });
    let asking = all.filter(|other| other.is_voting() && other.view >= *view).count();
    let waiting = match status.held.waiting {
        0 => "nothing waits there".to_owned(),
        1 => "1 request waits there".to_owned(),
        count => format!("{count} requests wait there"),
    };
    if status.running != crate::node::status::RUNNING {
        return format!("replica {id} takes no steps ({}), and no timer runs", status.running);
    }
    if status.stands_still() {
        let age = span(status.age_ms);
        return format!("replica {id} has taken no step for {age}, and no timer runs");
    }
    if !status.is_voting() {
        let again = span(status.wakes_in_ms);
        let standing = &status.standing;
        return format!("replica {id} is {standing}, and asks the others again in {again}");
    }
    if !status.active && asking < quorum {
        let since = status.suspicion.as_ref().filter(|one| one.view == *view);
        let since = since
            .map_or_else(String::new, |one| format!(" for {} ({})", span(one.ago_ms), one.why));
        return format!(
            "replica {id} has asked for view {view}{since}; {asking} of {quorum} that are needed do, and \
             no timer runs before; {waiting}"
        );
    }
    if !status.active {
        let ends = ends
            .unwrap_or_else(|| format!("{} after it hears of them all", span(status.patience_ms)));
        return format!(
            "replica {id} waits for replica {primary} to open view {view}, as {asking} ask it to; \
             it gives that up and asks for view {next} {ends}; {waiting}"
        );
    }
    if status.is_primary() {
        return format!(
            "replica {id} is the primary of view {view}: it needs the votes of {quorum}, and has no \
             timer for that; {waiting}"
        );
    }
    match ends {
        None => format!(
            "replica {id} is in view {view}, of which replica {primary} is the primary; {waiting}, \
             and no timer runs"
        ),
        Some(ends) => format!(
            "replica {id} is in view {view}; {waiting}; it suspects replica {primary}, the primary, \
             and asks for view {next} {ends}, unless something is executed before"
        ),
    }
}

/// Those that answer us, and not this replica. A liar may name them without end.
fn unreached(status: &Status, rows: &[Row]) -> Vec<String> {
    let answers = |id: u16| rows.iter().any(|row| row.id.0 == id && row.claims.is_ok());
    let lost = status.peers.iter().filter(|peer| !peer.connected && answers(peer.id));
    let lost = lost.take(rows.len());
    let told = lost.map(|peer| {
        let why = peer.reason.as_deref().unwrap_or("it has no answer yet");
        format!("replica {} does not reach replica {}: {why}", status.id, peer.id)
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Silence;
    use crate::node::status::tests::said;
    use crate::types::ReplicaId;
    use serde_json::{Value, json};

    const COMMITTEE: usize = 4;

    fn row(id: u16, but_for: Value) -> Row {
        let status = said(id, &but_for);
        Row {
            id: ReplicaId(id),
            claims: Ok(status),
            proved: Ok(0),
            trouble: None,
            suspicion: None,
            lag: None,
            seen_ms: None,
        }
    }

    fn gone(id: u16) -> Row {
        let silence = Silence { why: "it is gone".to_owned(), is_refusal: false };
        Row { claims: Err(silence), trouble: Some("not reached".to_owned()), ..row(id, json!({})) }
    }

    fn held(waiting: usize) -> Value {
        json!({
            "slots": 0, "prepared": 0, "decided": 0, "bodies": 0, "waiting": waiting, "promises": 0,
        })
    }

    fn told(rows: &[Row]) -> Vec<String> {
        let size = u16::try_from(COMMITTEE).expect("small");
        waits(rows, Committee::new(size).expect("enough"))
    }

    #[test]
    fn one_that_is_left_is_told_of_as_one() {
        let told = told(&[row(0, json!({})), gone(1), gone(2), gone(3)]);
        assert!(told[0].starts_with("1 replica takes part, and 3 are needed"), "{}", told[0]);
    }

    #[test]
    fn a_wish_that_too_few_share_has_no_timer() {
        let asks = json!({
            "view": 1, "active": false, "primary": 1, "held": held(2),
            "suspicion": {"view": 1, "why": "nothing was executed", "ago_ms": 3_000},
        });
        let told = told(&[row(0, json!({})), row(1, asks), gone(2), gone(3)]);
        assert_eq!(
            told[0],
            "2 replicas take part, and 3 are needed; missing: replica 2 (not reached), replica 3 \
             (not reached)"
        );
        assert_eq!(
            told[2],
            "replica 1 has asked for view 1 for 3.0 s (nothing was executed); 1 of 3 that are needed \
             do, and no timer runs before; 2 requests wait there"
        );
    }

    #[test]
    fn who_waits_for_an_opening_says_for_how_long() {
        let asks = |in_ms: u64| {
            let timer = json!({"suspects": 1, "asks_for": 2, "in_ms": in_ms});
            json!({"view": 1, "active": false, "primary": 1, "timer": timer})
        };
        let unheard = json!({"view": 1, "active": false, "primary": 1});
        let told = told(&[row(0, asks(800)), gone(1), row(2, asks(0)), row(3, unheard)]);
        for (line, when) in [(1, "in 800 ms"), (2, "any moment"), (3, "2.0 s after it hears of")] {
            let wanted = format!(
                "waits for replica 1 to open view 1, as 3 ask it to; it gives that up and asks for \
                 view 2 {when}"
            );
            assert!(told[line].contains(&wanted), "{told:?}");
        }
    }

    #[test]
    fn a_backup_with_requests_says_when_it_suspects_the_primary() {
        let timer = json!({"suspects": 0, "asks_for": 1, "in_ms": 1_250});
        let waits = json!({"held": held(1), "timer": timer});
        let told = told(&[row(0, json!({})), row(1, waits), gone(2), gone(3)]);
        assert!(told[1].contains("has no timer"), "{told:?}");
        assert!(
            told[2].contains(
                "1 request waits there; it suspects replica 0, the primary, and asks for view 1 in \
                 1.2 s"
            ),
            "{told:?}"
        );
    }

    #[test]
    fn who_takes_no_steps_has_no_timer() {
        let timer = json!({"suspects": 0, "asks_for": 1, "in_ms": 0});
        let hangs = json!({"held": held(1), "timer": timer, "age_ms": 12_000, "wakes_in_ms": 0});
        let told = told(&[row(0, json!({})), row(1, hangs), gone(2), gone(3)]);
        assert!(told[2].contains("has taken no step for 12.0 s, and no timer runs"), "{told:?}");
    }

    #[test]
    fn who_does_not_want_to_act_yet_does_not_hang() {
        let rests = json!({"age_ms": 12_000, "wakes_in_ms": 3_000});
        let told = told(&[row(0, json!({})), row(1, rests), gone(2), gone(3)]);
        assert!(!told[2].contains("has taken no step"), "{told:?}");
    }

    #[test]
    fn who_names_others_without_end_is_cut_short() {
        let peer = json!({
            "id": 0, "connected": false, "reason": "a wall", "seen_ms": null,
            "view": null, "executed": null, "stable": null,
        });
        let lies = json!({ "peers": vec![peer; 1_000] });
        let told = told(&[row(0, json!({})), row(1, lies), gone(2), gone(3)]);
        assert!(told.len() < 10, "{} lines", told.len());
    }

    #[test]
    fn those_who_do_not_reach_each_other_are_named() {
        let peer = |id: u16, connected: bool| {
            json!({
                "id": id, "connected": connected, "reason": "a wall", "seen_ms": null,
                "view": null, "executed": null, "stable": null,
            })
        };
        let walled = json!({"peers": [peer(0, false), peer(2, true), peer(3, false)]});
        let told = told(&[row(0, json!({})), row(1, walled), row(2, json!({})), gone(3)]);
        assert_eq!(told.last().expect("some"), "replica 1 does not reach replica 0: a wall");
    }
}
