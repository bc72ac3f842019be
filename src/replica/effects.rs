//! What goes into the replica and what comes out of it.
//!
//! The replica performs nothing itself. It answers each input with [`Effects`]: what
//! must be written, what may be sent at once, and what may be sent only when all that
//! was written up to then is durable. The last is locked up in [`Unsynced`], and the
//! only key is a [`Durable`], which whoever owns the disk makes after its sync.
//! Effects of several inputs merge, so that one sync serves them all.

use crate::message::{Batch, Checked, Unchecked, Verified};
use crate::message::{
    CheckedClient, CheckedPeer, Checkpoint, CheckpointCertificate, CommitCertificate, Evidence,
    NewView, PeerMessage, PrePrepare, Prepare, PreparedCertificate, Reject, Signed, ToClient,
    ViewChange,
};
use crate::service::Tree;
use crate::service::tree::{Part, Path};
use crate::types::{
    ClientId, Digest, Incarnation, Instant, Nonce, ReplicaId, Seq, Timestamp, View,
};
use bincode::{Decode, Encode};

/// The time at which an input is handled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// By the monotonic clock; decides when something expires.
    pub instant: Instant,
    /// By the wall clock; proposed and judged as the time of batches, nothing else.
    pub wall: Timestamp,
}

/// What happens to a replica.
#[derive(Clone, Debug)]
pub enum Input {
    /// A peer's message, checked. `from` is the peer whose channel it came by.
    Peer {
        /// Whose channel.
        from: ReplicaId,
        /// What came.
        message: Box<CheckedPeer>,
    },
    /// A client's message, checked.
    Client {
        /// Whose channel.
        from: ClientId,
        /// What came.
        message: CheckedClient,
    },
    /// The state at this number, with this digest, can be restored from this replica's
    /// disk. (A state that was found to be wrong may be saved late, and is not the one
    /// that took its place.)
    Saved(Seq, Digest),
    /// The disk holds that in this view votes up to this number may leave without their
    /// records: [`Outgoing::Reserved`] was let go.
    Reserved(View, Seq),
    /// The process ends in good order once this is carried out: nothing follows.
    Stops,
    /// What came of checking a batch, which [`Parts::checks`] asked for.
    Checked(Checked),
    /// The moment that [`super::Replica::next_deadline`] named has come.
    Tick,
}

/// Whom something is sent to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum To {
    /// Every other replica.
    Everyone,
    /// One replica.
    Peer(ReplicaId),
}

/// Something to be sent. Channels lose and reorder as they like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outgoing {
    /// To replicas.
    Peer(To, Box<PeerMessage>),
    /// To a client, if it is connected.
    Client(ClientId, ToClient),
    /// To this replica itself, as [`Input::Reserved`]: it is told so once that is durable.
    Reserved(View, Seq),
}

/// One entry of the write-ahead log: a promise made, or what it stands on.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Record {
    /// This replica proposed, as the primary; with the batch unless it opened a view
    /// with what others had proposed.
    PrePrepare(Signed<PrePrepare>, Option<Batch>),
    /// This replica agreed with a proposal.
    Prepare(Signed<Prepare>),
    /// Prepared, and so committed to. Without the batch if that is null, or was
    /// recorded with this replica's own proposal.
    Prepared(PreparedCertificate, Option<Batch>),
    /// This replica's checkpoint.
    Checkpoint(Signed<Checkpoint>),
    /// A stable checkpoint; all about lower numbers is settled.
    Stable(CheckpointCertificate),
    /// This replica asked for a view.
    ViewChange(Signed<ViewChange>),
    /// This replica entered a view.
    NewView(Signed<NewView>, Option<CommitCertificate>),
    /// Somebody lied.
    Evidence(Evidence),
    /// This replica's disk was lost; it recovers under this nonce.
    Recovering(Nonce),
    /// The recovery is done; this replica votes in this incarnation.
    Recovered(Incarnation),
    /// In this view, proposals and prepares up to this number may leave before their
    /// records are durable.
    Reserved(View, Seq),
}

