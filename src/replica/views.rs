//! View changes (§ View change): asking for a view, opening one, entering one.

use super::lacking::Search;
use super::promises::{Kind, Place, identity};
use super::slot::Slot;
use super::{Active, Changing, Mode, Notice, Opening, Record, Replica, Suspicion, To};
use crate::message::batch::NULL;
use crate::message::{
    CommitCertificate, NewView, PeerMessage, PrePrepare, Reject, Signed, Verified, ViewChange,
    Voter, new_view,
};
use crate::types::{Digest, Instant, ReplicaId, Seq, View};
use std::collections::{BTreeMap, BTreeSet};

impl Replica {
    // Asking for a view.

    /// Asks for the view after this one.
    pub(super) fn suspect(&mut self, why: Suspicion) {
        self.ask_for(self.view.next(), why);
    }

    /// Stops taking part in the current view and asks for another, this one or the first
    /// after it that no convict would lead. From here on no proposal, prepare or commit
    /// below that view is signed.
    fn ask_for(&mut self, view: View, why: Suspicion) {
        if !self.may_vote() {
            return;
        }
        assert!(view > self.view, "views never go back");
        let view = self.past_convicts(view);
        self.out.notice(Notice::Suspects { left: self.view, asked: view, why });
        self.keep_waiting_for_undecided();
        self.note_liar_left();
        self.waits.on_view_change(&self.settings);
        self.turns.forget();
        self.view = view;
        self.search = Search::default();
        let impostor = match &mut self.mode {
            Mode::Active(active) => active.impostor.take(),
            Mode::Changing(changing) => changing.impostor.take(),
        };
        self.mode = Mode::Changing(Changing { impostor, ..Changing::default() });
        let body = ViewChange {
            view,
            by: self.voter_about_views(),
            stable: self.checkpoints.certificate.clone().map(Verified::into_inner),
            prepared: self.prepared.values().map(|one| one.clone().into_inner()).collect(),
        };
        let place = Place { kind: Kind::ViewChange, view, seq: Seq::GENESIS };
        let wish = self.promises.sign(place, identity(&body), body);
        self.promises.forget_views_left();
        self.out.record(Record::ViewChange(Signed::clone(&wish)));
        self.out.send(To::Everyone, PeerMessage::ViewChange(Signed::clone(&wish)));
        self.wishes.insert(self.id, wish);
        self.consider_wishes();
    }

    /// A wish of an old life became void with it: one that still waits for an opening asks
    /// again, for the next view, in the new life. Else nobody would count it.
    pub(super) fn renew_wish(&mut self) {
        let current = self.executor.lives().current(self.id);
        let own = self.wishes.get(&self.id);
        let is_void = own.is_none_or(|wish| wish.body.by.incarnation < current);
        if !self.is_active() && is_void {
            self.ask_for(self.view.next(), Suspicion::Reborn);
        }
    }

    /// What was proposed in the view that is left and not decided waits on, as requests.
    fn keep_waiting_for_undecided(&mut self) {
        let (now, fence) = (self.now.instant, self.highest_seen());
        let Some(active) = self.active() else { return };
        let undecided: Vec<Digest> = active
            .slots
            .iter()
            .filter(|(seq, _)| !self.decided.contains_key(seq) && **seq > self.executed())
            .filter_map(|(_, slot)| slot.digest())
            .collect();
        for digest in undecided {
            let Some(batch) = self.bodies.get(&digest).cloned() else { continue };
            for item in batch.items() {
                if self.is_open(item) {
                    self.pool.insert(item.clone(), now, fence);
                }
            }
        }
    }

    /// Another replica's wish. Kept is each sender's highest.
    pub(super) fn on_view_change(
        &mut self,
        wish: Verified<Signed<ViewChange>>,
    ) -> Result<(), Reject> {
        let by = wish.body.by;
        if by.replica == self.id {
            return Err(Reject::FromSelf);
        }
        self.hear(|heard| &mut heard.view_change, &wish);
        if !self.executor.lives().counts_for_views(by) {
            return Err(Reject::WrongIncarnation);
        }
        if let Some(certificate) = wish.stable() {
            self.learn_certificate(certificate);
        }
        if let Some(earlier) = self.wishes.get(&by.replica) {
            self.require_news(&wish, &earlier.clone())?;
        }
        let is_over =
            wish.body.view < self.view || (wish.body.view == self.view && self.is_active());
        if is_over {
            return Err(Reject::OldView);
        }
        self.wishes.insert(by.replica, wish);
        self.consider_wishes();
        Ok(())
    }

