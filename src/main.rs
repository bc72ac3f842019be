//! The `quorate` binary. Everything it does is in [`quorate::cli`].

/// What messages are made of comes and goes by the thousand each second: this allocator
/// takes half of the time for it that the system's own takes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    take_memory_as_it_is_used();
    quorate::cli::run()
}

/// The allocator asks for huge pages. Each is cleared when it is first touched, and given back
/// when what lay in it is gone: with large values that is half of the work, and with an
/// empty store half of the memory. Where the system doesn't let us, nothing is lost but that.
fn take_memory_as_it_is_used() {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}