impl Record {
    /// The number that a record is about: once that is at or below the stable
    /// checkpoint, the record is needed no more. None if a compaction repeats it.
    pub fn seq(&self) -> Option<Seq> {
        match self {
            Record::PrePrepare(proposal, _) => Some(proposal.body.seq),
            Record::Prepare(vote) => Some(vote.body.seq),
            Record::Prepared(certificate, _) => Some(certificate.seq()),
            Record::Checkpoint(vote) => Some(vote.body.seq),
            Record::Stable(_)
            | Record::ViewChange(_)
            | Record::NewView(..)
            | Record::Evidence(_)
            | Record::Recovering(_)
            | Record::Recovered(_)
            | Record::Reserved(..) => None,
        }
    }

    /// Whether it may be written with whatever is synced next. What must not leave before it
    /// is among what is bound.
    pub fn can_wait(&self) -> bool {
        matches!(self, Record::PrePrepare(..) | Record::Prepare(_))
    }
}

/// A state to be written to disk, in the background and in the order of these;
/// [`Input::Saved`] tells when it is. States of higher numbers that are on disk then
/// followed from one that was found to be wrong: they go with the same write, or the
/// next start would go on from there.
#[derive(Clone)]
pub struct Save {
    /// The number executed last.
    pub seq: Seq,
    /// The digest of the state.
    pub digest: Digest,
    /// The whole state; shares its structure with the replica's own.
    pub tree: Tree,
}

/// Permission to forget: of the log as it was *before* the records of the same effects,
/// what is about numbers at or below `below`, or about none, may go, and so may states
/// below it, once `head` is durable, which repeats all that is not about a number. The
/// records of the same effects follow after it, and none of them is lost.
#[derive(Clone, Debug)]
pub struct Compaction {
    /// The stable checkpoint.
    pub below: Seq,
    /// What a log that begins here must begin with.
    pub head: Vec<Record>,
}

/// Something worth knowing, for logs, metrics and whoever checks invariants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// Something was not taken, and why.
    Rejected(Option<ReplicaId>, Reject),
    /// An entry is decided.
    Decided(Seq, Digest, View),
    /// An entry was executed.
    Executed(Seq, Digest),
    /// A checkpoint became stable here.
    Stable(Seq, Digest),
    /// This replica asks for a view.
    Suspects {
        /// The view that it was in, or had asked for before.
        left: View,
        /// The view that it asks for.
        asked: View,
        /// Why.
        why: Suspicion,
    },
    /// This replica is in a view.
    Entered(View),
    /// Somebody signed two things that conflict.
    Evidence(Evidence),
    /// This replica's own state differs from the certified one: it stops executing and
    /// fetches the state anew.
    Diverged {
        /// At which checkpoint.
        seq: Seq,
        /// What the quorum has.
        certified: Digest,
        /// What this replica has.
        own: Digest,
    },
    /// State transfer began, towards this checkpoint.
    TransferBegan(Seq),
    /// State transfer is done.
    TransferDone(Seq),
    /// This replica may vote (again).
    MayVote,
    /// The disk has gone back in time: others hold a signature of this replica that its
    /// log lacks. It stops.
    RolledBack,
    /// A replica's next incarnation takes effect.
    Reborn(ReplicaId, Incarnation),
    /// An answer of a start query arrived; so many of those needed are there.
    StartAnswers(usize, usize),
}

/// Why a replica asks for another view.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Suspicion {
    /// Nothing was executed while something waited.
    NothingExecuted,
    /// Others were served, and one client was not.
    Unfair,
    /// The primary orders far more slowly than it could.
    Slow,
    /// The new view did not open in time.
    NewViewLate,
    /// Enough others ask.
    Joined,
    /// An orderly rotation.
    Rotation,
    /// Its wish for the view before became void with its old life.
    Reborn,
    /// It is the primary, and may have proposed what a crash made it forget.
    Abdicates,
    /// The primary itself asks for another view.
    PrimaryLeft,
    /// The primary is convicted of a lie.
    Convicted,
    /// The primary proposed in the name of a life that it is not in.
    OtherLife,
}

/// What must be written and what may be sent. See the module's head.
#[derive(Default)]
#[must_use = "promises that are not written are lost, and messages that are not sent"]
pub struct Effects {
    records: Vec<Record>,
    free: Vec<Outgoing>,
    bound: Vec<Outgoing>,
    checks: Vec<Unchecked>,
    /// The bytes of results among what is told to clients.
    answer_bytes: usize,
    saves: Vec<Save>,
    parts: Vec<(Seq, Path, Part)>,
    compaction: Option<Compaction>,
    notices: Vec<Notice>,
}

