//! `quorate status`: whether the cluster serves, and what it can lose.

mod health;
mod waits;

use super::access::{Asking, Output, Reader, on_runtime, print, print_to_reader};
use super::evidence::opened;
use super::{Exit, Failure};
use crate::client::{Survey, Told, is_refused};
use crate::crypto::Ed25519;
use crate::message::Verifier;
use crate::node::Status;
use crate::types::ReplicaId;
use clap::Args;
use comfy_table::{Table, presets::NOTHING};
pub(super) use health::span;
use health::{Health, Row};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long to wait for each replica, if nothing is said; and for a view to open that is
/// being changed.
const PATIENCE: Duration = Duration::from_secs(3);

/// How soon to look again at a cluster that is changing views.
const AGAIN: Duration = Duration::from_millis(300);

/// Asks every replica how it is, and says what follows: whether the cluster serves, and how
/// many more it can lose. What a replica says of itself is told apart from what is proved.
/// While views change it waits for that to end, no longer than for a replica.
#[derive(Args)]
#[command(after_help = "Examples:
  quorate status --config demo/config/client-0.toml
  quorate status --config demo/config/client-0.toml --watch
  quorate status --config demo/config/client-0.toml -o json | jq .can_lose

Exit codes: 0 it serves, 2 usage, 3 it does not serve, 6 not authorised, 7 local configuration or
keys")]
pub struct Look {
    /// Look again and again, until Ctrl-C, or until nobody reads what is written
    #[arg(long)]
    watch: bool,
    /// How long to wait before looking again
    #[arg(long, value_name = "TIME", default_value = "1s", requires = "watch",
          value_parser = pause)]
    every: Duration,
    #[command(flatten)]
    asking: Asking,
}

/// Every look asks every replica.
const LEAST_PAUSE: Duration = Duration::from_millis(100);

fn pause(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    match time < LEAST_PAUSE {
        true => Err("every look asks every replica: write 100ms or more".to_owned()),
        false => Ok(time),
    }
}

impl Look {
    /// Runs it.
    pub fn run(&self) -> Result<(), Failure> {
        let access = self.asking.access()?;
        let genesis = Arc::clone(access.directory.genesis());
        let committee = genesis.committee();
        let cluster = access.directory.cluster().0;
        let address = |id| Some((id, access.directory.address_of(id)?.to_owned()));
        let addresses: BTreeMap<ReplicaId, String> =
            committee.replicas().filter_map(address).collect();
        let verifier = Verifier::new(genesis, Ed25519);
        let patience = self.asking.timeout().unwrap_or(PATIENCE);
        let survey = Survey::new(access, patience).map_err(Failure::local)?;
        on_runtime(async {
            let began = Instant::now();
            loop {
                let told = survey.statuses().await;
                let is_refused = is_refused(&told, committee);
                let convicted = convicted(&survey, &told, &verifier).await;
                let health = Health::of(told, &convicted, &verifier, committee, &addresses);
                // A view change that goes well is over by then, and what was told was as it
                // was at several moments.
                if health.verdict.may_pass() && !self.watch && began.elapsed() < patience {
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
                let reader = self.show(&health, &cluster.to_string(), &addresses)?;
                match self.watch {
                    true if reader == Reader::HasGone => return Ok(()),
                    true => tokio::time::sleep(self.every).await,
                    false if health.verdict.serves() => return Ok(()),
                    false if is_refused => {
                        let message = "this client and the replicas do not take each other for \
                                       members of one cluster";
                        return Err(Failure::new(Exit::NotAuthorised, message).beside_answer());
                    }
                    false => {
                        let message = "the cluster does not serve";
                        return Err(Failure::new(Exit::NoQuorum, message).beside_answer());
                    }
                }
            }
        })
    }

    fn show(
        &self,
        health: &Health,
        cluster: &str,
        addresses: &BTreeMap<ReplicaId, String>,
    ) -> Result<Reader, Failure> {
        if self.asking.output() == Output::Json {
            let value = in_json(health, cluster, addresses);
            return print_to_reader(format!("{value}\n").as_bytes());
        }
        if self.watch && std::io::stdout().is_terminal() {
            print(b"\x1b[2J\x1b[H")?;
        }
        print_to_reader(in_words(health, cluster).as_bytes())
    }
}

/// Of whom there is evidence that holds.
async fn convicted(
    survey: &Survey,
    told: &Told<Status>,
    verifier: &Verifier<Ed25519>,
) -> BTreeSet<ReplicaId> {
    if told.values().flatten().all(|status| status.evidence.is_empty()) {
        return BTreeSet::new();
    }
    let exhibits = survey.evidence().await;
    let exhibits = exhibits.values().flatten().flatten();
    let records = exhibits.filter_map(|exhibit| opened(&exhibit.record, verifier).ok());
    records.map(|record| record.accused().replica).collect()
}

fn in_words(health: &Health, cluster: &str) -> String {
    let mut text =
        format!("Cluster {}: {}\n\n{}\n", &cluster[..8], health.headline(), table(health));
    text += &format!(
        "\nPROVED is the checkpoint that {} replicas signed, checked here; all else is each \
         replica's own word.\n",
        health.committee.quorum()
    );
    let sections = [("What it waits for:", &health.waits), ("What to do:", &health.advice)];
    for (title, lines) in sections.into_iter().filter(|(_, lines)| !lines.is_empty()) {
        text += &format!("\n{title}\n");
        lines.iter().for_each(|line| text += &format!("  {line}\n"));
    }
    text
}

fn table(health: &Health) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header([
        "REPLICA",
        "STATE",
        "ROLE",
        "VIEW",
        "EXECUTED",
        "LAG",
        "STABLE",
        "PROVED",
        "SEEN",
        "VERSION",
        "SUSPICION",
    ]);
    for row in &health.rows {
        table.add_row(cells(row));
    }
    table
}

