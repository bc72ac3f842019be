//! What follows from what the replicas say: whether the cluster serves, what it can lose, and
//! what is to be done. Pure.

use super::super::evidence::unhex;
use super::waits::waits;
use crate::client::{Silence, Told};
use crate::crypto::Ed25519;
use crate::message::{CheckpointCertificate, Verifier};
use crate::node::Status;
use crate::node::status::backed;
use crate::types::{Committee, ReplicaId};
use crate::wire;
use std::collections::{BTreeMap, BTreeSet};

/// What a replica does that is too far behind.
const FETCHING: &str = "fetching the state";

/// What a replica does that takes no steps, and does not say why.
const HANGS: &str = "hangs";

/// What a replica does whose certificate proves nothing.
const SHOWS_A_FALSE_CERTIFICATE: &str = "shows a false certificate";

/// What to do while views change.
const CHANGING: &str = "wait: views change by themselves, with a patience that doubles each time; \
     if that does not end, see above who does not reach whom, and compare the replicas' clocks and \
     logs";

/// Whether the cluster serves clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// All replicas take part.
    Healthy,
    /// A quorum takes part, and not all.
    Reduced,
    /// Enough could take part, and are not in one view.
    ChangingViews,
    /// Too few can take part.
    NoQuorum,
}

impl Verdict {
    pub(super) fn name(self) -> &'static str {
        match self {
            Verdict::Healthy => "healthy",
            Verdict::Reduced => "reduced",
            Verdict::ChangingViews => "changing views",
            Verdict::NoQuorum => "no quorum",
        }
    }

    pub(super) fn serves(self) -> bool {
        matches!(self, Verdict::Healthy | Verdict::Reduced)
    }

    /// Whether it is about to serve, if all goes well.
    pub(super) fn may_pass(self) -> bool {
        self == Verdict::ChangingViews
    }
}

/// One replica, as it seems from here.
pub(super) struct Row {
    pub(super) id: ReplicaId,
    /// What it says of itself, or why it says nothing.
    pub(super) claims: Result<Status, Silence>,
    /// The checkpoint that its certificate proves, checked here; why not, if it shows one
    /// that proves nothing.
    pub(super) proved: Result<u64, String>,
    /// Why it does not take part; nothing if it does.
    pub(super) trouble: Option<String>,
    /// Why and for what it last asked for another view.
    pub(super) suspicion: Option<String>,
    /// How many numbers it is behind what an honest one has executed; none if too few answer
    /// to have one among them for sure.
    pub(super) lag: Option<u64>,
    /// How long ago anybody heard of it, in milliseconds, by their words.
    pub(super) seen_ms: Option<u64>,
}

/// The whole.
pub(super) struct Health {
    pub(super) verdict: Verdict,
    pub(super) committee: Committee,
    /// How many take part.
    pub(super) taking_part: usize,
    pub(super) rows: Vec<Row>,
    /// What stands still, and until when.
    pub(super) waits: Vec<String>,
    /// What to do.
    pub(super) advice: Vec<String>,
}

impl Health {
    /// What follows from these answers. The convicted are those of whom there is evidence.
    pub(super) fn of(
        told: Told<Status>,
        convicted: &BTreeSet<ReplicaId>,
        verifier: &Verifier<Ed25519>,
        committee: Committee,
        addresses: &BTreeMap<ReplicaId, String>,
    ) -> Health {
        let executed = told.values().flatten().map(|status| status.executed);
        let furthest = backed(executed, committee.faults());
        let heard = heard_by_others(&told);
        let row = |(id, claims): (ReplicaId, Result<Status, Silence>)| {
            let proved = proved(&claims, verifier);
            let behind = |(one, most): (&Status, u64)| most.saturating_sub(one.executed);
            Row {
                id,
                trouble: trouble(id, &claims, &proved, convicted.contains(&id)),
                suspicion: claims.as_ref().ok().and_then(suspicion),
                lag: claims.as_ref().ok().zip(furthest).map(behind),
                seen_ms: claims.as_ref().map_or(heard.get(&id).copied(), |_| Some(0)),
                proved,
                claims,
            }
        };
        let rows: Vec<Row> = told.into_iter().map(row).collect();
        let taking_part = rows.iter().filter(|row| row.trouble.is_none()).count();
        let verdict = verdict(&rows, taking_part, committee);
        let quorum = committee.quorum();
        let advice = rows.iter().filter_map(|row| advice(row, addresses, quorum));
        let mut advice: Vec<String> = advice.collect();
        if verdict == Verdict::ChangingViews {
            advice.push(CHANGING.to_owned());
        }
        let waits = match verdict.serves() {
            true => Vec::new(),
            false => waits(&rows, committee),
        };
        Health { verdict, committee, taking_part, rows, waits, advice }
    }

    /// How many more may fail before nothing is served.
    pub(super) fn can_lose(&self) -> usize {
        self.taking_part.saturating_sub(self.committee.quorum())
    }

    /// How many say that they vote, liars among them.
    fn answering(&self) -> usize {
        let told = self.rows.iter().filter_map(|row| row.claims.as_ref().ok());
        told.filter(|status| status.is_voting()).count()
    }

