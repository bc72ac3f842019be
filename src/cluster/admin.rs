//! Asking a node's admin address, on this machine.

use crate::node::Status;
use crate::node::status::Exhibit;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a node on this machine may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most bytes of an answer.
const MOST_BYTES: u64 = 64 << 20;

/// Asks for a page; gives its code and its text.
pub fn get(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let asked = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(asked.as_bytes())?;
    let mut bytes = Vec::new();
    stream.take(MOST_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let none = || io::Error::new(io::ErrorKind::InvalidData, "what answers speaks no HTTP");
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(none)?;
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(none)?;
    Ok((code, body.to_owned()))
}

/// What a node tells of itself.
pub fn status(address: SocketAddr) -> io::Result<Status> {
    parsed(&get(address, "/status")?.1)
}

/// The records of lies that a node holds.
pub fn evidence(address: SocketAddr) -> io::Result<Vec<Exhibit>> {
    parsed(&get(address, "/evidence")?.1)
}

fn parsed<T: serde::de::DeserializeOwned>(text: &str) -> io::Result<T> {
    serde_json::from_str(text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
