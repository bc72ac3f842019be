//! `quorate receipt`: what clients keep to show to others, checked offline.

use super::access::{HOW_WRITTEN, Output, json_bytes, print, print_json, quoted, quoted_whole};
use super::evidence::verifier;
use super::{Exit, Failure, files};
use crate::client::proved::Kept;
use crate::client::receipt::{self, Proven, Receipt};
use crate::crypto::Ed25519;
use crate::message::Verifier;
use crate::service::kv::{KeyValue, KvOperation, KvResult};
use crate::types::ReplicaId;
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Check receipts and proofs, offline
#[derive(Subcommand)]
#[command(after_help = "Examples:
  quorate receipt verify invoice-7.receipt --cluster demo/config/cluster.toml
  quorate receipt verify invoice-7.proof --cluster demo/config/cluster.toml -o json")]
pub enum Command {
    /// Check a receipt or a proof by the cluster's file alone
    Verify(Verify),
}

impl Command {
    /// Runs it.
    pub fn run(&self) -> Result<(), Failure> {
        match self {
            Command::Verify(command) => command.run(),
        }
    }
}

/// Checks a receipt, or the proof of a read, on a machine that knows nothing but the
/// cluster's file. No replica is asked, and none is believed. Of long keys and values the
/// beginning is shown, with a mark; `-o json` has all of them.
#[derive(Args)]
#[command(after_help = "Examples:
  quorate put invoice/7 paid --receipt invoice-7.receipt
  quorate receipt verify invoice-7.receipt --cluster demo/config/cluster.toml
  quorate get invoice/7 --read proved --receipt invoice-7.proof
  quorate receipt verify invoice-7.proof --cluster demo/config/cluster.toml -o json

Exit codes: 0 it holds, 2 usage, 4 it proves nothing, 7 a file cannot be read")]
pub struct Verify {
    /// The receipt or proof
    file: PathBuf,
    /// The cluster's file
    #[arg(long, value_name = "FILE")]
    cluster: PathBuf,
    /// How results are written
    #[arg(short, long, value_enum, default_value_t = Output::Table, long_help = HOW_WRITTEN)]
    output: Output,
}

impl Verify {
    /// Runs it.
    pub fn run(&self) -> Result<(), Failure> {
        let verifier = verifier(&self.cluster)?;
        let bytes = files::read(&self.file)?;
        match Kept::from_bytes(&bytes) {
            Some(kept) => self.of_read(
                kept.map_err(|error| self.refused(format!("it is cut off or changed ({error})")))?,
                &verifier,
            ),
            None => {
                let receipt = Receipt::from_bytes(&bytes).map_err(|error| self.refused(error))?;
                let proven = receipt::verify(&verifier, &receipt);
                self.of_execution(&proven.map_err(|error| self.refused(error))?)
            }
        }
    }

    fn refused(&self, why: impl std::fmt::Display) -> Failure {
        Failure::new(Exit::NotVerified, format!("{}: {why}", self.file.display()))
    }

    fn of_execution(&self, proven: &Proven) -> Result<(), Failure> {
        let signers: Vec<u16> = proven.voters.iter().map(|voter| voter.replica.0).collect();
        let (operation, result) = (&proven.operation, &proven.result);
        if self.output == Output::Json {
            return print_json(&json!({
                "kind": "receipt",
                "client": proven.client.0,
                "number": proven.number.0,
                "seq": proven.seq.0,
                "operation": asked_in_words(operation, quoted_whole),
                "operation_hex": json_bytes(operation).1,
                "result": answered_in_words(result, quoted_whole),
                "result_hex": json_bytes(result).1,
                "signed_by": signers,
            }));
        }
        print(
            format!(
                "It holds. Client {} asked, as its request {}: {}.\nIt was executed at {} of the one \
                 order, and the result is: {}.\nSigned by replicas {}.\n",
                proven.client,
                proven.number,
                asked_in_words(operation, quoted),
                proven.seq,
                answered_in_words(result, quoted),
                listed(proven.voters.iter().map(|voter| voter.replica)),
            )
            .as_bytes(),
        )
    }

