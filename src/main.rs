//! The `quorate` binary. Everything it does is in [`quorate::cli`].

/// What messages are made of comes and goes by the thousand each second: this allocator
/// takes half of the time for it that the system's own takes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    quorate::cli::run()
}
