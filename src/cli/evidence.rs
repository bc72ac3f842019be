//! `quorate evidence`: records of lies, from the replicas that hold them or from a file.
//!
//! A record proves itself: nobody needs to believe whoever shows it.

use super::access::{Asking, HOW_WRITTEN, Output, on_runtime, print, print_json};
use super::{Exit, Failure};
use crate::client::{Silence, Survey, Told, is_refused};
use crate::config::ClusterFile;
use crate::crypto::{Ed25519, Signature};
use crate::message::{
    Body, Checkpoint, CheckpointCertificate, Commit, Evidence, NewView, PrePrepare, Prepare,
    Signed, Verified, Verifier, ViewChange, Voter,
};
use crate::node::status::{Exhibit, hex};
use crate::types::{Committee, Digest, ReplicaId, Seq, View};
use crate::wire;
use clap::{Args, Subcommand};
use comfy_table::{Table, presets::NOTHING};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What the bytes of every record in a file begin with, and the version of what follows.
const HEAD: &[u8; 17] = b"quorate evidence1";

/// How long to wait for each replica, if nothing is said.
const PATIENCE: Duration = Duration::from_secs(5);

/// Look into records of lies
#[derive(Subcommand)]
#[command(after_help = "Examples:
  quorate evidence list --config demo/config/client-0.toml
  quorate evidence show 5f0c7a12 --save lie.evidence --config demo/config/client-0.toml
  quorate evidence verify lie.evidence --cluster demo/config/cluster.toml")]
pub enum Command {
    /// List the records that the replicas hold
    List(List),
    /// Show one record, and keep it in a file
    Show(Show),
    /// Check a record in a file, offline
    Verify(Verify),
}

impl Command {
    /// Runs it.
    pub fn run(&self) -> Result<(), Failure> {
        match self {
            Command::List(command) => command.run(),
            Command::Show(command) => command.run(),
            Command::Verify(command) => command.run(),
        }
    }
}

/// Asks every replica for the records that it holds, and checks each of them here.
#[derive(Args)]
#[command(after_help = "Examples:
  quorate evidence list --config demo/config/client-0.toml
  quorate evidence list --config demo/config/client-0.toml -o json

Exit codes: 0 there is none, 2 usage, 3 no replica answers, 4 there is evidence,
6 not authorised, 7 local
configuration or keys")]
pub struct List {
    #[command(flatten)]
    asking: Asking,
}

/// Shows both statements of a record in full.
#[derive(Args)]
#[command(after_help = "Examples:
  quorate evidence show 5f0c7a12 --config demo/config/client-0.toml
  quorate evidence show 5f0c7a12 --save lie.evidence --config demo/config/client-0.toml

Exit codes: 0 done, 1 no replica holds such a record, 2 usage, 3 no replica answers,
6 not authorised, 7 local
configuration, keys or files")]
pub struct Show {
    /// Which one: its id in the list, or the beginning of it
    id: String,
    /// Keep it in this new file, to be shown to others
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    #[command(flatten)]
    asking: Asking,
}

/// Checks a record by the cluster's file alone. No replica is asked.
#[derive(Args)]
#[command(after_help = "Examples:
  quorate evidence verify lie.evidence --cluster demo/config/cluster.toml

Exit codes: 0 it holds, 2 usage, 4 it proves nothing, 7 a file cannot be read")]
pub struct Verify {
    /// The record
    file: PathBuf,
    /// The cluster's file
    #[arg(long, value_name = "FILE")]
    cluster: PathBuf,
    /// How results are written
    #[arg(short, long, value_enum, default_value_t = Output::Table, long_help = HOW_WRITTEN)]
    output: Output,
}

/// A record that holds, and who holds it.
struct Found {
    record: Verified<Evidence>,
    holders: BTreeSet<ReplicaId>,
}

/// All that was found, by id.
struct Collection {
    found: BTreeMap<String, Found>,
    /// Who could not be asked, or showed what proves nothing.
    notes: Vec<String>,
}

