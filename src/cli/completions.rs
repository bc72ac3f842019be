//! `quorate completions`: what a shell needs to complete this command line.

use super::access::print;
use super::{Arguments, Failure};
use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// Prints to standard output.
#[derive(Args)]
#[command(after_help = "Examples:
  quorate completions bash > ~/.local/share/bash-completion/completions/quorate
  quorate completions zsh > ~/.zfunc/_quorate
  quorate completions fish > ~/.config/fish/completions/quorate.fish")]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// Runs it.
    pub fn run(&self) -> Result<(), Failure> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "quorate", &mut text);
        print(&text)
    }
}
