//! The command line: one file for each subcommand.

/// Says a line to people. Whoever reads may go before the end, and what is done goes on.
macro_rules! say {
    ($($words:tt)*) => {
        $crate::cli::say_line(format_args!($($words)*))
    };
}

/// The same on standard error, beside what comes of the command.
macro_rules! note {
    ($($words:tt)*) => {
        $crate::cli::note_line(format_args!($($words)*))
    };
}

mod access;
pub mod bench;
pub mod byzantine_node;
pub mod cas;
pub mod completions;
pub mod config_check;
pub mod del;
pub mod demo;
pub mod evidence;
mod files;
pub mod get;
pub mod init;
pub mod list;
pub mod node;
pub mod put;
pub mod receipt;
mod serve;
pub mod simulate;
pub mod status;

use access::Output;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use serde_json::json;
use std::fmt;
use std::io::Write;
use std::process::ExitCode;

/// Byzantine fault-tolerant replication.
#[derive(Parser)]
#[command(name = "quorate", version, about, arg_required_else_help = true)]
#[command(after_help = "Examples:
  quorate demo
  quorate init --dir demo
  quorate node --config demo/config/replica-0.toml
  quorate put --config demo/config/client-0.toml greeting hello
  quorate status --config demo/config/client-0.toml

Exit codes: 0 done, 1 refused, 2 usage, 3 no quorum or unknown outcome, 4 something does not
hold, or somebody was caught lying, 6 not authorised, 7 local configuration, keys or files")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write the files of a new cluster, with new keys
    Init(init::Init),
    /// Look into configuration files
    #[command(subcommand)]
    Config(Config),
    /// Make a cluster on this machine, and show what it does
    Demo(demo::Demo),
    /// Run one replica
    Node(node::Run),
    /// Run one replica that lies, for tests
    ByzantineNode(byzantine_node::Lie),
    /// Put a value under a key
    Put(put::Put),
    /// Read the value under a key
    Get(get::Get),
    /// Remove a key
    Del(del::Del),
    /// Put a value if what is there is what was expected
    Cas(cas::Cas),
    /// List keys and values
    List(list::List),
    /// Say whether the cluster serves, and what it can lose
    Status(status::Look),
    /// Look into records of lies
    #[command(subcommand)]
    Evidence(evidence::Command),
    /// Check receipts and proofs, offline
    #[command(subcommand)]
    Receipt(receipt::Command),
    /// Live through whole clusters' faults and lies, each decided by a seed
    Simulate(simulate::Simulate),
    /// Load a cluster, and measure what it does
    Bench(bench::Bench),
    /// Print the completions for a shell
    Completions(completions::Completions),
}

#[derive(Subcommand)]
#[command(after_help = "Examples:
  quorate config check demo/config/*.toml
  quorate config check demo/config/*.toml -o json | jq .good")]
enum Config {
    /// Say what files are, and what is wrong with them
    Check(config_check::Check),
}

/// How a command ends when it does not end well. `simulate` has codes of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Exit {
    /// The service refuses the operation.
    Refused = 1,
    /// The command line is not understood.
    Usage = 2,
    /// No quorum answers, or the outcome is unknown.
    NoQuorum = 3,
    /// A proof does not hold, or somebody was caught lying.
    NotVerified = 4,
    /// The cluster does not know us.
    NotAuthorised = 6,
    /// Our own configuration or keys are no good.
    Local = 7,
}

impl Exit {
    /// For programs: these names stay.
    fn name(self) -> &'static str {
        match self {
            Exit::Refused => "refused",
            Exit::Usage => "usage",
            Exit::NoQuorum => "no_quorum",
            Exit::NotVerified => "not_verified",
            Exit::NotAuthorised => "not_authorised",
            Exit::Local => "local",
        }
    }
}

/// What went wrong, for people, and how the process ends.
#[derive(Debug)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    /// What it is, for programs. The names stay, and are told in the help of `-o`.
    pub name: &'static str,
    /// The fact, the likely cause, the next step.
    pub message: String,
    /// Whether programs have an answer already, beside which this is no other.
    has_answer: bool,
}

impl Failure {
    /// This end, for this reason.
    pub fn new(exit: Exit, message: impl fmt::Display) -> Failure {
        Failure { exit, name: exit.name(), message: message.to_string(), has_answer: false }
    }

    /// Our own configuration or keys are no good.
    pub fn local(message: impl fmt::Display) -> Failure {
        Failure::new(Exit::Local, message)
    }

    /// The same under a name that says more than how the process ends.
    fn named(self, name: &'static str) -> Failure {
        Failure { name, ..self }
    }

    /// The same after an answer was written.
    fn beside_answer(self) -> Failure {
        Failure { has_answer: true, ..self }
    }

    /// The same of what was done, and could only not be told.
    fn though_done(self) -> Failure {
        Failure { message: format!("it is done, but {}", self.message), ..self }
    }

    /// Says it, and ends. Programs get one object: the answer, or this.
    fn tell(self, output: Output) -> ExitCode {
        if output == Output::Json && !self.has_answer {
            say!("{}", json!({ "error": self.name, "message": self.message }));
        }
        note!("quorate: {}", self.message);
        ExitCode::from(self.exit as u8)
    }
}

fn say_line(words: fmt::Arguments) {
    let mut out = std::io::stdout().lock();
    // Nobody is left to be told that nobody reads.
    let _ = writeln!(out, "{words}");
}

fn note_line(words: fmt::Arguments) {
    let mut beside = std::io::stderr().lock();
    // `eprintln!` would panic where nobody reads, or the disk is full.
    let _ = writeln!(beside, "{words}");
}

/// Runs the command line, and says how the process ends.
pub fn run() -> ExitCode {
    let matches = Arguments::command().get_matches();
    let output = output_wanted(&matches);
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let ended = match arguments.command {
        Command::Init(command) => command.run(),
        Command::Config(Config::Check(command)) => command.run(),
        Command::Demo(command) => command.run(),
        Command::Node(command) => command.run(),
        Command::ByzantineNode(command) => command.run(),
        Command::Put(command) => command.run(),
        Command::Get(command) => command.run(),
        Command::Del(command) => command.run(),
        Command::Cas(command) => command.run(),
        Command::List(command) => command.run(),
        Command::Status(command) => command.run(),
        Command::Evidence(command) => command.run(),
        Command::Receipt(command) => command.run(),
        Command::Simulate(command) => return command.run(),
        Command::Bench(command) => command.run(),
        Command::Completions(command) => command.run(),
    };
    ended.map_or_else(|failure| failure.tell(output), |()| ExitCode::SUCCESS)
}

/// How results are to be written, if the command leaves a choice.
fn output_wanted(matches: &ArgMatches) -> Output {
    match matches.subcommand() {
        Some((_, deeper)) => output_wanted(deeper),
        None => {
            let wanted = matches.try_get_one("output").ok().flatten();
            wanted.copied().unwrap_or(Output::Table)
        }
    }
}