impl Collection {
    fn of(told: Told<Vec<Exhibit>>, verifier: &Verifier<Ed25519>) -> Collection {
        let mut collection = Collection { found: BTreeMap::new(), notes: Vec::new() };
        for (replica, told) in told {
            match told {
                Err(why) => {
                    collection.notes.push(format!("replica {replica} was not asked: {why}"))
                }
                Ok(exhibits) => collection.take(replica, &exhibits, verifier),
            }
        }
        collection
    }

    /// Takes what one replica shows. What proves nothing is told once, however much it is.
    fn take(&mut self, from: ReplicaId, exhibits: &[Exhibit], verifier: &Verifier<Ed25519>) {
        let mut reasons = Vec::new();
        for exhibit in exhibits {
            match opened(&exhibit.record, verifier) {
                Err(why) => reasons.push(why),
                Ok(record) => {
                    let found = self.found.entry(id(&record));
                    let found = found.or_insert_with(|| Found { record, holders: BTreeSet::new() });
                    found.holders.insert(from);
                }
            }
        }
        let Some(first) = reasons.first() else { return };
        let besides = match reasons.len() - 1 {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        self.notes.push(format!("replica {from} shows what proves nothing: {first}{besides}"));
    }
}

fn collect(asking: &Asking) -> Result<Collection, Failure> {
    let access = asking.access()?;
    let genesis = Arc::clone(access.directory.genesis());
    let committee = genesis.committee();
    let verifier = Verifier::new(genesis, Ed25519);
    let survey = Survey::new(access, asking.timeout().unwrap_or(PATIENCE));
    let survey = survey.map_err(Failure::local)?;
    let told = on_runtime(async { Ok(survey.evidence().await) })?;
    let silent = told.values().filter_map(|one| one.as_ref().err());
    // A refusal says most, if there is one.
    match silent.min_by_key(|why| !why.is_refusal) {
        Some(first) if told.values().all(Result::is_err) => Err(nobody(&told, first, committee)),
        _ => Ok(Collection::of(told, &verifier)),
    }
}

fn nobody<T>(told: &Told<T>, first: &Silence, committee: Committee) -> Failure {
    let others = told.len() - 1;
    let exit = match is_refused(told, committee) {
        true => Exit::NotAuthorised,
        false => Exit::NoQuorum,
    };
    let message = format!("no replica answers: {first}; likewise {others} more");
    Failure::new(exit, message)
}

impl List {
    /// Runs it.
    pub fn run(&self) -> Result<(), Failure> {
        let Collection { found, notes } = collect(&self.asking)?;
        match self.asking.output() {
            Output::Json => {
                let records: Vec<Value> = found.values().map(in_json).collect();
                print_json(&json!({ "records": records, "notes": notes }))?;
            }
            Output::Table => {
                if !found.is_empty() {
                    print(format!("{}\n", table(&found)).as_bytes())?;
                }
                notes.iter().for_each(|note| note!("{note}"));
            }
        }
        let liars: BTreeSet<String> =
            found.values().map(|one| one.record.accused().replica.to_string()).collect();
        let liars: Vec<String> = liars.into_iter().collect();
        match found.len() {
            0 => {
                note!("no replica that answered holds evidence: nobody was caught lying");
                Ok(())
            }
            some => Err(Failure::new(
                Exit::NotVerified,
                format!(
                    "{}, against replica {}: whoever signed two statements that conflict lies, or \
                     runs twice; 'quorate evidence show ID' shows one in full",
                    records_hold(some),
                    liars.join(", ")
                ),
            )
            .beside_answer()),
        }
    }
}

impl Show {
    /// Runs it.
    pub fn run(&self) -> Result<(), Failure> {
        let Collection { found, .. } = collect(&self.asking)?;
        let mut fitting = found.iter().filter(|(id, _)| id.starts_with(&self.id));
        let (Some((_, one)), None) = (fitting.next(), fitting.next()) else {
            let message = format!(
                "not one record begins with {:?}: 'quorate evidence list' shows their ids",
                self.id
            );
            return Err(Failure::new(Exit::Refused, message));
        };
        match self.asking.output() {
            Output::Json => print_json(&in_json(one))?,
            Output::Table => print(in_full(one).as_bytes())?,
        }
        match &self.save {
            None => Ok(()),
            Some(path) => {
                let bytes = [HEAD, wire::encode(&*one.record).as_slice()].concat();
                super::files::write_new(path, &bytes).map_err(Failure::beside_answer)
            }
        }
    }
}

impl Verify {
    /// Runs it.
    pub fn run(&self) -> Result<(), Failure> {
        let verifier = verifier(&self.cluster)?;
        let bytes = super::files::read(&self.file)?;
        let refused = |why: String| {
            Failure::new(Exit::NotVerified, format!("{}: {why}", self.file.display()))
        };
        let body = bytes.strip_prefix(HEAD);
        let body = body.ok_or_else(|| refused("this is no record of a lie".to_owned()))?;
        let record = checked(body, &verifier).map_err(refused)?;
        let found = Found { record, holders: BTreeSet::new() };
        match self.output {
            Output::Json => print_json(&in_json(&found)),
            Output::Table => print(format!("It holds: {}.\n", in_words(&found.record)).as_bytes()),
        }
    }
}

fn records_hold(count: usize) -> String {
    if count == 1 { "one record holds".to_owned() } else { format!("{count} records hold") }
}

/// What checks signatures, made of the cluster's file alone.
pub(super) fn verifier(cluster: &Path) -> Result<Verifier<Ed25519>, Failure> {
    let file = ClusterFile::load(cluster).map_err(Failure::local)?;
    let genesis = file.genesis().checked().map_err(Failure::local)?;
    Ok(Verifier::new(genesis, Ed25519))
}

/// A record's name: the same whichever of the two statements somebody heard first.
fn id(record: &Evidence) -> String {
    let [one, other] = both_statements(record).map(|statement| statement.signature.0);
    Digest::of_parts(&[&one.min(other), &one.max(other)]).short()
}

fn table(found: &BTreeMap<String, Found>) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["ID", "WHAT", "HELD BY"]);
    for (id, one) in found {
        table.add_row([id.clone(), in_words(&one.record), holders(one)]);
    }
    table
}

