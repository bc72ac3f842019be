//! Free ports of this machine's own address.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Where to look: below the ports that systems give out by themselves, so that a replica
/// that is down for a while finds its own again.
const FIRST: u32 = 12_000;

/// How many to look through.
const COUNT: u32 = 20_000;

/// Pairs of ports of 127.0.0.1 that nobody listens at now; fewer, if there are not so many.
pub fn free(pairs: usize) -> Vec<(u16, u16)> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = std::process::id().wrapping_mul(131);
    let candidates = (0..COUNT).filter_map(|_| {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        u16::try_from(FIRST + begin.wrapping_add(step) % COUNT).ok()
    });
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let ports: Vec<u16> = candidates.filter(is_free).take(2 * pairs).collect();
    ports.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}
