//! What processes of this machine take of it, as Linux tells in `/proc`.

use crate::net::Directory;
use crate::types::ReplicaId;
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::net::ToSocketAddrs;
use std::path::Path;
use std::time::Duration;

/// The unit of processor time in `/proc`, on every Linux of today.
const TICK: Duration = Duration::from_millis(10);

/// What one process took.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Usage {
    /// Processor time, in the program and in the system for it.
    pub(super) cpu: Duration,
    /// The most memory that it ever had, in bytes.
    pub(super) peak_memory: u64,
    /// What it had written to disks, in bytes.
    pub(super) written: u64,
    /// The bytes of frames that it sent, if it is a replica that tells.
    pub(super) sent: Option<u64>,
}

/// What the replicas that run here took, and the clients, which are this process.
#[derive(Clone, Default, Debug)]
pub(super) struct Usages {
    pub(super) replicas: BTreeMap<u16, Usage>,
    pub(super) clients: Usage,
    /// The highest view that a replica is in, if they tell; afterwards, how many more.
    pub(super) view: u64,
}

impl Usages {
    /// Of these processes, up to now. What is gone took nothing.
    pub(super) fn read(pids: &[(u16, u32)]) -> Usages {
        let of = |(id, pid): &(u16, u32)| Some((*id, Usage::read(&pid.to_string())?));
        let replicas = pids.iter().filter_map(of).collect();
        Usages { replicas, clients: Usage::read("self").unwrap_or_default(), view: 0 }
    }

    /// What was taken since then.
    pub(super) fn since(mut self, before: &Usages) -> Usages {
        for (id, usage) in &mut self.replicas {
            *usage = usage.since(before.replicas.get(id).copied().unwrap_or_default());
        }
        self.clients = self.clients.since(before.clients);
        self.view = self.view.saturating_sub(before.view);
        self
    }
}

impl Usage {
    fn read(process: &str) -> Option<Usage> {
        let folder = Path::new("/proc").join(process);
        let stat = fs::read_to_string(folder.join("stat")).ok()?;
        let status = fs::read_to_string(folder.join("status")).ok()?;
        // Who may not look into another user's process sees none of this.
        let io = fs::read_to_string(folder.join("io")).unwrap_or_default();
        let written = written(&io).unwrap_or_default();
        Some(Usage { cpu: cpu(&stat)?, peak_memory: peak_memory(&status)?, written, sent: None })
    }

    fn since(self, before: Usage) -> Usage {
        Usage {
            cpu: self.cpu.saturating_sub(before.cpu),
            peak_memory: self.peak_memory,
            written: self.written.saturating_sub(before.written),
            sent: self.sent.zip(before.sent).map(|(now, before)| now.saturating_sub(before)),
        }
    }
}

/// Fields 14 and 15 of `stat`; the second is a name in brackets with anything in it.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11).map(str::parse::<u32>);
    let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
    Some(TICK * user.checked_add(system)?)
}

fn peak_memory(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

fn written(io: &str) -> Option<u64> {
    io.lines().find_map(|line| line.strip_prefix("write_bytes:"))?.trim().parse().ok()
}

/// The processes of this machine that listen where the cluster's replicas are found, as far
/// as we may look.
pub(super) fn listeners(directory: &Directory) -> Vec<(u16, u32)> {
    let sockets = listening_sockets();
    let inode_of = |id: ReplicaId| {
        let mut addresses = directory.address_of(id)?.to_socket_addrs().ok()?;
        addresses.find_map(|address| sockets.get(&address).copied())
    };
    let replicas = directory.genesis().committee().replicas();
    let inodes: BTreeMap<u64, u16> =
        replicas.filter_map(|id| Some((inode_of(id)?, id.0))).collect();
    let mut found: Vec<(u16, u32)> = match inodes.is_empty() {
        true => Vec::new(),
        false => processes().flat_map(|pid| owned(pid, &inodes)).collect(),
    };
    found.sort_unstable();
    found.dedup_by_key(|(id, _)| *id);
    found
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn owned(pid: u32, inodes: &BTreeMap<u64, u16>) -> Vec<(u16, u32)> {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let replica = |file: fs::DirEntry| {
        let link = fs::read_link(file.path()).ok()?;
        let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        inodes.get(&inode.parse().ok()?).map(|id| (*id, pid))
    };
    files.filter_map(replica).collect()
}

fn listening_sockets() -> BTreeMap<SocketAddr, u64> {
    fs::read_to_string("/proc/net/tcp").unwrap_or_default().lines().filter_map(listening).collect()
}

/// A line of `/proc/net/tcp`: where it listens, and the socket's number.
fn listening(line: &str) -> Option<(SocketAddr, u64)> {
    const LISTENING: &str = "0A";
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (address, port) = fields.get(1)?.split_once(':')?;
    if *fields.get(3)? != LISTENING {
        return None;
    }
    let address = u32::from_str_radix(address, 16).ok()?.to_ne_bytes();
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((SocketAddr::from((address, port)), fields.get(9)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_what_it_takes() {
        let usage = Usage::read("self").expect("this is Linux");
        assert!(usage.peak_memory > 1 << 20, "{usage:?}");
    }

    #[test]
    fn a_process_may_be_called_anything() {
        let fields = "R 1 1 1 0 -1 4194304 1 0 0 0 250 50 0 0 20 0 1 0 1 1";
        assert_eq!(cpu(&format!("7 (a) b (c) {fields}")), Some(Duration::from_secs(3)));
        assert_eq!(cpu("7"), None);
    }

    #[test]
    fn the_listener_at_a_port_is_found_by_its_socket() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it has one");
        let inode = listening_sockets().get(&address).copied().expect("it listens");
        let ours = owned(std::process::id(), &BTreeMap::from([(inode, 3)]));
        assert_eq!(ours, [(3, std::process::id())]);
    }
}
