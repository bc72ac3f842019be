//! What the demonstration does with a replica that lies.

use super::super::evidence;
use super::super::{Exit, Failure};
use super::PATIENCE;
use super::story::{Story, ms, status, timed};
use crate::byzantine;
use crate::cluster::{Processes, admin};
use crate::types::ReplicaId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How many writes the liar has to lie about.
const WRITES: usize = 24;

/// How long it may take until a replica tells operators what it knows.
const LATE: Duration = Duration::from_secs(2);

/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(25);

/// How many of its lies are shown.
const SHOWN: usize = 5;

impl Story {
    /// Shows what a liar says, what the others say, and what comes of it.
    pub(super) async fn lies(
        &mut self,
        cluster: &mut Processes,
        id: u16,
        behaviour: &str,
    ) -> Result<(), Failure> {
        let role = byzantine::role(behaviour).map_err(|error| Failure::new(Exit::Usage, error))?;
        self.step(&format!("Replica {id} is malicious: {behaviour}, which {}", role.about));
        let lies_when_new = role.about.starts_with("as new primary");
        if role.about.starts_with("as primary") || lies_when_new {
            self.gives_it_its_turn(cluster, id, lies_when_new).await?;
        }
        let mut longest = Duration::ZERO;
        for index in 0..WRITES {
            let key = format!("amid-lies/{index}");
            longest = longest.max(timed(self.client.put(key.as_bytes(), b"true")).await?.1);
        }
        say!("   {WRITES} writes went on amid its lies, all within {}.", ms(longest));
        self.says_what_each_answered(id).await?;
        confession(cluster, id).await;
        self.shows_what_others_hold(cluster, id)
    }

    /// Makes the liar primary, by stopping each primary before it for a while.
    async fn gives_it_its_turn(
        &mut self,
        cluster: &mut Processes,
        id: u16,
        must_be_new: bool,
    ) -> Result<(), Failure> {
        let size = self.committee.size() as u64;
        let view = view_of_others(cluster, id);
        let first = if must_be_new { view + 1 } else { view };
        let turn = (first..first + size).find(|view| view % size == u64::from(id));
        let turn = turn.unwrap_or(first);
        if turn == view || count_of_lies(cluster, id) > 0 {
            return Ok(());
        }
        say!(
            "   It lies as a primary. To give it its turn, each primary before it is stopped for \
             a moment:"
        );
        let deadline = Instant::now() + PATIENCE;
        let mut view = view;
        while view < turn && Instant::now() < deadline {
            let primary = u16::try_from(view % size).unwrap_or_default();
            cluster.pause(primary);
            // A write that waits is what makes the others suspect it.
            let waited = timed(self.client.put(b"turn", b"next")).await;
            cluster.resume(primary);
            waited?;
            let next = later_view(cluster, id, view).await;
            say!("     replica {primary} is stopped, and the others go on to view {next}");
            view = next;
        }
        Ok(())
    }

    async fn says_what_each_answered(&mut self, id: u16) -> Result<(), Failure> {
        self.forget();
        let (written, _) = timed(self.client.put(b"colour", b"green")).await?;
        let to_put = self.heard().await;
        self.forget();
        let (got, _) = timed(self.client.get(b"colour")).await?;
        let to_get = self.heard().await;
        say!("   What each replica answered to 'put colour green', and to 'get colour':");
        let nothing = "(nothing)".to_owned();
        for replica in self.committee.replicas() {
            let put = to_put.get(&replica).unwrap_or(&nothing);
            let get = to_get.get(&replica).unwrap_or(&nothing);
            let mark = if replica.0 == id { "   <- the liar" } else { "" };
            say!("     replica {replica}: {put:<24} {get}{mark}");
        }
        let value = got.found.map(|found| String::from_utf8_lossy(&found.value).into_owned());
        say!(
            "   The client believed what {} said alike of the write, and {} of the read: written at \
             {}, and colour is {:?}.",
            self.committee.weak_quorum(),
            self.committee.quorum(),
            written.seq,
            value.unwrap_or_default()
        );
        let outvoted = said_otherwise(&to_put, id) || said_otherwise(&to_get, id);
        match outvoted {
            true => say!("   Replica {id} was outvoted."),
            false => say!("   To clients, replica {id} said nothing else than the others."),
        }
        Ok(())
    }

