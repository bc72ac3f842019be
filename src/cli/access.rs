//! What the commands that ask a cluster have in common: whose configuration, how long to
//! wait, and how results are written.

use super::evidence::unhex;
use super::status::span;
use super::{Exit, Failure, files};
use crate::client::Freshness;
use crate::client::{
    Access, Client, ConnectError, Error, HowRead, KeyValueClient, ReadHow, Unread,
};
use crate::config::ClientConfig;
use crate::node::status::hex;
use crate::types::{Span, Timestamp};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::ffi::{OsStr, OsString};
use std::future::Future;
use std::io::{ErrorKind, IsTerminal, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A request that the primary has not answered so soon goes to all: a command cannot know
/// who is primary, and nobody wants to wait for it to find out.
pub(super) const RETRY: Span = Span::milliseconds(100);

/// Whose configuration, and how.
#[derive(Args)]
pub struct Asking {
    /// The client's configuration
    #[arg(long, value_name = "FILE", env = "QUORATE_CONFIG")]
    config: PathBuf,
    /// How long to wait for the cluster, such as 500ms or 1m; what the file says by default
    #[arg(long, value_name = "TIME", value_parser = patience)]
    timeout: Option<Duration>,
    /// How results are written
    #[arg(short, long, value_enum, default_value_t = Output::Table, long_help = HOW_WRITTEN)]
    output: Output,
}

/// What `--help` says of `-o`.
pub const HOW_WRITTEN: &str = "How results are written

As json, standard output gets one object. If a command fails before it has an answer, that is \
{\"error\": NAME, \"message\": TEXT}, and standard error has the same in words. The names stay: \
refused, unknown_outcome (it may have been executed, or may still be), not_sent (it did not \
happen, and will not), no_quorum, not_verified, not_authorised, usage, and local for our own \
configuration, keys and files. A command line that is not understood is told in words alone.";

/// How results are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Output {
    /// For people, and values byte by byte
    Table,
    /// For programs, with names that stay
    Json,
}

/// Which key.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct Key {
    /// The key
    key: Option<OsString>,
    /// The key in hexadecimal: for one that is no text, or that no word can hold
    #[arg(long, value_name = "HEX", value_parser = hexadecimal)]
    key_hex: Option<Hex>,
}

impl Key {
    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let Key { key, key_hex } = self;
        let hex = || key_hex.as_ref().map(|hex| hex.0.clone());
        key.as_ref().map(bytes).or_else(hex).expect("the command line has one of them")
    }
}

/// Which key, and the value that is to be put there.
#[derive(Args)]
pub struct KeyAndValue {
    /// The key; left out where --key-hex names it
    #[arg(required_unless_present = "key_hex")]
    key: Option<OsString>,
    /// The new value; - reads it from standard input
    #[arg(
        required_unless_present = "key_hex",
        conflicts_with = "key_hex",
        allow_hyphen_values = true
    )]
    value: Option<OsString>,
    /// The key in hexadecimal: for one that is no text, or that no word can hold
    #[arg(long, value_name = "HEX", value_parser = hexadecimal)]
    key_hex: Option<Hex>,
}

impl KeyAndValue {
    /// The key's bytes, and the word for the value. Where the key is told in hexadecimal,
    /// the value is the only word, and so the first.
    pub fn parts(&self) -> Result<(Vec<u8>, &OsString), Failure> {
        match (&self.key_hex, &self.key, &self.value) {
            (Some(hex), Some(value), None) => Ok((hex.0.clone(), value)),
            (None, Some(key), Some(value)) => Ok((bytes(key), value)),
            _ => Err(Failure::new(
                Exit::Usage,
                "there is no value for the key: write it after the options, or - to read it from \
                 standard input",
            )),
        }
    }
}

/// Bytes that were written in hexadecimal.
#[derive(Clone)]
pub struct Hex(pub Vec<u8>);

/// Bytes in hexadecimal, as results in JSON have them.
pub fn hexadecimal(text: &str) -> Result<Hex, String> {
    let bytes = unhex(text).map(Hex);
    bytes.ok_or_else(|| "write two hexadecimal digits for each byte, such as 00ff".to_owned())
}

/// How something is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum ReadFrom {
    /// What a quorum tells alike: the latest
    Quorum,
    /// In its place in the order, like a write: the latest
    Ordered,
    /// What one replica proves: as of the last checkpoint
    Proved,
}

/// How old what is proved may be.
#[derive(Args)]
pub struct Age {
    /// The greatest age of what is proved, such as 30s, by this machine's clock; any if nothing
    /// is said, and then an idle cluster proves what was long ago
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    max_age: Option<Duration>,
}

