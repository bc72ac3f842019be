//! `quorate node`: runs one replica. It cannot be made to lie.

use super::Failure;
use super::serve::Serving;
use crate::node::Options;
use clap::Args;

/// Runs one replica. It ends in order when it is told to, by SIGTERM or Ctrl-C, and else
/// only for a reason that an operator must see to.
#[derive(Args)]
#[command(after_help = "Examples:
  quorate node --config demo/config/replica-0.toml
  quorate node --config demo/config/replica-0.toml --recover

Exit codes: 0 told to stop, 2 usage, 4 the disk was lost or has gone back in time (start it
with --recover), 7 local configuration, keys or disk")]
pub struct Run {
    #[command(flatten)]
    serving: Serving,
}

impl Run {
    /// Runs it.
    pub fn run(&self) -> Result<(), Failure> {
        self.serving.run(Options::default())
    }
}
