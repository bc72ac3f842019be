//! What everybody signed, as the checker saw it: who said what about which place, in
//! the order in which it left. Quorums are counted here from the signatures that were
//! really made, not from what a certificate claims.
//!
//! Must not call any rule of the protocol.

use crate::message::{
    CheckpointCertificate, CommitCertificate, PeerMessage, PreparedCertificate, ViewChange, Voter,
};
use crate::types::{Digest, ReplicaId};
use crate::wire;
use std::collections::{BTreeMap, BTreeSet};

/// The kinds of signed words.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// A proposal.
    Propose,
    /// A backup's agreement.
    Prepare,
    /// A commit.
    Commit,
    /// A checkpoint.
    Checkpoint,
    /// A wish for a view.
    ViewChange,
    /// The opening of a view.
    NewView,
}

/// What was said, whoever said it: kind, view, number, digest.
pub type Saying = (Kind, u64, u64, Digest);

/// One signed word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Word {
    /// Who signed.
    pub by: Voter,
    /// What is said.
    pub kind: Kind,
    /// In which view; 0 for checkpoints.
    pub view: u64,
    /// About which number; 0 for views.
    pub seq: u64,
    /// Of the content.
    pub digest: Digest,
}

impl Word {
    pub(super) fn saying(&self) -> Saying {
        (self.kind, self.view, self.seq, self.digest)
    }
}

/// The words that a message says by itself; what it shows of others is not counted.
pub fn words_of(message: &PeerMessage) -> Vec<Word> {
    let word = |by, kind, view, seq, digest| Word { by, kind, view, seq, digest };
    match message {
        PeerMessage::Propose(one, _) => {
            let body = &one.body;
            vec![word(body.by, Kind::Propose, body.view.0, body.seq.0, body.digest)]
        }
        PeerMessage::Prepare(one) => {
            let body = &one.body;
            vec![word(body.by, Kind::Prepare, body.view.0, body.seq.0, body.digest)]
        }
        PeerMessage::Commit(one) => {
            let body = &one.body;
            vec![word(body.by, Kind::Commit, body.view.0, body.seq.0, body.digest)]
        }
        PeerMessage::Checkpoint(one) => {
            let body = &one.body;
            vec![word(body.by, Kind::Checkpoint, 0, body.seq.0, body.digest)]
        }
        PeerMessage::ViewChange(one) => {
            let body = &one.body;
            vec![word(body.by, Kind::ViewChange, body.view.0, 0, digest_of(body))]
        }
        PeerMessage::NewView(one, _) => {
            let body = &one.body;
            let digest = Digest::of(&wire::encode(body));
            let opening = word(body.by, Kind::NewView, body.view.0, 0, digest);
            let proposals = body.pre_prepares.iter().map(|one| {
                let body = &one.body;
                word(body.by, Kind::Propose, body.view.0, body.seq.0, body.digest)
            });
            std::iter::once(opening).chain(proposals).collect()
        }
        PeerMessage::Relay(_)
        | PeerMessage::Recovery(_)
        | PeerMessage::Stable(_)
        | PeerMessage::Status(_)
        | PeerMessage::Fetch(_)
        | PeerMessage::Batch(_)
        | PeerMessage::Decided(..)
        | PeerMessage::Part(..)
        | PeerMessage::NoState(_)
        | PeerMessage::StartQuery(_)
        | PeerMessage::StartAnswer(_)
        | PeerMessage::Evidence(_) => vec![],
    }
}

/// What tells one wish from another.
pub fn digest_of(wish: &ViewChange) -> Digest {
    Digest::of(&wire::encode(wish))
}

/// A place that an honest replica may speak about once.
type Place = (Voter, Kind, u64, u64);

/// Everything signed so far.
#[derive(Default)]
pub struct Ledger {
    /// By whom each thing was said, sent or not.
    spoken: BTreeMap<Saying, BTreeSet<Voter>>,
    /// Who asked for each view.
    wishes: BTreeMap<u64, BTreeSet<ReplicaId>>,
    /// What left for each place.
    sent: BTreeMap<Place, Digest>,
    /// The highest view that each asked for, in words that left.
    asked: BTreeMap<Voter, u64>,
    /// The highest view in which each committed to a number, in words that left.
    committed: BTreeMap<Voter, BTreeMap<u64, u64>>,
}

impl Ledger {
    /// Somebody signed this.
    pub fn spoken(&mut self, word: &Word) {
        self.spoken.entry(word.saying()).or_default().insert(word.by);
        if word.kind == Kind::ViewChange {
            self.wishes.entry(word.view).or_default().insert(word.by.replica);
        }
    }

    /// Whether this voter said so.
    pub fn has_said(&self, by: Voter, saying: &Saying) -> bool {
        self.spoken.get(saying).is_some_and(|voters| voters.contains(&by))
    }

    /// Who said so.
    pub fn speakers(&self, saying: &Saying) -> BTreeSet<ReplicaId> {
        let voters = self.spoken.get(saying).into_iter().flatten();
        voters.map(|voter| voter.replica).collect()
    }