/// Proof that everything appended to the log so far is durable. Made by whoever owns
/// the disk, after a sync that succeeded, and by nobody else.
#[derive(Debug)]
pub struct Durable(());

impl Durable {
    /// To be called after a successful sync of everything appended, and nowhere else.
    pub fn after_sync() -> Durable {
        Durable(())
    }
}

/// Messages that promise something which is not durable yet.
#[derive(Default)]
#[must_use = "these messages wait for a sync"]
pub struct Unsynced(Vec<Outgoing>);

impl Unsynced {
    /// The messages, now that what they promise is on disk.
    pub fn release(self, _: &Durable) -> Vec<Outgoing> {
        self.0
    }

    /// What waits, to look at: to send it takes the release.
    pub fn peek(&self) -> &[Outgoing] {
        &self.0
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds messages of later effects, whose records go with the same sync.
    pub fn merge(&mut self, later: Unsynced) {
        self.0.extend(later.0);
    }
}

/// Effects taken apart, for whoever carries them out.
pub struct Parts {
    /// What the log may forget, before the records are appended.
    pub compaction: Option<Compaction>,
    /// To be appended to the log, in this order, and synced; those that can wait, with the
    /// next that cannot.
    pub records: Vec<Record>,
    /// To be sent at once: promises nothing that the disk does not allow for.
    pub free: Vec<Outgoing>,
    /// To be sent after the sync.
    pub bound: Unsynced,
    /// Batches whose signatures are to be checked, wherever and whenever that is done;
    /// [`Input::Checked`] tells what came of it.
    pub checks: Vec<Unchecked>,
    /// States to be written in the background.
    pub saves: Vec<Save>,
    /// Verified parts of a state that is being fetched, to be kept across a restart.
    pub parts: Vec<(Seq, Path, Part)>,
    /// What happened.
    pub notices: Vec<Notice>,
}

impl Effects {
    /// Adds the effects of a later input.
    pub fn merge(&mut self, later: Effects) {
        match later.compaction {
            Some(compaction) => {
                self.records.extend(later.records);
                self.compaction = Some(compaction);
            }
            None => later.records.into_iter().for_each(|record| self.record(record)),
        }
        self.free.extend(later.free);
        self.bound.extend(later.bound);
        self.checks.extend(later.checks);
        self.answer_bytes += later.answer_bytes;
        self.saves.extend(later.saves);
        self.parts.extend(later.parts);
        self.notices.extend(later.notices);
    }

    /// The bytes of results among what is told to clients: they are many where the
    /// questions were few.
    pub fn answer_bytes(&self) -> usize {
        self.answer_bytes
    }

    /// Takes the effects apart.
    pub fn into_parts(self) -> Parts {
        Parts {
            records: self.records,
            free: self.free,
            bound: Unsynced(self.bound),
            checks: self.checks,
            saves: self.saves,
            parts: self.parts,
            compaction: self.compaction,
            notices: self.notices,
        }
    }

    /// Takes out what is to be checked, for whoever does that before the rest.
    pub fn take_checks(&mut self) -> Vec<Unchecked> {
        std::mem::take(&mut self.checks)
    }

    /// What happened, to look at.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// What is to be written, to look at.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// All that is to be sent, at once or after the sync, to look at: nobody sends these.
    pub fn messages(&self) -> impl Iterator<Item = &Outgoing> {
        self.free.iter().chain(&self.bound)
    }

    pub(super) fn record(&mut self, record: Record) {
        if let Some(compaction) = &mut self.compaction
            && record.seq().is_none()
        {
            compaction.head.push(record.clone());
        }
        self.records.push(record);
    }

    /// Sends something that may follow from what was just recorded.
    pub(super) fn send(&mut self, to: To, message: PeerMessage) {
        self.bound.push(Outgoing::Peer(to, Box::new(message)));
    }