impl Age {
    /// How the client is to read.
    pub fn how(&self, from: ReadFrom) -> Result<ReadHow, Failure> {
        match (from, self.max_age) {
            (ReadFrom::Proved, age) => Ok(ReadHow::Proved(Freshness {
                time: age
                    .map_or(Timestamp(0), |age| Timestamp(now_us().saturating_sub(micros(age)))),
                ..Freshness::default()
            })),
            (_, Some(_)) => Err(Failure::new(
                Exit::Usage,
                "--max-age is of what is proved: add --read proved; what a quorum tells or the \
                 order gives is the latest",
            )),
            (ReadFrom::Quorum, None) => Ok(ReadHow::Quorum),
            (ReadFrom::Ordered, None) => Ok(ReadHow::Ordered),
        }
    }
}

/// A time that leaves somebody the chance to answer.
fn patience(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    match time.is_zero() {
        true => Err("nobody answers in no time: write 500ms, 5s or 1m".to_owned()),
        false => Ok(time),
    }
}

impl Asking {
    /// Connects, asks, and closes. What the answer is made of goes to standard output only
    /// when all is known.
    pub fn run<T>(
        &self,
        ask: impl AsyncFnOnce(&KeyValueClient) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let access = self.access()?;
        on_runtime(async {
            let client = Client::connect(access).await.map_err(failure_to_connect)?;
            let client = KeyValueClient::new(client);
            let answer = ask(&client).await;
            client.into_client().close().await;
            answer.map_err(failure)
        })
    }

    /// The same; and a receipt is kept in a new file, if one is named. What was done is told
    /// first, though the receipt should fail.
    pub fn run_keeping<T>(
        &self,
        file: Option<&Path>,
        ask: impl AsyncFnOnce(&KeyValueClient) -> Result<T, Error>,
    ) -> Result<(T, Result<(), Failure>), Failure> {
        let Some(file) = file else { return Ok((self.run(ask)?, Ok(()))) };
        files::require_new(file)?;
        let asked = async |client: &KeyValueClient| {
            let client = client.clone().with_receipts();
            let answer = ask(&client).await?;
            Ok((answer, client.take_receipts().pop()))
        };
        let (answer, receipt) = self.run(asked)?;
        let kept = match receipt {
            Some(Ok(receipt)) => files::write_new(file, &receipt.to_bytes()),
            Some(Err(why)) => Err(Failure::new(Exit::NoQuorum, why)),
            None => Ok(()),
        };
        Ok((answer, kept.map_err(Failure::beside_answer)))
    }

    /// What to connect with.
    pub fn access(&self) -> Result<Access, Failure> {
        let config = ClientConfig::load(&self.config).map_err(Failure::local)?;
        let mut access = Access::load(&config).map_err(Failure::local)?;
        access.settings.retry = access.settings.retry.min(RETRY);
        if let Some(timeout) = self.timeout {
            let micros = u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX);
            access.settings.timeout = Span(micros.max(1));
        }
        access.lock_patience = Duration::from_micros(access.settings.timeout.0);
        Ok(access)
    }

    /// How long to wait, if that was said.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// How results are written.
    pub fn output(&self) -> Output {
        self.output
    }
}

/// Runs this to its end.
pub(super) fn on_runtime<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build();
    let runtime =
        runtime.map_err(|error| Failure::local(format!("the system gives no runtime: {error}")))?;
    let ended = runtime.block_on(work);
    // Nothing that is left is waited for.
    runtime.shutdown_background();
    ended
}

pub(super) fn failure_to_connect(error: ConnectError) -> Failure {
    Failure::local(error)
}

pub(super) fn failure(error: Error) -> Failure {
    let exit = match &error {
        Error::Service(_) | Error::Refused(_) | Error::Superseded(_) | Error::Illegal(_) => {
            Exit::Refused
        }
        Error::Unread(Unread::Refused(_) | Unread::Superseded | Unread::NumbersEnd) => {
            Exit::Refused
        }
        Error::Unknown { .. }
        | Error::NotSent { .. }
        | Error::NoQuorum { .. }
        | Error::Closed
        | Error::Unread(
            Unread::TimedOut | Unread::NoProof | Unread::TooOld { .. } | Unread::Declined(_),
        ) => Exit::NoQuorum,
        Error::NotAuthorised(_) => Exit::NotAuthorised,
        Error::Unreadable => Exit::NotVerified,
        Error::Count(_) => Exit::Local,
    };
    let name = match &error {
        Error::Unknown { .. } | Error::Closed => "unknown_outcome",
        Error::NotSent { .. } => "not_sent",
        _ => exit.name(),
    };
    let failure = match error {
        Error::Unknown { declined: None, .. } | Error::NotSent { .. } | Error::NoQuorum { .. } => {
            Failure::new(exit, format!("{error}; 'quorate status' says what is to be done"))
        }
        error => Failure::new(exit, error),
    };
    failure.named(name)
}