    /// Whose words to this left.
    pub fn left(&self, saying: &Saying) -> BTreeSet<ReplicaId> {
        let (kind, view, seq, digest) = *saying;
        let voters = self.spoken.get(saying).into_iter().flatten();
        let left = |by: &&Voter| self.sent.get(&(**by, kind, view, seq)) == Some(&digest);
        voters.filter(left).map(|voter| voter.replica).collect()
    }

    /// Who asked for a view.
    pub fn wishers(&self, view: u64) -> BTreeSet<ReplicaId> {
        self.wishes.get(&view).cloned().unwrap_or_default()
    }

    /// Who asked for a view or a higher one.
    pub fn wishers_from(&self, view: u64) -> BTreeSet<ReplicaId> {
        self.wishes.range(view..).flat_map(|(_, wishers)| wishers).copied().collect()
    }

    /// The highest number about which somebody signed a checkpoint that `is_enough` of
    /// them signed alike.
    pub fn highest_stable(&self, is_enough: impl Fn(&BTreeSet<ReplicaId>) -> bool) -> u64 {
        let first = (Kind::Checkpoint, 0, 0, Digest([0; 32]));
        let last = (Kind::Checkpoint, 0, u64::MAX, Digest([255; 32]));
        let mut sayings = self.spoken.range(first..=last).rev();
        let stable = sayings.find(|(saying, _)| is_enough(&self.speakers(saying)));
        stable.map_or(0, |((_, _, seq, _), _)| *seq)
    }

    /// A word of an honest replica leaves it. What it breaks, if it breaks anything: no
    /// two for one place, and none in a view that it has asked to leave. Else whether it
    /// is said for the first time.
    pub fn leaves(&mut self, word: &Word) -> Result<bool, String> {
        let place = (word.by, word.kind, word.view, word.seq);
        match self.sent.insert(place, word.digest) {
            Some(before) if before == word.digest => return Ok(false),
            Some(before) => {
                return Err(format!("{word:?} was sent after {before:?} for the same place"));
            }
            None => {}
        }
        let asked = self.asked.entry(word.by).or_default();
        match word.kind {
            Kind::Propose | Kind::Prepare | Kind::Commit => {
                if word.view < *asked {
                    return Err(format!("{word:?} is new, and its author asked for v{asked}"));
                }
            }
            Kind::ViewChange => *asked = word.view.max(*asked),
            Kind::Checkpoint | Kind::NewView => {}
        }
        if word.kind == Kind::Commit {
            let of = self.committed.entry(word.by).or_default();
            let view = of.entry(word.seq).or_default();
            *view = word.view.max(*view);
        }
        Ok(true)
    }

    /// What a replica committed to above a number, in whichever life.
    pub fn committed_above(&self, id: ReplicaId, seq: u64) -> impl Iterator<Item = Saying> {
        let own = self.committed.iter().filter(move |(by, _)| by.replica == id);
        own.flat_map(move |(by, of)| {
            of.range(seq.saturating_add(1)..).filter_map(move |(seq, view)| {
                let digest = self.sent.get(&(*by, Kind::Commit, *view, *seq))?;
                Some((Kind::Commit, *view, *seq, *digest))
            })
        })
    }

    /// Whether a wish that leaves shows a certificate for everything its author
    /// committed to above its stable checkpoint, of that view or a higher one.
    pub fn hides_nothing(&self, wish: &ViewChange) -> Result<(), String> {
        let stable = wish.stable.as_ref().map_or(0, |certificate| certificate.seq().0);
        for (seq, view) in self.committed.get(&wish.by).into_iter().flatten() {
            if *seq <= stable || *view >= wish.view.0 {
                continue;
            }
            let shown = wish.prepared.iter().find(|one| one.seq().0 == *seq);
            if shown.is_none_or(|one| one.view().0 < *view) {
                return Err(format!(
                    "{:?} asks for {:?} and does not show what it committed to at s{seq} in v{view}",
                    wish.by, wish.view
                ));
            }
        }
        Ok(())
    }
}

/// The votes that a certificate consists of, and how they may be counted: what each
/// member must have said.
pub struct Claim {
    /// What every member said.
    pub saying: Saying,
    /// The members, as listed.
    pub members: Vec<Voter>,
}

/// What a prepared certificate claims of its backups, and of its primary.
pub fn prepared_claims(certificate: &PreparedCertificate) -> (Claim, Claim) {
    let (view, seq) = (certificate.view().0, certificate.seq().0);
    let digest = certificate.digest();
    let members = certificate.prepares().iter().map(|one| one.by).collect();
    let proposal = (Kind::Propose, view, seq, digest);
    (
        Claim { saying: (Kind::Prepare, view, seq, digest), members },
        Claim { saying: proposal, members: vec![certificate.proposal().body.by] },
    )
}

/// What a commit certificate claims.
pub fn commit_claim(certificate: &CommitCertificate) -> Claim {
    let place = (certificate.view().0, certificate.seq().0);
    Claim {
        saying: (Kind::Commit, place.0, place.1, certificate.digest()),
        members: certificate.commits().iter().map(|one| one.by).collect(),
    }
}

/// What a checkpoint certificate claims.
pub fn checkpoint_claim(certificate: &CheckpointCertificate) -> Claim {
    Claim {
        saying: (Kind::Checkpoint, 0, certificate.seq().0, certificate.digest()),
        members: certificate.checkpoints().iter().map(|one| one.by).collect(),
    }
}
