//! Stories of a node's parts.

use super::*;
use crate::config::{self, InitOptions, Ports};
use std::net::TcpListener as Socket;

/// Ports that nobody listens at.
fn ports() -> Vec<(u16, u16)> {
    let free = || Socket::bind("127.0.0.1:0").expect("a free port");
    let held: Vec<(Socket, Socket)> = (0..4).map(|_| (free(), free())).collect();
    let port = |one: &Socket| one.local_addr().expect("it is bound").port();
    held.iter().map(|(one, other)| (port(one), port(other))).collect()
}

/// A part that is gone is missed: the node ends, and whoever started it learns that.
#[tokio::test]
async fn a_node_ends_when_one_of_its_parts_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().join("cluster");
    let options = InitOptions { directory, ports: Ports::Given(ports()), ..Default::default() };
    let layout = config::init(&options).expect("a new folder");
    let config = ReplicaConfig::load(&layout.replicas[0]).expect("the file is good");
    let setup = Setup::load(&config).expect("the keys are good");
    let mut node = Node::start(setup, Options::default()).await.expect("it starts");
    node.tasks.spawn(async { panic!("as the test wants") });
    assert!(matches!(node.ended().await, NodeError::Bug));
    assert!(node.stop().await.is_ok(), "the rest stops in order");
}