    fn require_news(
        &mut self,
        wish: &Verified<Signed<ViewChange>>,
        earlier: &Verified<Signed<ViewChange>>,
    ) -> Result<(), Reject> {
        if wish.body.by.incarnation > earlier.body.by.incarnation {
            return Ok(());
        }
        if wish.body.view > earlier.body.view {
            return Ok(());
        }
        match wish.conflict(earlier) {
            Some(evidence) => {
                self.convict(Some(evidence));
                Err(Reject::Conflict)
            }
            None if wish.body.view < earlier.body.view => Err(Reject::OldView),
            None => Err(Reject::Duplicate),
        }
    }

    /// Joins others, starts the wait for the opening, or opens the view, as the wishes
    /// allow.
    pub(super) fn consider_wishes(&mut self) {
        let has_primary_left = self.has_primary_left();
        if let Some(view) = self.view_to_join() {
            if has_primary_left {
                self.waits.was_orderly();
            }
            self.ask_for(view, Suspicion::Joined);
            return;
        }
        if has_primary_left {
            self.follow_primary();
            return;
        }
        self.start_waiting_for_opening();
        self.try_open();
    }

    /// Leaves with the primary, and shows the others why: it cannot lead a few away.
    fn follow_primary(&mut self) {
        if let Some(wish) = self.wishes.get(&self.primary()) {
            self.out.send_free(To::Everyone, PeerMessage::ViewChange(Signed::clone(wish)));
        }
        self.waits.was_orderly();
        self.ask_for(self.view.next(), Suspicion::PrimaryLeft);
    }

    /// A primary that asks for another view proposes nothing more in its own. (In the life in
    /// which it opened that: what it asked for before binds it no more.)
    fn has_primary_left(&self) -> bool {
        let life = self.opening.as_ref().map(|opening| opening.new_view.body.by.incarnation);
        let leaves = self.wishes.get(&self.primary()).is_some_and(|wish| {
            wish.body.view > self.view && Some(wish.body.by.incarnation) >= life
        });
        leaves && self.may_vote() && self.is_active() && !self.is_primary()
    }

    /// The smallest view above this one that another wants, if `W` others want such.
    fn view_to_join(&self) -> Option<View> {
        let higher = self
            .wishes
            .iter()
            .filter(|(sender, wish)| **sender != self.id && wish.body.view > self.view);
        let views: Vec<View> = higher.map(|(_, wish)| wish.body.view).collect();
        let may = self.may_vote() && views.len() >= self.committee.weak_quorum();
        views.into_iter().min().filter(|_| may)
    }

    /// Once a quorum, this replica among them, wants this view or a higher one, its
    /// primary has only so long. Who may not vote could not give up on it.
    fn start_waiting_for_opening(&mut self) {
        let asking = self.wishes.values().filter(|wish| wish.body.view >= self.view).count();
        let asked = self.wishes.get(&self.id).is_some_and(|wish| wish.body.view == self.view);
        let gives_up = self.now.instant.plus(self.waits.patience);
        if self.may_vote()
            && asked
            && asking >= self.committee.quorum()
            && let Mode::Changing(changing) = &mut self.mode
        {
            changing.gives_up.get_or_insert(gives_up);
        }
    }

    pub(super) fn opening_deadline(&self) -> Option<Instant> {
        match &self.mode {
            Mode::Changing(changing) => changing.gives_up,
            Mode::Active(_) => None,
        }
    }

    pub(super) fn tick_opening(&mut self) {
        self.try_open();
        if self.opening_deadline().is_some_and(|due| due <= self.now.instant) {
            self.suspect(Suspicion::NewViewLate);
        }
    }

    // Opening a view, as its primary.

    /// Opens the view that was asked for, if this replica is its primary, has the
    /// wishes of a quorum and every body that they make it propose.
    pub(super) fn try_open(&mut self) {
        let asked = self.wishes.get(&self.id).is_some_and(|wish| wish.body.view == self.view);
        if self.is_active() || !self.is_primary() || !self.may_vote() || !asked {
            return;
        }
        let candidates: BTreeMap<ReplicaId, Verified<Signed<ViewChange>>> = self
            .wishes
            .iter()
            .filter(|(_, wish)| {
                wish.body.view == self.view && self.executor.lives().counts_for_views(wish.body.by)
            })
            .map(|(sender, wish)| (*sender, wish.clone()))
            .collect();
        if let Some(chosen) = self.choose_wishes(candidates) {
            self.open(chosen);
        }
    }