    /// Sends something that promises nothing, or nothing that is not on the disk already:
    /// questions, statuses, what proves itself, votes where they are reserved.
    pub(super) fn send_free(&mut self, to: To, message: PeerMessage) {
        self.free.push(Outgoing::Peer(to, Box::new(message)));
    }

    /// Tells a client the outcome of something executed.
    pub(super) fn reply(&mut self, client: ClientId, message: ToClient) {
        self.answer_bytes += message.result_bytes();
        self.bound.push(Outgoing::Client(client, message));
    }

    /// Lets this replica hear of something once what was recorded is durable.
    pub(super) fn hear(&mut self, own: Outgoing) {
        self.bound.push(own);
    }

    pub(super) fn check(&mut self, batch: Unchecked) {
        self.checks.push(batch);
    }

    pub(super) fn save(&mut self, seq: Seq, digest: Digest, tree: Tree) {
        self.saves.push(Save { seq, digest, tree });
    }

    pub(super) fn keep_part(&mut self, seq: Seq, path: Path, part: Part) {
        self.parts.push((seq, path, part));
    }

    pub(super) fn compact(&mut self, compaction: Compaction) {
        self.compaction = Some(compaction);
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        self.notices.push(notice);
    }
}

/// A record read back from the log and verified again.
#[derive(Clone, Debug)]
pub enum Recalled {
    /// See [`Record::PrePrepare`].
    PrePrepare(Verified<Signed<PrePrepare>>, Option<Batch>),
    /// See [`Record::Prepare`].
    Prepare(Verified<Signed<Prepare>>),
    /// See [`Record::Prepared`].
    Prepared(Verified<PreparedCertificate>, Option<Batch>),
    /// See [`Record::Checkpoint`].
    Checkpoint(Verified<Signed<Checkpoint>>),
    /// See [`Record::Stable`].
    Stable(Verified<CheckpointCertificate>),
    /// See [`Record::ViewChange`].
    ViewChange(Verified<Signed<ViewChange>>),
    /// See [`Record::NewView`].
    NewView(Verified<Signed<NewView>>, Option<Verified<CommitCertificate>>),
    /// See [`Record::Evidence`].
    Evidence(Verified<Evidence>),
    /// See [`Record::Recovering`].
    Recovering(Nonce),
    /// See [`Record::Recovered`].
    Recovered(Incarnation),
    /// See [`Record::Reserved`].
    Reserved(View, Seq),
}

impl Recalled {
    /// Verifies a record read back from the log: rot that a checksum overlooked ends
    /// here, and the replica gets only what is proved.
    pub fn verify<S: crate::crypto::Scheme>(
        verifier: &crate::message::Verifier<S>,
        record: Record,
    ) -> Result<Recalled, Reject> {
        Ok(match record {
            Record::PrePrepare(proposal, batch) => {
                require_body(proposal.body.digest, batch.as_ref())?;
                Recalled::PrePrepare(verifier.signed(proposal)?, batch)
            }
            Record::Prepare(vote) => Recalled::Prepare(verifier.signed(vote)?),
            Record::Prepared(certificate, batch) => {
                require_body(certificate.digest(), batch.as_ref())?;
                Recalled::Prepared(verifier.certificate(certificate)?, batch)
            }
            Record::Checkpoint(vote) => Recalled::Checkpoint(verifier.signed(vote)?),
            Record::Stable(certificate) => Recalled::Stable(verifier.certificate(certificate)?),
            Record::ViewChange(wish) => Recalled::ViewChange(verifier.signed(wish)?),
            Record::NewView(opening, shown) => Recalled::NewView(
                verifier.signed(opening)?,
                shown.map(|certificate| verifier.certificate(certificate)).transpose()?,
            ),
            Record::Evidence(evidence) => Recalled::Evidence(verifier.evidence(evidence)?),
            Record::Recovering(nonce) => Recalled::Recovering(nonce),
            Record::Recovered(incarnation) => Recalled::Recovered(incarnation),
            Record::Reserved(view, up_to) => Recalled::Reserved(view, up_to),
        })
    }
}

/// A batch in a record is the one that the record is about.
fn require_body(digest: Digest, batch: Option<&Batch>) -> Result<(), Reject> {
    match batch.is_none_or(|batch| batch.digest() == digest) {
        true => Ok(()),
        false => Err(Reject::WrongDigest),
    }
}