    /// What an operator asks first.
    pub(super) fn headline(&self) -> String {
        let (size, quorum) = (self.committee.size(), self.committee.quorum());
        let part = self.taking_part;
        let more = match self.can_lose() {
            0 => "none".to_owned(),
            more => format!("{more} more"),
        };
        let take = if part == 1 { "takes" } else { "take" };
        match self.verdict {
            Verdict::Healthy => {
                format!("healthy: all {size} replicas take part; can lose {more}")
            }
            Verdict::Reduced => {
                format!("serving: {part} of {size} replicas take part; can lose {more}")
            }
            Verdict::ChangingViews => format!(
                "NOT SERVING NOW: {part} of {size} replicas could take part, but fewer than \
                 {quorum} are in one view; they are changing views"
            ),
            Verdict::NoQuorum if self.answering() >= quorum => format!(
                "BEYOND WHAT IT BEARS: {part} of {size} replicas {take} part honestly, and {quorum} \
                 are needed; what is served rests on one that lies"
            ),
            Verdict::NoQuorum => {
                format!(
                    "NOT SERVING: {part} of {size} replicas {take} part, and {quorum} are needed"
                )
            }
        }
    }
}

fn verdict(rows: &[Row], taking_part: usize, committee: Committee) -> Verdict {
    if taking_part < committee.quorum() {
        return Verdict::NoQuorum;
    }
    let mut views: BTreeMap<u64, usize> = BTreeMap::new();
    let sound = rows.iter().filter(|row| row.trouble.is_none());
    for status in sound.filter_map(|row| row.claims.as_ref().ok()).filter(|one| one.active) {
        *views.entry(status.view).or_default() += 1;
    }
    let together = views.values().copied().max().unwrap_or(0);
    match together >= committee.quorum() {
        false => Verdict::ChangingViews,
        true if taking_part == committee.size() => Verdict::Healthy,
        true => Verdict::Reduced,
    }
}

fn proved(claims: &Result<Status, Silence>, verifier: &Verifier<Ed25519>) -> Result<u64, String> {
    let Ok(Status { stable_certificate: Some(hex), .. }) = claims else { return Ok(0) };
    let bytes = unhex(hex).ok_or("its certificate is not written in hexadecimal digits")?;
    let certificate: CheckpointCertificate = wire::decode(&bytes, wire::MOST_BYTES)
        .map_err(|error| format!("its certificate cannot be read: {error}"))?;
    let certificate = verifier.certificate(certificate);
    let certificate =
        certificate.map_err(|reject| format!("its certificate proves nothing: {reject:?}"))?;
    Ok(certificate.seq().0)
}

/// Why a replica does not take part.
fn trouble(
    id: ReplicaId,
    claims: &Result<Status, Silence>,
    proved: &Result<u64, String>,
    is_convicted: bool,
) -> Option<String> {
    let status = match claims {
        Ok(status) => status,
        Err(Silence { is_refusal: true, .. }) => return Some("refuses us".to_owned()),
        Err(_) => return Some("not reached".to_owned()),
    };
    if is_convicted {
        return Some("caught lying".to_owned());
    }
    if proved.is_err() {
        return Some(SHOWS_A_FALSE_CERTIFICATE.to_owned());
    }
    if let Some(behaviour) = &status.malicious {
        return Some(format!("lies: {behaviour}"));
    }
    if status.id != id.0 {
        return Some(format!("says it is replica {}", status.id));
    }
    if status.running != crate::node::status::RUNNING {
        return Some(status.running.clone());
    }
    if status.stands_still() {
        return Some(HANGS.to_owned());
    }
    if !status.is_voting() {
        return Some(status.standing.clone());
    }
    if status.diverged {
        return Some("wrong state".to_owned());
    }
    if status.transferring {
        return Some(FETCHING.to_owned());
    }
    if let Some(why) = &status.unsaved {
        return Some(why.clone());
    }
    None
}

fn suspicion(status: &Status) -> Option<String> {
    let one = status.suspicion.as_ref()?;
    let ago = span(one.ago_ms);
    Some(format!("view {} {ago} ago: {}", one.view, one.why))
}

fn heard_by_others(told: &Told<Status>) -> BTreeMap<ReplicaId, u64> {
    let mut heard: BTreeMap<ReplicaId, u64> = BTreeMap::new();
    for peer in told.values().flatten().flat_map(|status| &status.peers) {
        if let Some(seen) = peer.seen_ms {
            let latest = heard.entry(ReplicaId(peer.id)).or_insert(u64::MAX);
            *latest = seen.min(*latest);
        }
    }
    heard
}

