//! The `quorate` binary. Everything it does is in [`quorate::cli`].

fn main() -> std::process::ExitCode {
    quorate::cli::run()
}