fn cells(row: &Row) -> Vec<String> {
    let none = || "-".to_owned();
    let seen = match row.seen_ms {
        Some(0) => "now".to_owned(),
        Some(ms) => format!("{} ago", span(ms)),
        None => "never".to_owned(),
    };
    let state = row.trouble.clone().unwrap_or_else(|| "takes part".to_owned());
    let suspicion = row.suspicion.clone().unwrap_or_else(none);
    let Ok(status) = &row.claims else {
        let gap = std::iter::repeat_with(none).take(6);
        let begin = [row.id.to_string(), state];
        return begin.into_iter().chain(gap).chain([seen, none(), suspicion]).collect();
    };
    vec![
        row.id.to_string(),
        state,
        status.role.clone(),
        match status.active {
            true => status.view.to_string(),
            false => format!("{} (not open)", status.view),
        },
        status.executed.to_string(),
        row.lag.map_or_else(none, |lag| lag.to_string()),
        status.stable.to_string(),
        match &row.proved {
            Ok(seq) => seq.to_string(),
            Err(_) => "NOT PROVED".to_owned(),
        },
        seen,
        status.version.clone(),
        suspicion,
    ]
}

fn in_json(health: &Health, cluster: &str, addresses: &BTreeMap<ReplicaId, String>) -> Value {
    let row = |row: &Row| {
        json!({
            "id": row.id.0,
            "address": addresses.get(&row.id),
            "takes_part": row.trouble.is_none(),
            "trouble": row.trouble,
            "reached": row.claims.is_ok(),
            "unreached": row.claims.as_ref().err().map(|silence| &silence.why),
            "seen_ms": row.seen_ms,
            "lag": row.lag,
            "proved": {
                "stable": row.proved.as_ref().ok(),
                "error": row.proved.as_ref().err(),
            },
            "claims": row.claims.as_ref().ok(),
        })
    };
    json!({
        "cluster": cluster,
        "verdict": health.verdict.name(),
        "serves": health.verdict.serves(),
        "can_lose": health.can_lose(),
        "taking_part": health.taking_part,
        "replicas": health.committee.size(),
        "quorum": health.committee.quorum(),
        "waits": health.waits,
        "advice": health.advice,
        "rows": health.rows.iter().map(row).collect::<Vec<_>>(),
    })
}
