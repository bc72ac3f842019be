//! What replicas of this machine send, and which view they are in, by their own metrics.

use crate::cluster::admin;
use std::net::SocketAddr;

/// The counter that tells it, for replicas and for clients.
const POSTED: &str = "quorate_posted_bytes_total{";

/// The number of its view.
const VIEW: &str = "quorate_view ";

/// What a replica tells of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    /// The bytes of frames that it sent since its start, before encryption.
    pub(super) sent: u64,
    /// The view that it is in, or asks for.
    pub(super) view: u64,
}

/// None if it does not tell.
pub(super) fn seen(address: SocketAddr) -> Option<Seen> {
    let (code, text) = admin::get(address, "/metrics").ok()?;
    (code == 200).then(|| Seen { sent: posted(&text), view: view(&text) })
}

fn view(metrics: &str) -> u64 {
    let told = metrics.lines().find_map(|line| line.strip_prefix(VIEW));
    told.and_then(|view| view.trim().parse().ok()).unwrap_or_default()
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
        assert_eq!((posted(metrics), view(metrics)), (42, 7));
        assert_eq!((posted(""), view("")), (0, 0));
    }
}