/// What to do about a replica that does not take part.
fn advice(row: &Row, addresses: &BTreeMap<ReplicaId, String>, quorum: usize) -> Option<String> {
    let id = row.id;
    let trouble = row.trouble.as_ref()?;
    Some(match &row.claims {
        Err(Silence { why, is_refusal: true }) => format!("replica {id} and we: {why}"),
        Err(why) => {
            let address = addresses.get(&id).map_or("its address", String::as_str);
            format!("start replica {id}, or mend the way to {address}: {why}")
        }
        Ok(_) if trouble == SHOWS_A_FALSE_CERTIFICATE => {
            let why = row.proved.as_ref().err().map_or("it proves nothing", String::as_str);
            format!("replica {id} {trouble} ({why}): stop it, and find out who runs it")
        }
        Ok(status) if status.running != crate::node::status::RUNNING => {
            format!("replica {id}: {}", helps(&status.running))
        }
        Ok(_) if trouble == HANGS => format!(
            "replica {id} answers, and takes no steps: most likely its disk hangs; see to that, and \
             to its log"
        ),
        Ok(status) if status.standing == "starting" => format!(
            "replica {id} asks the others what they know of it before it votes; if that does not \
             end, bring up those that are missing"
        ),
        Ok(status) if status.standing == "recovering" => format!(
            "replica {id} comes back in a new life: wait; that takes some checkpoints, which come by \
             themselves while {quorum} others take part"
        ),
        Ok(status) if status.standing == "halted" => format!(
            "replica {id}: its disk was lost or has gone back in time, or it runs twice; see to \
             it that no other process runs with its keys, then start it once with \
             'quorate node --recover'"
        ),
        Ok(status) if status.diverged => {
            format!(
                "replica {id} found its state wrong, and fetches it anew: wait, and look at its log"
            )
        }
        Ok(_) if trouble == FETCHING => format!(
            "replica {id} was too far behind, and fetches the state: wait; if that does not end, \
             look at its log"
        ),
        Ok(Status { unsaved: Some(why), .. }) if trouble == why => {
            format!("replica {id} cannot write its checkpoints: {}", helps(why))
        }
        Ok(_) => format!(
            "replica {id}: {trouble}; see 'quorate evidence list', stop it, and find out who runs it \
             or whether it runs twice"
        ),
    })
}

/// What helps a replica that cannot write.
fn helps(why: &str) -> &'static str {
    match why {
        "disk full" => "its disk is full; make room, and it goes on by itself",
        "disk read-only" => {
            "its disk is read-only; see to the disk, mount it writable, and it goes on by itself"
        }
        _ => "it has stopped; its log says why",
    }
}

/// Milliseconds that people read.
pub(in crate::cli) fn span(ms: u64) -> String {
    match ms {
        ms if ms < 1_000 => format!("{ms} ms"),
        ms if ms < 60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        ms if ms < 3_600_000 => format!("{} min", ms / 60_000),
        ms => format!("{} h", ms / 3_600_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SecretKey;
    use crate::message::{Genesis, Parameters};
    use crate::node::status::tests::said;
    use serde_json::{Value, json};

    /// What follows from what four replicas say, each like any other but for these fields.
    fn health(but_for: [Value; 4]) -> Health {
        let keys = |seeds: std::ops::Range<u8>| {
            seeds.map(|seed| SecretKey::from_seed(&[seed; 32]).public()).collect()
        };
        let genesis = Genesis {
            name: b"story".to_vec().into(),
            replicas: keys(0..4),
            clients: keys(9..10),
            parameters: Parameters::default(),
        };
        let genesis = genesis.checked().expect("a good genesis");
        let committee = genesis.committee();
        let verifier = Verifier::new(genesis, Ed25519);
        let statuses = (0..).zip(&but_for).map(|(id, but_for)| said(id, but_for));
        let told = statuses.map(|status| (ReplicaId(status.id), Ok(status))).collect();
        Health::of(told, &BTreeSet::new(), &verifier, committee, &BTreeMap::new())
    }

    #[test]
    fn who_shows_a_false_certificate_does_not_take_part() {
        let lies = json!({ "stable": 8, "stable_certificate": "00ff" });
        let health = health([json!({}), lies, json!({}), json!({})]);
        assert_eq!(health.verdict, Verdict::Reduced);
        assert_eq!(health.rows[1].trouble.as_deref(), Some("shows a false certificate"));
        assert!(health.advice[0].contains("replica 1 shows a false certificate"));
        assert!(health.rows[0].trouble.is_none(), "none is no lie");
    }

    #[test]
    fn views_that_change_may_be_over_soon_and_too_few_replicas_may_not() {
        let asks = || json!({ "view": 1, "active": false, "primary": 1 });
        let changing = health([asks(), json!({ "view": 1, "primary": 1 }), asks(), asks()]);
        assert_eq!(changing.verdict, Verdict::ChangingViews);
        assert!(changing.verdict.may_pass() && !changing.verdict.serves());
        let starts = || json!({ "standing": "starting" });
        let too_few = health([starts(), json!({}), starts(), json!({})]);
        assert_eq!(too_few.verdict, Verdict::NoQuorum);
        assert!(!too_few.verdict.may_pass());
    }

    #[test]
    fn one_liar_that_claims_to_be_far_ahead_leaves_nobody_behind() {
        let lies = json!({ "executed": u64::MAX });
        let health = health([json!({ "executed": 4 }), lies, json!({}), json!({})]);
        let lags: Vec<Option<u64>> = health.rows.iter().map(|row| row.lag).collect();
        assert_eq!(lags, [Some(3), Some(0), Some(0), Some(0)]);
    }
}