fn holders(found: &Found) -> String {
    let holders: Vec<String> = found.holders.iter().map(ReplicaId::to_string).collect();
    holders.join(", ")
}

fn in_json(found: &Found) -> Value {
    let accused = found.record.accused();
    json!({
        "id": id(&found.record),
        "replica": accused.replica.0,
        "incarnation": accused.incarnation.0,
        "what": in_words(&found.record),
        "held_by": found.holders.iter().map(|one| one.0).collect::<Vec<_>>(),
        "record": hex(&wire::encode(&*found.record)),
    })
}

fn in_full(found: &Found) -> String {
    let [one, other] = both_statements(&found.record).map(|statement| statement.in_words());
    format!(
        "{}.\nHeld by replicas {}. Both signatures are checked.\n\nOne statement:\n{one}\nThe \
         other:\n{other}\nThe record itself is in the JSON form, and --save keeps it.\n",
        in_words(&found.record),
        holders(found)
    )
}

/// One of the two.
struct Statement {
    says: String,
    by: Voter,
    signature: Signature,
}

impl Statement {
    fn of<T: Body>(signed: &Signed<T>, by: Voter, says: String) -> Statement {
        Statement { says, by, signature: signed.signature }
    }

    fn in_words(&self) -> String {
        format!(
            "  {}\n  signed by replica {}, in its life {}: {}\n",
            self.says,
            self.by.replica,
            self.by.incarnation.0,
            hex(&self.signature.0)
        )
    }
}