    fn shows_what_others_hold(&self, cluster: &Processes, id: u16) -> Result<(), Failure> {
        let honest: Vec<u16> = cluster.ids().filter(|other| *other != id).collect();
        let rejected = rejected(cluster, &honest, id);
        let causes: Vec<String> =
            rejected.iter().map(|(cause, count)| format!("{count} for {cause}")).collect();
        match causes.is_empty() {
            true => say!("   The others rejected nothing of what it sent, but what came late."),
            false => say!("   Of its messages, the others rejected {}.", causes.join(", ")),
        }
        let suspicions: BTreeSet<String> = honest
            .iter()
            .filter_map(|other| status(cluster, *other)?.suspicion)
            .map(|one| format!("view {} was asked for: {}", one.view, one.why))
            .collect();
        suspicions.iter().for_each(|line| say!("   {line}."));
        let mut records: BTreeMap<String, Vec<u16>> = BTreeMap::new();
        for other in &honest {
            for exhibit in admin::evidence(cluster.admin(*other)).unwrap_or_default() {
                let record = evidence::opened(&exhibit.record, &self.verifier);
                let record = record.map_err(|error| Failure::new(Exit::NotVerified, error))?;
                records.entry(evidence::in_words(&record)).or_default().push(*other);
            }
        }
        match records.is_empty() {
            true => {
                say!("   Evidence: none. Nobody was shown two things it signed that conflict.")
            }
            false => say!("   Evidence, checked here by the cluster's file alone:"),
        }
        for (words, holders) in records.iter().take(SHOWN) {
            let holders: Vec<String> = holders.iter().map(u16::to_string).collect();
            say!("     {words} (held by {})", holders.join(", "));
        }
        if records.len() > SHOWN {
            say!("     and {} more records", records.len() - SHOWN);
        }
        Ok(())
    }
}

/// What the liar itself tells of its lies. What a node shows of itself is made anew a few
/// times a second, so the latest may take a moment to be there.
async fn confession(cluster: &Processes, id: u16) {
    let deadline = Instant::now() + LATE;
    while count_of_lies(cluster, id) == 0 && Instant::now() < deadline {
        tokio::time::sleep(LOOK).await;
    }
    let Some(confession) = status(cluster, id).and_then(|status| status.confession) else {
        say!("   It does not say what it did.");
        return;
    };
    let count = confession.count;
    match confession.lies.is_empty() {
        true => say!("   It spoke otherwise than an honest replica {count} times."),
        false => {
            say!("   It spoke otherwise than an honest replica {count} times; some of that:");
        }
    }
    for lie in confession.lies.iter().take(SHOWN) {
        say!("     {lie}");
    }
}

/// Whether it said something, and not what another said.
fn said_otherwise(heard: &BTreeMap<ReplicaId, String>, id: u16) -> bool {
    let Some(said) = heard.get(&ReplicaId(id)) else { return false };
    heard.iter().all(|(other, words)| other.0 == id || words != said)
}

/// The highest view that an honest replica is in.
fn view_of_others(cluster: &Processes, id: u16) -> u64 {
    let others = cluster.ids().filter(|other| *other != id);
    let active = others.filter_map(|other| status(cluster, other)).filter(|one| one.active);
    active.map(|one| one.view).max().unwrap_or_default()
}

/// The view that follows, once an honest replica says that it is in it; this one again if
/// none does for a while.
async fn later_view(cluster: &Processes, id: u16, view: u64) -> u64 {
    let deadline = Instant::now() + LATE;
    loop {
        let next = view_of_others(cluster, id);
        if next > view || Instant::now() >= deadline {
            return next;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// How often it has spoken otherwise than an honest replica.
fn count_of_lies(cluster: &Processes, id: u16) -> u64 {
    let confession = status(cluster, id).and_then(|status| status.confession);
    confession.map_or(0, |confession| confession.count)
}

/// What is rejected of honest replicas too: it came late, twice, or too early.
const USUAL: [&str; 13] = [
    "AboveWindow",
    "Acknowledged",
    "BelowWindow",
    "ChangingViews",
    "Duplicate",
    "FillUpTooSoon",
    "FutureView",
    "NotHere",
    "NotReady",
    "OldCertificate",
    "OldView",
    "Unrequested",
    "WrongNonce",
];

/// How many messages of this replica the others have rejected for causes that honest ones
/// do not give, by cause.
fn rejected(cluster: &Processes, honest: &[u16], id: u16) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    let from = format!("from=\"replica {id}\"");
    for other in honest {
        let Ok((_, text)) = admin::get(cluster.admin(*other), "/metrics") else { continue };
        let lines = text.lines().filter(|line| line.contains("rejects_total{"));
        for line in lines.filter(|line| line.contains(&from)) {
            let cause = line.split("cause=\"").nth(1).and_then(|rest| rest.split('"').next());
            let count = line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok());
            if let (Some(cause), Some(count)) = (cause, count)
                && !USUAL.contains(&cause)
            {
                *counts.entry(cause.to_owned()).or_default() += count;
            }
        }
    }
    counts
}