    fn of_read(&self, kept: Kept, verifier: &Verifier<Ed25519>) -> Result<(), Failure> {
        let (client, operation) = (kept.client, kept.operation.clone());
        let proved = kept.prove(verifier, &KeyValue).map_err(|error| self.refused(error))?;
        let signers: Vec<ReplicaId> = proved.certificate.voters().map(|one| one.replica).collect();
        let then = Duration::from_micros(proved.time.0);
        let then = SystemTime::UNIX_EPOCH.checked_add(then);
        let then = then.map(|then| humantime::format_rfc3339_seconds(then).to_string());
        let then = then.unwrap_or_else(|| "a time beyond all calendars".to_owned());
        if self.output == Output::Json {
            return print_json(&json!({
                "kind": "proof",
                "client": client.0,
                "checkpoint": proved.seq().0,
                "time_us": proved.time.0,
                "operation": asked_in_words(&operation, quoted_whole),
                "operation_hex": json_bytes(&operation).1,
                "result": answered_in_words(&proved.result, quoted_whole),
                "result_hex": json_bytes(&proved.result).1,
                "signed_by": signers.iter().map(|one| one.0).collect::<Vec<_>>(),
            }));
        }
        print(
            format!(
                "It holds. As of checkpoint {}, at {then} by the replicas' agreed time, to {} the \
                 answer is: {}.\nThe state is signed by replicas {}.\n",
                proved.seq(),
                asked_in_words(&operation, quoted),
                answered_in_words(&proved.result, quoted),
                listed(signers.into_iter()),
            )
            .as_bytes(),
        )
    }
}

fn listed(replicas: impl Iterator<Item = ReplicaId>) -> String {
    let replicas: Vec<String> = replicas.map(|one| one.to_string()).collect();
    replicas.join(", ")
}

/// How bytes are put in words: cut, with a mark, or whole.
type Quote = fn(&[u8]) -> String;

fn asked_in_words(operation: &[u8], quote: Quote) -> String {
    let Ok(operation) = KvOperation::from_bytes(operation) else {
        return format!("{} bytes of another service", operation.len());
    };
    match operation {
        KvOperation::Put { key, value } => format!("put {} {}", quote(&key), quote(&value)),
        KvOperation::Get { key } => format!("get {}", quote(&key)),
        KvOperation::Delete { key } => format!("del {}", quote(&key)),
        KvOperation::CompareAndSet { key, expected, value } => {
            let expected = expected.map_or("nothing".to_owned(), |one| quote(&one));
            format!("cas {} from {expected} to {}", quote(&key), quote(&value))
        }
        KvOperation::List { from, .. } => format!("list from {}", quote(&from)),
    }
}

fn answered_in_words(result: &[u8], quote: Quote) -> String {
    let Ok(result) = KvResult::from_bytes(result) else {
        return format!("{} bytes of another service", result.len());
    };
    match result {
        KvResult::Put { .. } => "written".to_owned(),
        KvResult::Got { found: None } => "nothing is there".to_owned(),
        KvResult::Got { found: Some(found) } => {
            format!("the value {}, written at {}", quote(&found.value), found.written)
        }
        KvResult::Deleted { removed: None } => "nothing was there".to_owned(),
        KvResult::Deleted { removed: Some(_) } => "removed".to_owned(),
        KvResult::Set { .. } => "compared and set".to_owned(),
        KvResult::Mismatch { .. } => "something else was there, and nothing was changed".to_owned(),
        KvResult::Listed { items, .. } => format!("a list of {}", items.len()),
        KvResult::Refused(refusal) => format!("refused: {refusal}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONDITION: &str = "unless she owes me more";

    /// A promise whose condition comes late.
    fn promise() -> String {
        format!("I owe Anna 1000 crowns{}{CONDITION}", " ".repeat(60))
    }

    #[test]
    fn a_condition_that_comes_late_is_not_left_out_unmarked() {
        let value = promise().as_str().into();
        let operation = KvOperation::Put { key: "debt".into(), value }.to_bytes();
        let shown = asked_in_words(&operation, quoted);
        assert!(!shown.contains(CONDITION) && shown.ends_with("\"… (105 bytes)"), "{shown}");
        let whole = asked_in_words(&operation, quoted_whole);
        assert!(whole.ends_with(&format!("{CONDITION}\"")), "{whole}");
    }

    #[test]
    fn no_value_says_of_itself_that_it_was_cut() {
        assert_eq!(quoted("all\"… (105 bytes)".as_bytes()), r#""all\"… (105 bytes)""#);
    }
}
