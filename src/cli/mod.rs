//! The command line: one file for each subcommand.

pub mod simulate;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Byzantine fault-tolerant replication.
#[derive(Parser)]
#[command(name = "quorate", version, about, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Live through whole clusters' faults and lies, each decided by a seed
    Simulate(simulate::Simulate),
}

/// Runs the command line, and says how the process ends.
pub fn run() -> ExitCode {
    match Arguments::parse().command {
        Command::Simulate(command) => command.run(),
    }
}
