//! What both sides say first: which cluster they mean, by name and in parts, so that two
//! who hold different files learn in what they differ.

use crate::crypto::{ClusterId, PublicKey};
use crate::message::genesis::Genesis;
use crate::net::directory::{Directory, Party};
use crate::net::refusal::Refusal;
use crate::types::Digest;
use crate::wire::{self, Blob, List};
use bincode::{Decode, Encode};

/// The versions of the protocol that this program speaks. The hello itself has the same
/// form in all of them.
pub const VERSIONS: [u16; 1] = [1];

/// The most bytes of a first message.
pub const MOST_HELLO_BYTES: usize = 4 << 10;

/// The most bytes of a cluster's name that are told, and of a reason.
const MOST_TEXT_BYTES: usize = 1 << 10;

/// The parts of a cluster's file that must be alike.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub(crate) struct Pieces {
    name: Blob,
    replicas: Digest,
    clients: Digest,
    parameters: Digest,
}

impl Pieces {
    pub fn of(
        name: &str,
        genesis: &Genesis,
        replica_keys: &[PublicKey],
        client_keys: &[PublicKey],
    ) -> Pieces {
        let digest = |keys: &List<PublicKey>, tls_keys: &[PublicKey]| {
            let tls_keys = List(tls_keys.to_vec());
            Digest::of_parts(&[&wire::encode(keys), &wire::encode(&tls_keys)])
        };
        Pieces {
            name: Blob::from(clipped(name)),
            replicas: digest(&genesis.replicas, replica_keys),
            clients: digest(&genesis.clients, client_keys),
            parameters: Digest::of(&wire::encode(&genesis.parameters)),
        }
    }

    /// In what two files differ, in words.
    fn differences(&self, other: &Pieces) -> String {
        let parts = [
            ("the name", self.name == other.name),
            ("the replicas' keys", self.replicas == other.replicas),
            ("the clients", self.clients == other.clients),
            ("the parameters", self.parameters == other.parameters),
        ];
        let differing: Vec<&str> =
            parts.iter().filter(|(_, is_alike)| !is_alike).map(|(part, _)| *part).collect();
        match differing.as_slice() {
            [] => "something that this version cannot name".to_string(),
            some => some.join(" and "),
        }
    }
}

/// The first `MOST_TEXT_BYTES` of a text, or a little less.
fn clipped(text: &str) -> &str {
    let mut end = text.len().min(MOST_TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Who speaks, and of which cluster.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub(crate) struct Hello {
    pub versions: List<u16>,
    pub cluster: ClusterId,
    pub party: Party,
    pub pieces: Pieces,
}

/// What the one who was dialed says to that.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub(crate) enum Answer {
    /// Go on.
    Welcome(Hello),
    /// The end, and the reason for people.
    Refused(Hello, Blob),
}

impl Answer {
    /// A refusal with its reason, clipped to what a first message holds.
    pub fn refused(ours: &Hello, refusal: &Refusal) -> Answer {
        Answer::Refused(ours.clone(), Blob::from(clipped(&refusal.to_string())))
    }
}

/// What a hello and an answer to one read in these bytes, written again: for those who try
/// every decoder with bytes of their own.
#[doc(hidden)]
pub fn read_and_written(bytes: &[u8]) -> [Option<Vec<u8>>; 2] {
    let hello = wire::decode::<Hello>(bytes, MOST_HELLO_BYTES).ok();
    let answer = wire::decode::<Answer>(bytes, MOST_HELLO_BYTES).ok();
    [hello.map(|hello| wire::encode(&hello)), answer.map(|answer| wire::encode(&answer))]
}

/// A text of the other side, fit for a log.
pub(crate) fn told(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_TEXT_BYTES).collect()
}

impl Hello {
    pub fn of(directory: &Directory, party: Party) -> Hello {
        Hello {
            versions: VERSIONS.to_vec().into(),
            cluster: directory.cluster(),
            party,
            pieces: directory.pieces().clone(),
        }
    }

    /// Judges the other side's hello, given whose key it has shown.
    pub fn judge(&self, theirs: &Hello, shown: Party) -> Result<(), Refusal> {
        if !theirs.versions.iter().any(|version| self.versions.contains(version)) {
            let both = (theirs.versions.0.clone(), self.versions.0.clone());
            return Err(Refusal::OtherVersion(both.0, both.1));
        }
        if theirs.cluster != self.cluster {
            return Err(Refusal::OtherCluster(self.explain(theirs, shown)));
        }
        match theirs.party == shown {
            true => Ok(()),
            false => Err(Refusal::FalseParty { said: theirs.party, shown }),
        }
    }

    fn explain(&self, theirs: &Hello, shown: Party) -> String {
        format!(
            "{shown} means cluster {} ({}), and {} means {} ({}): their cluster files differ in \
             {}; give both the same file",
            theirs.cluster.0.short(),
            told(&theirs.pieces.name),
            self.party,
            self.cluster.0.short(),
            told(&self.pieces.name),
            self.pieces.differences(&theirs.pieces),
        )
    }
}