    /// `Q` wishes, its own among them, whose bodies are all here. A body that cannot be
    /// had in time costs those who certify it their place: any `Q` are safe.
    fn choose_wishes(
        &mut self,
        mut candidates: BTreeMap<ReplicaId, Verified<Signed<ViewChange>>>,
    ) -> Option<Vec<Verified<Signed<ViewChange>>>> {
        let quorum = self.committee.quorum();
        loop {
            if candidates.len() < quorum {
                return None;
            }
            let own = candidates.get(&self.id)?.clone();
            let rest = candidates.values().filter(|wish| wish.body.by.replica != self.id);
            let mut chosen: Vec<_> = rest.take(quorum - 1).cloned().collect();
            chosen.push(own);
            chosen.sort_by_key(|wish| wish.body.by.replica);
            let lacking = self.lacking_bodies(&chosen);
            if lacking.is_empty() {
                return Some(chosen);
            }
            for (digest, voters) in &lacking {
                self.want(*digest, voters.clone());
            }
            if !self.is_out_of_patience_for_bodies() {
                return None;
            }
            let withheld: BTreeSet<Digest> = lacking.into_keys().collect();
            let guilty = candidates.iter().find(|(sender, wish)| {
                **sender != self.id
                    && wish.body.prepared.iter().any(|one| withheld.contains(&one.digest()))
            });
            let guilty = guilty.map(|(sender, _)| *sender)?;
            candidates.remove(&guilty);
        }
    }

    /// The bodies that these wishes make the primary propose and that it lacks, with
    /// those who should have them.
    fn lacking_bodies(
        &self,
        wishes: &[Verified<Signed<ViewChange>>],
    ) -> BTreeMap<Digest, Vec<ReplicaId>> {
        let outcome = new_view::decide(wishes.iter().map(|wish| &wish.body));
        let chosen: BTreeSet<Digest> = outcome
            .chosen
            .iter()
            .filter(|(seq, digest)| *seq > self.executed() && !self.has_body(*digest))
            .map(|(_, digest)| *digest)
            .collect();
        let mut lacking: BTreeMap<Digest, Vec<ReplicaId>> = BTreeMap::new();
        for certificate in wishes.iter().flat_map(|wish| &wish.body.prepared) {
            if chosen.contains(&certificate.digest()) {
                let voters = certificate.voters().map(|voter| voter.replica);
                lacking.entry(certificate.digest()).or_default().extend(voters);
            }
        }
        lacking
    }

    /// Whether this replica has looked for bodies long enough: half of what the others
    /// wait for the opening.
    fn is_out_of_patience_for_bodies(&mut self) -> bool {
        let (now, patience) = (self.now.instant, self.waits.patience.halved());
        let Mode::Changing(changing) = &mut self.mode else { return false };
        now.since(*changing.lacking_since.get_or_insert(now)) >= patience
    }

    fn open(&mut self, chosen: Vec<Verified<Signed<ViewChange>>>) {
        let (view, by) = (self.view, self.voter_about_views());
        let outcome = new_view::decide(chosen.iter().map(|wish| &wish.body));
        let pre_prepares = outcome
            .chosen
            .into_iter()
            .map(|(seq, digest)| {
                let place = Place { kind: Kind::PrePrepare, view, seq };
                let body = PrePrepare { view, seq, digest, by };
                self.promises.sign(place, digest, body).into_inner()
            })
            .collect();
        let view_changes = chosen.into_iter().map(Verified::into_inner).collect();
        let body = NewView { view, by, view_changes, pre_prepares };
        let place = Place { kind: Kind::NewView, view, seq: Seq::GENESIS };
        let new_view = self.promises.sign(place, identity(&body), body);
        self.out.record(Record::NewView(Signed::clone(&new_view), None));
        self.record_own_proposals(&new_view.body);
        self.out.send(To::Everyone, PeerMessage::NewView(Signed::clone(&new_view), None));
        self.enter(Opening { new_view, shown: None });
    }

