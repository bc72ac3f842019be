//! What replicas of this machine send, by their own metrics.

use crate::cluster::admin;
use std::net::SocketAddr;

/// The counter that tells it, for replicas and for clients.
const POSTED: &str = "quorate_posted_bytes_total{";

/// The bytes of frames that a replica sent since its start, before encryption; none if it
/// does not tell.
pub(super) fn sent(address: SocketAddr) -> Option<u64> {
    let (code, text) = admin::get(address, "/metrics").ok()?;
    (code == 200).then(|| posted(&text))
}

fn posted(metrics: &str) -> u64 {
    let lines = metrics.lines().filter(|line| line.starts_with(POSTED));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_posted_to_all_is_added_up() {
        let metrics = "# TYPE quorate_posted_bytes counter\n\
                       quorate_posted_bytes_total{to=\"replicas\"} 30\n\
                       quorate_posted_bytes_total{to=\"clients\"} 12\n\
                       quorate_view 7\n";
        assert_eq!(posted(metrics), 42);
        assert_eq!(posted(""), 0);
    }
}