fn both_statements(evidence: &Evidence) -> [Statement; 2] {
    let vote = |what: &str, view: View, seq: Seq, digest: Digest| {
        format!("{what} number {seq} of view {view}, batch {}", hex(&digest.0))
    };
    match evidence {
        Evidence::PrePrepare(one, other) => [one, other].map(|one| {
            let PrePrepare { view, seq, digest, by } = one.body;
            Statement::of(one, by, vote("a proposal for", view, seq, digest))
        }),
        Evidence::Prepare(one, other) => [one, other].map(|one| {
            let Prepare { view, seq, digest, by } = one.body;
            Statement::of(one, by, vote("a prepare for", view, seq, digest))
        }),
        Evidence::Commit(one, other) => [one, other].map(|one| {
            let Commit { view, seq, digest, by } = one.body;
            Statement::of(one, by, vote("a commit for", view, seq, digest))
        }),
        Evidence::Checkpoint(one, other) => [one, other].map(|one| {
            let Checkpoint { seq, digest, by } = one.body;
            Statement::of(one, by, format!("checkpoint {seq}, state {}", hex(&digest.0)))
        }),
        Evidence::ViewChange(one, other) => [one, other].map(|one| {
            let ViewChange { view, by, stable, prepared } = &one.body;
            let stable = stable.as_ref().map_or(Seq::GENESIS, CheckpointCertificate::seq);
            let says = format!(
                "a wish for view {view}, from checkpoint {stable} on, with certificates for {}",
                in_list(prepared.iter().map(|one| (one.seq(), one.digest())))
            );
            Statement::of(one, *by, says)
        }),
        Evidence::NewView(one, other) => [one, other].map(|one| {
            let NewView { view, by, view_changes, pre_prepares } = &one.body;
            let askers: Vec<String> =
                view_changes.iter().map(|wish| wish.body.by.replica.to_string()).collect();
            let says = format!(
                "the opening of view {view}, as replicas {} asked, which proposes {}",
                askers.join(", "),
                in_list(pre_prepares.iter().map(|one| (one.body.seq, one.body.digest)))
            );
            Statement::of(one, *by, says)
        }),
    }
}

/// Numbers and what is said about them.
fn in_list(places: impl Iterator<Item = (Seq, Digest)>) -> String {
    let places: Vec<String> =
        places.map(|(seq, digest)| format!("{} at {seq}", digest.short())).collect();
    if places.is_empty() { "nothing".to_owned() } else { places.join(", ") }
}

/// The record that these hexadecimal digits are, checked.
pub(super) fn opened(
    hex: &str,
    verifier: &Verifier<Ed25519>,
) -> Result<Verified<Evidence>, String> {
    checked(&unhex(hex).ok_or("it is not written in hexadecimal digits")?, verifier)
}

fn checked(bytes: &[u8], verifier: &Verifier<Ed25519>) -> Result<Verified<Evidence>, String> {
    let record = wire::decode(bytes, wire::MOST_BYTES);
    let record = record.map_err(|error| {
        format!("the record cannot be read ({error}): it was cut or changed; save it again")
    })?;
    let record = verifier.evidence(record);
    record.map_err(|reject| {
        format!(
            "the record proves nothing ({reject:?}): is it of another cluster, or was it changed?"
        )
    })
}

/// The bytes of hexadecimal digits.
pub(super) fn unhex(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit =
        |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    digits.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// Who signed which two things that conflict.
pub(super) fn in_words(evidence: &Evidence) -> String {
    let replica = evidence.accused().replica;
    let what = match evidence {
        Evidence::PrePrepare(one, other) => {
            let (seq, view) = (one.body.seq, one.body.view);
            let digests = both(one.body.digest, other.body.digest);
            format!("proposals for number {seq} of view {view}: {digests}")
        }
        Evidence::Prepare(one, other) => {
            let (seq, view) = (one.body.seq, one.body.view);
            let digests = both(one.body.digest, other.body.digest);
            format!("prepares for number {seq} of view {view}: {digests}")
        }
        Evidence::Commit(one, other) => {
            let (seq, view) = (one.body.seq, one.body.view);
            let digests = both(one.body.digest, other.body.digest);
            format!("commits for number {seq} of view {view}: {digests}")
        }
        Evidence::Checkpoint(one, other) => {
            let digests = both(one.body.digest, other.body.digest);
            format!("states of checkpoint {}: {digests}", one.body.seq)
        }
        Evidence::ViewChange(one, _) => format!("different wishes for view {}", one.body.view),
        Evidence::NewView(one, _) => format!("different openings of view {}", one.body.view),
    };
    format!("replica {replica} signed two {what}")
}

/// Two digests in an order of their own: who found them in which order says nothing.
fn both(one: Digest, other: Digest) -> String {
    format!("{} and {}", one.min(other).short(), one.max(other).short())
}