    /// The opening goes from the log with its view; what it promises about numbers stays
    /// until these are settled.
    pub(super) fn record_own_proposals(&mut self, opening: &NewView) {
        if opening.by.replica == self.id {
            let stable = self.stable();
            for proposal in opening.pre_prepares.iter().filter(|one| one.body.seq > stable) {
                self.out.record(Record::PrePrepare(proposal.clone(), None));
            }
        }
    }

    // Entering a view.

    /// The opening of a view. It is verified: it follows from the wishes that it shows.
    pub(super) fn on_new_view(
        &mut self,
        new_view: Verified<Signed<NewView>>,
        shown: Option<Verified<CommitCertificate>>,
    ) -> Result<(), Reject> {
        let body = &new_view.body;
        if body.by.replica == self.id {
            return self.on_own_opening(new_view, shown);
        }
        self.hear(|heard| &mut heard.new_view, &new_view);
        if body.view == self.view
            && self.is_active()
            && let Some(opening) = self.opening.clone()
        {
            self.convict(new_view.conflict(&opening.new_view));
        }
        if body.view < self.view || (body.view == self.view && self.is_active()) {
            return Err(Reject::OldView);
        }
        self.require_unvoided(body, shown.as_deref())?;
        self.install(Opening { new_view, shown });
        Ok(())
    }

    /// A view that this replica opened before it lost its memory, or its log: it knows
    /// its own promises, so it enters by what it said then, or not at all.
    fn on_own_opening(
        &mut self,
        new_view: Verified<Signed<NewView>>,
        shown: Option<Verified<CommitCertificate>>,
    ) -> Result<(), Reject> {
        let body = &new_view.body;
        let is_old_life = body.by != self.voter_about_views();
        if body.view <= self.view || !is_old_life {
            return Err(Reject::FromSelf);
        }
        self.require_unvoided(body, shown.as_deref())?;
        self.install(Opening { new_view, shown });
        Ok(())
    }

    fn install(&mut self, opening: Opening) {
        let shown = opening.shown.clone().map(Verified::into_inner);
        self.out.record(Record::NewView(Signed::clone(&opening.new_view), shown));
        self.record_own_proposals(&opening.new_view.body);
        self.enter(opening);
    }

    /// A word about views of a life that is over is void for whoever has executed the
    /// new life's beginning, unless it is shown that the view was entered in time: by a
    /// commit certificate of that view, for a number up to that beginning, of `Q`
    /// others.
    fn require_unvoided(
        &self,
        body: &NewView,
        shown: Option<&CommitCertificate>,
    ) -> Result<(), Reject> {
        let voided = self.voided(body);
        let is_shown = |replica: ReplicaId| {
            shown.is_some_and(|certificate| {
                certificate.view() == body.view
                    && certificate.seq() <= self.executor.lives().began(replica)
                    && certificate.voters().all(|voter| voter.replica != replica)
            })
        };
        match voided.into_iter().all(is_shown) {
            true => Ok(()),
            false => Err(Reject::WrongIncarnation),
        }
    }

    /// Whose words in an opening are void by now.
    fn voided(&self, body: &NewView) -> BTreeSet<ReplicaId> {
        let lives = self.executor.lives();
        body.view_changes
            .iter()
            .map(|wish| wish.body.by)
            .chain([body.by])
            .filter(|voter: &Voter| !lives.counts_for_views(*voter))
            .map(|voter| voter.replica)
            .collect()
    }

    /// Before a replica's old word becomes void: keeps a commit certificate of this
    /// view without that replica, if there is one, to show its opening by.
    pub(super) fn keep_proof_of_view(&mut self, replica: ReplicaId) {
        let began = self.executor.lives().began(replica);
        let Some(active) = self.active() else { return };
        let proof = active.slots.iter().rev().find_map(|(seq, slot)| {
            let others =
                |vote: &&Verified<Signed<crate::message::Commit>>| vote.body.by.replica != replica;
            let digest = slot.digest()?;
            let votes = slot.commits.matching(digest).filter(others);
            (*seq <= began)
                .then(|| CommitCertificate::new(self.committee, self.view, *seq, digest, votes))?
        });
        let whole = self.decided.values().rev().find(|one| {
            one.view() == self.view
                && one.seq() <= began
                && one.voters().all(|voter| voter.replica != replica)
        });
        if let Some(proof) = proof.or(whole.cloned()) {
            self.shown.insert(replica, proof);
        }
    }