/// The bytes of a word of the command line.
pub fn bytes(word: &OsString) -> Vec<u8> {
    word.as_bytes().to_vec()
}

/// The bytes of a value: those of the word, or of standard input if the word is `-`.
pub fn value(word: &OsStr) -> Result<Vec<u8>, Failure> {
    if word != "-" {
        return Ok(word.as_bytes().to_vec());
    }
    let limit = crate::service::kv::MOST_VALUE_BYTES as u64 + 1;
    let mut value = Vec::new();
    let read = std::io::stdin().take(limit).read_to_end(&mut value);
    read.map_err(|error| Failure::local(format!("standard input cannot be read: {error}")))?;
    match value.len() as u64 == limit {
        true => Err(Failure::new(
            Exit::Refused,
            format!("standard input has more than {} bytes, the most of a value", limit - 1),
        )),
        false => Ok(value),
    }
}

/// Writes one object, for programs.
pub fn print_json(value: &Value) -> Result<(), Failure> {
    print(format!("{value}\n").as_bytes())
}

/// Writes bytes as they are; a terminal gets a line of them.
pub fn print_value(value: &[u8]) -> Result<(), Failure> {
    print(value)?;
    match std::io::stdout().is_terminal() && !value.ends_with(b"\n") {
        true => print(b"\n"),
        false => Ok(()),
    }
}

/// Writes to standard output. A reader that has gone has had enough, which is no failure.
pub fn print(bytes: &[u8]) -> Result<(), Failure> {
    print_to_reader(bytes).map(|_| ())
}

/// Whoever reads standard output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reader {
    /// Nobody has said otherwise.
    Reads,
    /// More is of no use.
    HasGone,
}

/// The same, for those who would go on writing.
pub fn print_to_reader(bytes: &[u8]) -> Result<Reader, Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(Reader::Reads),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::HasGone),
        Err(error) => Err(Failure::local(format!("standard output cannot be written: {error}"))),
    }
}

/// The most characters of a value that people are shown.
const MOST_SHOWN: usize = 60;

/// Bytes on one line of a terminal, which they can't take over.
pub fn shown(bytes: &[u8]) -> String {
    let (text, mark) = cut(bytes);
    format!("{text}{mark}")
}

/// The same in quotes. What says that it was cut stands outside of them: no value can say so
/// of itself.
pub fn quoted(bytes: &[u8]) -> String {
    let (text, mark) = cut(bytes);
    format!("\"{text}\"{mark}")
}

/// In quotes, and whole.
pub fn quoted_whole(bytes: &[u8]) -> String {
    format!("\"{}\"", String::from_utf8_lossy(bytes).escape_debug())
}

/// The beginning of a text, and a mark if that is not all.
fn cut(bytes: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(bytes);
    let begin = text.chars().take(MOST_SHOWN).flat_map(char::escape_debug).collect();
    match text.chars().count() > MOST_SHOWN {
        true => (begin, format!("… ({} bytes)", bytes.len())),
        false => (begin, String::new()),
    }
}

/// Bytes in JSON: as text where they are text, and always in hex.
pub fn json_bytes(bytes: &[u8]) -> (Value, Value) {
    let text = std::str::from_utf8(bytes).map_or(Value::Null, Value::from);
    (text, Value::from(hex(bytes)))
}

/// How something was read, in JSON.
pub fn json_how(how: &HowRead) -> Value {
    match how {
        HowRead::Quorum { changed } => json!({ "read": "quorum", "changed": changed.0 }),
        HowRead::Ordered { seq } => json!({ "read": "ordered", "seq": seq.0 }),
        HowRead::Proved(proved) => json!({
            "read": "proved",
            "checkpoint": proved.seq().0,
            "time_us": proved.time.0,
            "age_ms": age_ms(proved.time),
        }),
    }
}

/// Says beside what was read how old it is, if it was proved and is not told in JSON.
pub fn say_age(how: &HowRead) {
    if let HowRead::Proved(proved) = how {
        let age = span(age_ms(proved.time));
        note!("quorate: proved as of checkpoint {}, {age} ago", proved.seq());
    }
}

/// How long ago, by this machine's clock, a time was that the replicas agreed on, in
/// milliseconds.
pub fn age_ms(time: Timestamp) -> u64 {
    now_us().saturating_sub(time.0) / 1_000
}

/// This machine's clock.
fn now_us() -> u64 {
    micros(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