    /// The opening of the current view as a message, with what shows it if it needs to.
    pub(super) fn opening_message(&self) -> Option<PeerMessage> {
        let opening = self.opening.as_ref()?;
        let voided = self.voided(&opening.new_view.body);
        let kept = voided.iter().find_map(|replica| self.shown.get(replica));
        let fits = |one: &&Verified<CommitCertificate>| one.view() == opening.new_view.body.view;
        let shown = opening.shown.as_ref().or(kept.filter(fits)).cloned();
        Some(PeerMessage::NewView(
            Signed::clone(&opening.new_view),
            shown.map(Verified::into_inner),
        ))
    }

    /// Enters a view. What it chose is adopted and goes through prepare and commit
    /// again; what is executed already is not executed again.
    fn enter(&mut self, opening: Opening) {
        let new_view = opening.new_view.clone();
        let body = &new_view.body;
        self.keep_waiting_for_undecided();
        self.view = body.view;
        self.opening = Some(opening);
        self.shown.retain(|_, certificate| certificate.view() == body.view);
        self.wishes.retain(|_, wish| wish.body.view > body.view);
        self.out.notice(Notice::Entered(body.view));
        self.search = Search::default();
        self.promises.enter(body.view);
        if self.may_vote() {
            self.promises.forget_views_left();
        }
        let outcome = new_view::decide(body.view_changes.iter().map(|wish| &wish.body));
        let last = outcome.chosen.last().map_or(outcome.stable, |(seq, _)| *seq);
        let slots = self.adopted(&new_view);
        let next = last.max(self.stable()).next();
        self.mode = Mode::Active(Active { next, ..Active::new(slots, last) });
        self.answer_reads_by_opening(body.view, last);
        self.start_waits_anew(last);
        if let Some(certificate) = new_view.stable() {
            self.learn_certificate(certificate);
        }
        self.want_adopted(&outcome.chosen, body);
        self.collect_bodies();
        self.advance_all();
        self.pass_on_everything();
        self.propose();
        // Some may have asked for a later one already, its own primary among them.
        self.consider_wishes();
    }

    /// The slots that the new view starts with.
    fn adopted(&self, new_view: &Verified<Signed<NewView>>) -> BTreeMap<Seq, Slot> {
        let now = self.now.instant;
        new_view
            .proposals()
            .filter(|proposal| {
                let PrePrepare { seq, by, .. } = proposal.body;
                let counts = self.executor.lives().counts(by, seq);
                seq > self.stable() && seq <= self.window_end() && counts
            })
            .map(|proposal| {
                let mut slot = Slot::new(now);
                let seq = proposal.body.seq;
                slot.proposal = Some(proposal);
                slot.accepted = Some(now);
                (seq, slot)
            })
            .collect()
    }

    /// Takes what the view's opening chose and the window has reached only now.
    pub(super) fn adopt_reached(&mut self) {
        let (stable, end, now) = (self.stable(), self.window_end(), self.now.instant);
        if self.active().is_none_or(|active| active.chosen_up_to <= stable) {
            return;
        }
        let Some(opening) = self.opening.clone() else { return };
        for proposal in opening.new_view.proposals() {
            let PrePrepare { seq, digest, by, .. } = proposal.body;
            let counts = self.executor.lives().counts(by, seq);
            let is_taken = self.slot(seq).is_some_and(|slot| slot.proposal.is_some());
            if seq > stable && seq <= end && counts && !is_taken {
                let slot = self.slot_mut(seq);
                slot.proposal = Some(proposal);
                slot.accepted = Some(now);
                self.want(digest, Vec::new());
            }
        }
    }

    /// Marks what was chosen as proposed, and asks for the bodies that are not here.
    fn want_adopted(&mut self, chosen: &[(Seq, Digest)], body: &NewView) {
        for (seq, digest) in chosen {
            if let Some(batch) = self.bodies.get(digest).cloned() {
                self.mark_proposed(*seq, &batch);
            } else if *digest != NULL && *seq > self.stable() {
                let holders = body
                    .view_changes
                    .iter()
                    .flat_map(|wish| &wish.body.prepared)
                    .filter(|certificate| certificate.digest() == *digest)
                    .flat_map(|certificate| certificate.voters())
                    .map(|voter| voter.replica);
                self.want(*digest, holders.collect());
            }
        }
    }
}
