//! The language of stories: one command a line, or several with ` ; ` between. What
//! happened is told before each answer and at the end of a scene, grouped by what it was.
//!
//! | command | what it does |
//! | --- | --- |
//! | `cluster n=4 k=8 l=32 pipeline=8 …` | a new cluster that has just started |
//! | `submit c0 put a 1 + get a to r0 r1` | a request; `number=`, `ack=`, `key=` (who signs) |
//! | `deliver [KIND…] [from …] [to …] [seq=] [count=]` | what is on its way; bare: all, and what comes of it |
//! | `drop`, `duplicate`, `reverse`, `replay KIND…` | loses, doubles, turns round, sends again |
//! | `lose KIND…`, `partition r0 \| r1 r2`, `one-way r0 -> r1`, `heal` | links that lose |
//! | `hold KIND…`, `release` | links that keep |
//! | `pass 2s`, `clock r2 +1h` | time, and what a wall clock shows |
//! | `crash r0 [unsent]`, `restart r0 [--recover]` | `all` is everybody |
//! | `wipe`, `backup`, `restore`, `corrupt r2 KEY`, `hold-saves`, `release-saves` | disks |
//! | `liar r0`, `mute r0 KIND…`, `unmute r0`, `spoil r0` | who lies, and by leaving out or changing what |
//! | `batch A [time=] [forged=1] [stretched=1] c0#1 put a 1 , …` | a batch for liars; `#3` is what was proposed at 3 |
//! | `lie r0 KIND … [as=r1] [stolen=KIND] [foreign] to …` | a message made up, with the liar's own key |
//! | `repeat 5: …` | with `$i` for the turn |
//!
//! Questions: `state`, `order`, `value KEY`, `replies c0 1`, `read c0 get a to …`, `log r0`,
//! `queue`, `sent KIND…`, `evidence`, `rejects r0`, `held r0`, `patience`, `time`, `agree`.

use super::liar::{Claim, recast};
use super::{DAWN, Flight, Pick, Rule, World, client_key, parameters, show};
use quorate::message::{
    Batch, CheckedClient, Evidence, Fetch, Item, PeerMessage, PrePrepare, Reject, Request, Signed,
    Status, ToClient, ViewChange,
};
use quorate::message::{Checkpoint, batch::NULL};
use quorate::replica::{Notice, Replica, Settings};
use quorate::service::kv::KvOperation;
use quorate::types::{
    ClientId, Digest, Incarnation, ReplicaId, RequestNumber, Seq, Span, Timestamp, View,
};
use quorate::wire::{Blob, List};
use std::collections::{BTreeMap, BTreeSet};

/// A story while it is told.
#[derive(Default)]
pub struct Story {
    world: Option<World>,
    liars: BTreeSet<ReplicaId>,
    batches: BTreeMap<String, Option<Batch>>,
    numbers: BTreeMap<u32, u64>,
    kept_disks: BTreeMap<ReplicaId, super::Disk>,
    out: Vec<String>,
}

/// A command's words, sorted.
#[derive(Default)]
struct Words {
    plain: Vec<String>,
    options: BTreeMap<String, String>,
    from: Vec<ReplicaId>,
    to: Vec<ReplicaId>,
}

fn replica(word: &str) -> Option<ReplicaId> {
    word.strip_prefix('r')?.parse().ok().map(ReplicaId)
}

fn span(word: &str) -> Span {
    let digits = word.trim_end_matches(|one: char| one.is_ascii_alphabetic());
    let number: u64 = digits.parse().unwrap_or_else(|_| panic!("a span: {word}"));
    match &word[digits.len()..] {
        "ms" => Span::milliseconds(number),
        "s" => Span::seconds(number),
        "m" => Span::seconds(60 * number),
        "h" => Span::seconds(3_600 * number),
        unit => panic!("no unit of time is called {unit}"),
    }
}

/// A span with its sign, in microseconds.
fn offset(word: &str) -> i64 {
    let micros = |word| i64::try_from(span(word).0).expect("not that far");
    match word.strip_prefix('-') {
        Some(word) => -micros(word),
        None => micros(word.trim_start_matches('+')),
    }
}

impl Words {
    fn of(words: &[&str], replicas: usize) -> Words {
        let mut sorted = Words::default();
        let all = || (0..replicas as u16).map(ReplicaId);
        let mut words = words.iter().peekable();
        while let Some(word) = words.next() {
            if let Some((name, value)) = word.split_once('=') {
                sorted.options.insert(name.to_string(), value.to_string());
            } else if *word == "to" || *word == "from" {
                let list = if *word == "to" { &mut sorted.to } else { &mut sorted.from };
                while let Some(next) = words.peek() {
                    match replica(next) {
                        Some(one) => list.push(one),
                        None if **next == "all" => list.extend(all()),
                        None => break,
                    }
                    words.next();
                }
            } else {
                sorted.plain.push((*word).to_string());
            }
        }
        sorted
    }

    fn word(&self, at: usize) -> &str {
        self.plain.get(at).unwrap_or_else(|| panic!("word {at} of the command is missing"))
    }

    fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    fn number(&self, name: &str) -> Option<u64> {
        let parse = |value: &str| value.parse().unwrap_or_else(|_| panic!("{name}={value}"));
        self.option(name).map(parse)
    }

    fn replica(&self, at: usize) -> ReplicaId {
        replica(self.word(at)).unwrap_or_else(|| panic!("a replica: {}", self.word(at)))
    }

    fn client(&self, at: usize) -> u32 {
        let id = self.word(at).strip_prefix('c').and_then(|id| id.parse().ok());
        id.unwrap_or_else(|| panic!("a client: {}", self.word(at)))
    }

    fn pick(&self, first: usize) -> Pick {
        let kinds = self.plain[first.min(self.plain.len())..].to_vec();
        let kinds = if kinds == ["all"] { Vec::new() } else { kinds };
        let seq = self.number("seq").map(Seq);
        Pick { kinds, from: self.from.clone(), to: self.to.clone(), seq }
    }

    fn view(&self) -> View {
        View(self.number("view").unwrap_or(0))
    }

    fn seq(&self) -> Seq {
        Seq(self.number("seq").expect("seq="))
    }
}

fn operation(words: &[String]) -> Vec<u8> {
    let text = |at: usize| -> Blob {
        let word = words.get(at).unwrap_or_else(|| panic!("an operation: {words:?}"));
        match word.split_once('*') {
            Some((what, times)) => what.repeat(times.parse().expect("how many")).as_bytes().into(),
            None => word.as_bytes().into(),
        }
    };
    match words[0].as_str() {
        "put" => KvOperation::Put { key: text(1), value: text(2) }.to_bytes(),
        "get" => KvOperation::Get { key: text(1) }.to_bytes(),
        "delete" => KvOperation::Delete { key: text(1) }.to_bytes(),
        "nonsense" => b"nonsense".to_vec(),
        other => panic!("no operation is called {other}"),
    }
}

/// What says nothing about anybody: messages that came late, twice, or for nothing.
fn is_usual(reject: Reject) -> bool {
    matches!(
        reject,
        Reject::Duplicate
            | Reject::OldCertificate
            | Reject::Acknowledged
            | Reject::OldView
            | Reject::FutureView
            | Reject::ChangingViews
            | Reject::BelowWindow
            | Reject::NotHere
            | Reject::WrongNonce
            | Reject::Unrequested
            | Reject::NotReady
            | Reject::NotChosen
    )
}

/// Who, and what: lines in which all who did the same stand together.
fn grouped(lines: Vec<(ReplicaId, String)>) -> Vec<String> {
    let mut groups: Vec<(String, Vec<ReplicaId>)> = Vec::new();
    for (who, what) in lines {
        match groups.iter_mut().find(|(one, _)| *one == what) {
            Some((_, all)) => all.push(who),
            None => groups.push((what, vec![who])),
        }
    }
    let line = |(what, mut who): (String, Vec<ReplicaId>)| {
        who.sort_unstable();
        who.dedup();
        let who: Vec<String> = who.iter().map(|one| format!("{one:?}")).collect();
        format!("{}: {what}", who.join(" "))
    };
    groups.into_iter().map(line).collect()
}

impl Story {
    /// Carries out some lines of commands and tells what came of them.
    pub fn tell(&mut self, commands: &[&str]) -> Vec<String> {
        for line in commands {
            self.line(line);
        }
        self.tell_events();
        std::mem::take(&mut self.out)
    }

    fn line(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("repeat ") else {
            line.split(" ; ").for_each(|command| self.command(command.trim()));
            return;
        };
        let (times, commands) = rest.split_once(':').expect("repeat N: commands");
        for turn in 1..=times.parse::<u64>().expect("how often") {
            let commands = commands.replace("$i", &turn.to_string());
            commands.split(" ; ").for_each(|command| self.command(command.trim()));
        }
    }

    fn world(&mut self) -> &mut World {
        self.world.as_mut().expect("a story begins with its cluster")
    }

    fn replicas(&self) -> usize {
        self.world.as_ref().map_or(0, |world| world.nodes.len())
    }

    fn command(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (name, rest) = words.split_first().expect("a command");
        if matches!(*name, "partition" | "one-way") {
            return self.cut(name, rest);
        }
        let words = Words::of(rest, self.replicas());
        match *name {
            "cluster" => self.cluster(&words),
            "submit" => self.submit(&words),
            "read" => self.read(&words),
            "deliver" => self.deliver(&words),
            "drop" => self.drop_flights(&words),
            "lose" => self.world().rules.push(Rule::Lose(words.pick(0))),
            "hold" => self.world().rules.push(Rule::Hold(words.pick(0))),
            "release" => self.release(),
            "heal" => self.world().rules.retain(|rule| matches!(rule, Rule::Hold(_))),
            "reverse" => self.world().network.make_contiguous().reverse(),
            "duplicate" => {
                let all = self.world().network.clone();
                self.world().network.extend(all);
            }
            "replay" => self.replay(&words),
            "crash" => self.crash(&words),
            "restart" => self.restart(&words),
            "wipe" => {
                let id = words.replica(0);
                assert!(self.world().node(id).replica.is_none(), "it runs");
                self.put_disk(id, super::Disk::default());
            }
            "backup" => {
                let id = words.replica(0);
                let disk = self.world().node(id).disk.clone();
                self.kept_disks.insert(id, disk);
            }
            "restore" => {
                let id = words.replica(0);
                let disk = self.kept_disks[&id].clone();
                self.put_disk(id, disk);
            }
            "hold-saves" => self.world().node_mut(words.replica(0)).holds_saves = true,
            "release-saves" => self.world().release_saves(words.replica(0)),
            "corrupt" => {
                let id = words.replica(0);
                let states = &mut self.world().node_mut(id).disk.states;
                let (seq, tree) = states.iter_mut().next_back().expect("a saved state");
                let key = quorate::service::data::data_key(words.word(1).as_bytes());
                tree.put(&key, Blob::from(&b"rot"[..]), *seq);
            }
            "pass" => self.world().pass(span(words.word(0))),
            "clock" => {
                self.world().node_mut(words.replica(0)).wall_offset = offset(words.word(1));
            }
            "batch" => self.batch(rest),
            "liar" => drop(self.liar(&words)),
            "mute" => {
                let liar = self.liar(&words);
                let pick = Pick { from: vec![liar], ..words.pick(1) };
                self.world().mutes.push(pick);
            }
            "unmute" => {
                let liar = words.replica(0);
                self.world().mutes.retain(|mute| mute.from != [liar]);
            }
            "spoil" => {
                let liar = self.liar(&words);
                self.world().spoilers.insert(liar);
            }
            "lie" => self.lie(&words),
            question => self.question(question, &words),
        }
    }

    // Setting the scene.

    fn cluster(&mut self, words: &Words) {
        let mut rules = parameters();
        // Every replica's word is to be seen.
        let mut settings = Settings {
            eager: u64::MAX,
            spared_from: usize::MAX,
            reserved_votes: 0,
            ..Settings::default()
        };
        let (mut replicas, mut clients) = (4, 4);
        for (name, value) in &words.options {
            let number = || value.parse::<u64>().unwrap_or_else(|_| panic!("{name}={value}"));
            match name.as_str() {
                "n" => replicas = number(),
                "clients" => clients = number(),
                "k" => rules.checkpoint_interval = number(),
                "l" => rules.window = number(),
                "rotation" => rules.rotation = number(),
                "batch" => rules.batch_items = number(),
                "window" => rules.client_window = number(),
                "bundle" => rules.bundle_operations = number(),
                "tolerance" => rules.time_tolerance = span(value),
                "spacing" => rules.recovery_spacing = number(),
                "pipeline" => settings.pipeline = number(),
                "vouched" => settings.vouched_from = number() as usize,
                "patience" => settings.patience = span(value),
                "cap" => settings.most_patience = span(value),
                other => panic!("a cluster has no {other}"),
            }
        }
        let world = World::new(replicas as u16, clients as u32, rules, settings);
        self.world = Some(world);
        self.world().events.clear();
        self.world().nodes.iter_mut().for_each(|node| node.past.clear());
    }

    fn cut(&mut self, name: &str, words: &[&str]) {
        let sides: Vec<Vec<ReplicaId>> = words
            .split(|word| matches!(*word, "|" | "->"))
            .map(|side| side.iter().filter_map(|word| replica(word)).collect())
            .collect();
        let rule = match name {
            "partition" => Rule::Cut(sides),
            _ => {
                let (from, to) = (sides[0].clone(), sides[1].clone());
                Rule::Lose(Pick { from, to, ..Pick::default() })
            }
        };
        self.world().rules.push(rule);
    }

    // Clients.

    fn request(&mut self, words: &Words, first: usize) -> Signed<Request> {
        let client = words.client(first);
        let operations: Vec<Vec<u8>> =
            words.plain[first + 1..].split(|word| word == "+").map(operation).collect();
        let next = self.numbers.entry(client).or_insert(1);
        let number = words.number("number").unwrap_or(*next);
        *next = (*next).max(number.saturating_add(operations.len() as u64));
        let body = Request {
            client: ClientId(client),
            first: RequestNumber(number),
            acknowledged: RequestNumber(words.number("ack").unwrap_or(0)),
            operations: operations.into_iter().map(Blob::from).collect(),
        };
        let key = words.number("key").map_or(client, |key| key as u32);
        Signed::sign(body, &self.world().genesis.cluster(), &client_key(key))
    }

    fn submit(&mut self, words: &Words) {
        let request = self.request(words, 0);
        for to in &words.to {
            self.world().submit(&request, *to);
        }
    }

    fn read(&mut self, words: &Words) {
        self.tell_events();
        let client = words.client(0);
        let operation = operation(&words.plain[1..]);
        let mut lines = Vec::new();
        for to in &words.to {
            let before = self.world().to_clients.len();
            let message = CheckedClient::Read(RequestNumber(1), Blob::from(&operation[..]));
            self.world().client_input(ClientId(client), *to, message);
            let answers = &self.world().to_clients[before..];
            lines.extend(answers.iter().map(|(from, _, what)| (*from, show::to_client(what))));
        }
        self.out.extend(grouped(lines));
    }

    // The network.

    fn deliver(&mut self, words: &Words) {
        if words.plain.is_empty() && words.from.is_empty() && words.to.is_empty() {
            return self.world().deliver_all();
        }
        for flight in self.take(words) {
            self.world().deliver(flight);
        }
    }

    /// Takes what is meant off the network: all of it, or `count=`.
    fn take(&mut self, words: &Words) -> Vec<Flight> {
        let pick = words.pick(0);
        let most = words.number("count").map_or(usize::MAX, |count| count as usize);
        let mut taken = Vec::new();
        let flights = std::mem::take(&mut self.world().network);
        for flight in flights {
            match taken.len() < most && pick.fits(&flight) {
                true => taken.push(flight),
                false => self.world().network.push_back(flight),
            }
        }
        taken
    }

    fn drop_flights(&mut self, words: &Words) {
        let dropped = self.take(words);
        assert!(!dropped.is_empty(), "nothing such is on its way");
    }

    fn release(&mut self) {
        let world = self.world();
        world.rules.retain(|rule| !matches!(rule, Rule::Hold(_)));
        let held = std::mem::take(&mut world.held);
        world.network.extend(held);
    }

    fn replay(&mut self, words: &Words) {
        let pick = words.pick(0);
        let old: Vec<Flight> =
            self.world().history.iter().filter(|flight| pick.fits(flight)).cloned().collect();
        assert!(!old.is_empty(), "nothing such was ever sent");
        self.world().network.extend(old);
    }

    // Processes and disks.

    fn named(&mut self, words: &Words) -> Vec<ReplicaId> {
        match words.word(0) {
            "all" => self.world().ids().collect(),
            _ => words.plain.iter().filter_map(|word| replica(word)).collect(),
        }
    }

    fn put_disk(&mut self, id: ReplicaId, disk: super::Disk) {
        let node = self.world().node_mut(id);
        node.disk = disk;
        node.forgot = node.past.len();
    }

    /// With `unsent`, what it sent last never left it.
    fn crash(&mut self, words: &Words) {
        for id in self.named(words) {
            self.world().crash(id);
            if words.plain.iter().any(|word| word == "unsent") {
                self.world().network.retain(|flight| flight.from != id);
            }
        }
    }

    fn restart(&mut self, words: &Words) {
        let disk_was_lost = words.plain.iter().any(|word| word == "--recover");
        for id in self.named(words) {
            if let Err(error) = self.world().start(id, disk_was_lost) {
                self.tell_events();
                self.out.push(format!("{id:?}: does not start: {error}"));
            }
        }
    }

    // Liars.

    fn liar(&mut self, words: &Words) -> ReplicaId {
        let liar = words.replica(0);
        self.liars.insert(liar);
        liar
    }

    /// `batch NAME [time=+1h] [forged=1] [stretched=1] [c0#1 put a 1 , c1#1 put b 2]`
    fn batch(&mut self, words: &[&str]) {
        let name = words[0].to_string();
        let sorted = Words::of(&words[1..], 0);
        let wall = DAWN.0 + self.world().now.0;
        let time = wall.saturating_add_signed(sorted.option("time").map_or(0, offset));
        let mut items = Vec::new();
        let bundles = sorted.plain.split(|word| word == ",").filter(|words| !words.is_empty());
        for (at, bundle) in (1..).zip(bundles) {
            let (client, number) = bundle[0].split_once('#').expect("c0#1");
            let operations: List<Blob> = bundle[1..]
                .split(|word| word == "+")
                .map(|words| Blob::from(operation(words)))
                .collect();
            let client: u32 = client[1..].parse().expect("a client");
            let body = Request {
                client: ClientId(client),
                first: RequestNumber(number.parse().expect("a number")),
                acknowledged: RequestNumber(0),
                operations,
            };
            let key = if sorted.number("forged") == Some(at) { client + 50 } else { client };
            let cluster = self.world().genesis.cluster();
            let mut request = Signed::sign(body, &cluster, &client_key(key));
            if sorted.number("stretched") == Some(at) {
                super::liar::stretch(&mut request.signature);
            }
            items.push(Item::Request(request));
        }
        let batch = Batch::new(Timestamp(time), items);
        self.world().batches.insert(batch.digest(), batch.clone());
        self.batches.insert(name, Some(batch));
    }

    /// A batch by its name: one that the story made, `null`, or `#8` for what was
    /// proposed first at that number.
    fn known_batch(&mut self, name: &str) -> Option<Batch> {
        if let Some(number) = name.strip_prefix('#') {
            let seq = Seq(number.parse().expect("a number"));
            let found = self.world().history.iter().find_map(|flight| match &flight.message {
                PeerMessage::Propose(one, batch) if one.body.seq == seq => Some(batch.clone()),
                _ => None,
            });
            return found.expect("something was proposed there");
        }
        match name {
            "null" => None,
            name => self.batches.get(name).unwrap_or_else(|| panic!("no batch {name}")).clone(),
        }
    }

    fn digest_option(&mut self, words: &Words, name: &str) -> Option<Digest> {
        let name = words.option(name)?.to_string();
        Some(self.known_batch(&name).map_or(NULL, |batch| batch.digest()))
    }

    /// `lie r0 KIND …`: something that the replica's own code would never send.
    fn lie(&mut self, words: &Words) {
        let liar = self.liar(words);
        let named = words.option("as").and_then(replica).unwrap_or(liar);
        let stolen = words.option("stolen").map(str::to_string);
        let stolen = stolen.map(|kind| {
            self.world().signature_of(named, &kind).expect("it sent something of that kind")
        });
        let claim = Claim {
            liar,
            named,
            life: Incarnation(words.number("life").unwrap_or(0)),
            foreign: words.plain.iter().any(|word| word == "foreign"),
            stolen,
        };
        let message = self.crafted(&claim, words);
        let count = words.number("count").unwrap_or(1);
        for _ in 0..count {
            self.world().craft(liar, &words.to, &message);
        }
    }

    fn crafted(&mut self, claim: &Claim, words: &Words) -> PeerMessage {
        let (by, view) = (claim.by(), words.view());
        let other = self.digest_option(words, "with");
        match words.word(1) {
            "pre-prepare" => {
                let batch = self.known_batch(words.word(2));
                let digest = other.unwrap_or(batch.as_ref().map_or(NULL, Batch::digest));
                let body = PrePrepare { view, seq: words.seq(), digest, by };
                let batch = batch.filter(|_| !words.plain.iter().any(|word| word == "bodiless"));
                PeerMessage::Propose(self.world().sign(claim, body), batch)
            }
            kind @ ("prepare" | "commit") => {
                let batch = self.known_batch(words.word(2));
                let digest = batch.as_ref().map_or(NULL, Batch::digest);
                self.world().cast(claim, kind, view, words.seq(), digest)
            }
            "checkpoint" => {
                let digest = Digest::of(words.option("digest").unwrap_or("wrong").as_bytes());
                let body = Checkpoint { seq: words.seq(), digest, by };
                PeerMessage::Checkpoint(self.world().sign(claim, body))
            }
            "stable" => PeerMessage::Stable(self.world().forged_checkpoint(claim, words.seq())),
            "view-change" => {
                let shown = words.option("prepared").unwrap_or("none").to_string();
                let certificates = shown.split(',').filter(|one| *one != "none").map(|one| {
                    let (seq, how) = one.split_once(':').unwrap_or((one, "true"));
                    let seq = Seq(seq.parse().expect("a number"));
                    recast(&self.world.as_ref().expect("a cluster").shown(claim, seq, how, other))
                });
                let prepared = certificates.collect();
                let stable = match words.option("stable") {
                    Some("forged") => Some(self.world().forged_checkpoint(claim, Seq(800))),
                    Some("true") => self.highest_certificate(),
                    _ => None,
                };
                let body = ViewChange { view, by, stable, prepared };
                PeerMessage::ViewChange(self.world().sign(claim, body))
            }
            "new-view" => {
                let how = words.option("how").unwrap_or("right").to_string();
                let wishes_of = words.number("of").map_or(view, View);
                let wishes = self.world().wishes(wishes_of, &words.from);
                let opening = self.world().opening(claim, view, wishes, &how, other);
                PeerMessage::NewView(opening, None)
            }
            "status" => PeerMessage::Status(Status {
                view,
                active: true,
                stable: Seq(words.number("stable").unwrap_or(0)),
                executed: Seq(words.number("executed").unwrap_or(0)),
                slots: List::default(),
                view_changes: List::default(),
            }),
            "fetch" => PeerMessage::Fetch(Fetch::Decided(words.seq())),
            "evidence" => {
                let a = PrePrepare { view, seq: words.seq(), digest: Digest::of(b"a"), by };
                let b = PrePrepare { digest: Digest::of(b"b"), ..a };
                let world = self.world();
                PeerMessage::Evidence(Evidence::PrePrepare(
                    world.sign(claim, a),
                    world.sign(claim, b),
                ))
            }
            kind => panic!("no lie is called {kind}"),
        }
    }

    fn highest_certificate(&mut self) -> Option<quorate::message::CheckpointCertificate> {
        let nodes = self.world().nodes.iter();
        let certificates = nodes.filter_map(|node| node.replica.as_ref()?.stable_certificate());
        certificates.max_by_key(|one| one.seq()).map(|one| (**one).clone())
    }

    // Questions.

    fn question(&mut self, name: &str, words: &Words) {
        self.tell_events();
        let lines = match name {
            "state" => self.of_each(show::state),
            "patience" => {
                self.of_each(|replica| format!("waits {} ms", replica.patience().0 / 1_000))
            }
            "time" => self.of_each(|replica| {
                let since = replica.agreed().time.0 as i64 - DAWN.0 as i64;
                format!("agreed time {} ms at {}", since / 1_000, replica.executed())
            }),
            "evidence" => self.of_each(|replica| {
                let mut all: Vec<String> = replica
                    .evidence()
                    .iter()
                    .map(|one| format!("{:?} {}", one.accused().replica, show::evidence(one)))
                    .collect();
                all.sort();
                if all.is_empty() { "no evidence".to_string() } else { all.join(", ") }
            }),
            "value" => {
                let key = Blob::from(words.word(0).as_bytes());
                let operation = KvOperation::Get { key }.to_bytes();
                self.of_each(move |replica| {
                    show::result(&replica.state().query(ClientId(0), &operation).result.into())
                })
            }
            "held" => {
                let of = words.replica(0);
                let mut lines = self.of_each(|replica| show::held(&replica.held()));
                lines.retain(|(id, _)| *id == of);
                lines
            }
            "order" => return self.order(),
            "log" => return self.log(words.replica(0)),
            "sent" => {
                let pick = words.pick(0);
                let sent = self.world().history.iter().filter(|flight| pick.fits(flight)).count();
                return self.out.push(format!("{sent} sent"));
            }
            "queue" => return self.queue(words),
            "replies" => return self.replies(words),
            "rejects" => return self.rejects(words.replica(0)),
            "agree" => {
                let outcome = self.agreement();
                return self.out.push(outcome.unwrap_or_else(|wrong| panic!("{wrong}")));
            }
            other => panic!("no command is called {other}"),
        };
        self.out.extend(grouped(lines));
    }

    fn of_each(&mut self, what: impl Fn(&Replica) -> String) -> Vec<(ReplicaId, String)> {
        let ids: Vec<ReplicaId> = self.world().ids().collect();
        let world = self.world();
        let line = |id: ReplicaId| match &world.node(id).replica {
            Some(replica) => (id, what(replica)),
            None => (id, "down".to_string()),
        };
        ids.into_iter().map(line).collect()
    }

    /// What was executed at each number.
    fn order(&mut self) {
        let mut order: BTreeMap<Seq, Digest> = BTreeMap::new();
        for id in self.honest() {
            for notice in &self.world().node(id).past {
                if let Notice::Executed(seq, digest) = notice {
                    order.insert(*seq, *digest);
                }
            }
        }
        let world = self.world();
        let lines: Vec<String> =
            order.iter().map(|(seq, digest)| format!("{seq} {}", world.name(*digest))).collect();
        self.out.extend(lines);
    }

    fn log(&mut self, id: ReplicaId) {
        let world = self.world();
        let lines: Vec<String> =
            world.node(id).disk.log.iter().map(|one| world.record(one)).collect();
        self.out.extend(lines);
    }

    fn queue(&mut self, words: &Words) {
        let pick = words.pick(0);
        let world = self.world();
        let flights = world.network.iter().filter(|flight| pick.fits(flight));
        let lines: Vec<String> = flights
            .map(|one| format!("{:?} -> {:?}: {}", one.from, one.to, world.message(&one.message)))
            .collect();
        self.out.extend(lines);
    }

    /// What a client was told about a number, and whether it may believe it: `Q`
    /// replicas say the same.
    fn replies(&mut self, words: &Words) {
        let client = ClientId(words.client(0));
        let number: u64 = words.word(1).parse().expect("a number");
        let about = |message: &ToClient| match message {
            ToClient::Reply(reply) => reply.number.0 == number,
            ToClient::Refused(first, _) => first.0 == number,
            _ => false,
        };
        let told = self.world().to_clients.iter();
        let told = told.filter(|(_, to, message)| *to == client && about(message));
        let lines: Vec<(ReplicaId, String)> =
            told.map(|(from, _, message)| (*from, show::to_client(message))).collect();
        let mut votes: BTreeMap<String, BTreeSet<ReplicaId>> = BTreeMap::new();
        for (from, what) in &lines {
            votes.entry(what.clone()).or_default().insert(*from);
        }
        // Counted by hand: more than two thirds of all.
        let accepted = votes.values().any(|who| 3 * who.len() > 2 * self.replicas());
        self.out.extend(grouped(lines));
        self.out.push(if accepted { "accepted" } else { "not accepted" }.to_string());
    }

    fn rejects(&mut self, id: ReplicaId) {
        let mut counts: BTreeMap<Reject, u64> = BTreeMap::new();
        for notice in &self.world().node(id).past {
            if let Notice::Rejected(_, reject) = notice {
                *counts.entry(*reject).or_default() += 1;
            }
        }
        let lines = counts.iter().map(|(reject, count)| format!("{reject:?} {count}"));
        self.out.extend(lines);
    }

    /// Tells what happened since the last time.
    fn tell_events(&mut self) {
        let Some(world) = &mut self.world else { return };
        let mut lines: Vec<(ReplicaId, String)> = Vec::new();
        let mut executed: BTreeMap<ReplicaId, Vec<u64>> = BTreeMap::new();
        let mut refused: BTreeMap<(ReplicaId, Option<ReplicaId>, Reject), u64> = BTreeMap::new();
        for (id, notice) in std::mem::take(&mut world.events) {
            match &notice {
                Notice::Executed(seq, _) => executed.entry(id).or_default().push(seq.0),
                Notice::Rejected(from, reject) if !is_usual(*reject) => {
                    *refused.entry((id, *from, *reject)).or_default() += 1;
                }
                other => lines.extend(show::notice(other).map(|line| (id, line))),
            }
        }
        for ((id, from, reject), count) in refused {
            let from = from.map_or("a client".to_string(), |from| format!("{from:?}"));
            let times = if count > 1 { format!(", {count} times") } else { String::new() };
            lines.push((id, format!("refuses {reject:?} from {from}{times}")));
        }
        let runs = |numbers: Vec<u64>| format!("executes {}", show::runs(&numbers));
        lines.extend(executed.into_iter().map(|(id, numbers)| (id, runs(numbers))));
        self.out.extend(grouped(lines));
    }

    // What must hold at the end of every story.

    fn honest(&mut self) -> Vec<ReplicaId> {
        let liars = self.liars.clone();
        self.world().ids().filter(|id| !liars.contains(id)).collect()
    }

    /// The invariants, counted here without any help of the replica's own code.
    pub fn agreement(&mut self) -> Result<String, String> {
        let honest = self.honest();
        let (liars, world) = (self.liars.clone(), self.world());
        let mut executed: BTreeMap<Seq, Digest> = BTreeMap::new();
        let mut decided: BTreeMap<Seq, Digest> = BTreeMap::new();
        let mut stable: BTreeMap<Seq, Digest> = BTreeMap::new();
        let mut states: BTreeMap<Seq, Digest> = BTreeMap::new();
        for id in &honest {
            let node = world.node(*id);
            for notice in &node.past {
                let (map, seq, digest) = match notice {
                    Notice::Executed(seq, digest) => (&mut executed, seq, digest),
                    Notice::Decided(seq, digest, _) => (&mut decided, seq, digest),
                    Notice::Stable(seq, digest) => (&mut stable, seq, digest),
                    _ => continue,
                };
                if *map.entry(*seq).or_insert(*digest) != *digest {
                    return Err(format!("{id:?} disagrees at {seq}"));
                }
            }
            let Some(replica) = &node.replica else { continue };
            let digest = replica.state().digest();
            if *states.entry(replica.executed()).or_insert(digest) != digest {
                return Err(format!("{id:?} has another state at {}", replica.executed()));
            }
            if let Some(one) =
                replica.evidence().iter().find(|one| !liars.contains(&one.accused().replica))
            {
                return Err(format!("{id:?} accuses an honest replica: {one:?}"));
            }
        }
        for id in &honest {
            world.monotony(*id)?;
        }
        self.honesty()?;
        self.exactly_once(&executed)?;
        let count = executed.len();
        Ok(format!("{count} entries executed alike"))
    }

    /// The data is what the executed entries make of it when every number of every client
    /// counts once: computed here from the batches alone.
    fn exactly_once(&mut self, executed: &BTreeMap<Seq, Digest>) -> Result<(), String> {
        let honest = self.honest();
        let world = self.world();
        let window = world.genesis.parameters.client_window;
        let mut values: BTreeMap<Blob, Blob> = BTreeMap::new();
        let mut used: BTreeSet<(ClientId, u64)> = BTreeSet::new();
        let mut floors: BTreeMap<ClientId, u64> = BTreeMap::new();
        for seq in 1..=executed.len() as u64 {
            let Some(digest) = executed.get(&Seq(seq)) else { return Ok(()) };
            let items = world.batches.get(digest).map_or(&[][..], Batch::items);
            for item in items {
                let Item::Request(request) = item else { continue };
                let Request { client, first, acknowledged, operations } = &request.body;
                let floor = floors.entry(*client).or_default();
                *floor = (*floor).max(acknowledged.0);
                for (number, operation) in (first.0..).zip(operations) {
                    let is_open = number > *floor && number - *floor <= window;
                    if !is_open || !used.insert((*client, number)) {
                        continue;
                    }
                    match KvOperation::from_bytes(operation) {
                        Ok(KvOperation::Put { key, value }) => drop(values.insert(key, value)),
                        Ok(KvOperation::Delete { key }) => drop(values.remove(&key)),
                        _ => {}
                    }
                }
            }
        }
        let last = executed.len() as u64;
        for id in honest {
            let Some(replica) = &world.node(id).replica else { continue };
            if replica.executed() != Seq(last) || replica.is_diverged() {
                continue;
            }
            let data = quorate::service::View::new(replica.state().tree());
            for (key, value) in &values {
                if data.get(key).map(|entry| &entry.value) != Some(value) {
                    return Err(format!("{id:?} has another value under {}", show::text(key)));
                }
            }
        }
        Ok(())
    }

    /// No honest replica ever signed two things that conflict.
    fn honesty(&mut self) -> Result<(), String> {
        let liars = self.liars.clone();
        let mut signed: BTreeMap<(ReplicaId, u64, &str, View, Seq), Vec<u8>> = BTreeMap::new();
        for flight in &self.world().history {
            let message = &flight.message;
            let (by, view, seq, body) = match message {
                _ if flight.crafted => continue,
                PeerMessage::Propose(one, _) => {
                    (one.body.by, one.body.view, one.body.seq, one.body.digest.0.to_vec())
                }
                PeerMessage::Prepare(one) => {
                    (one.body.by, one.body.view, one.body.seq, one.body.digest.0.to_vec())
                }
                PeerMessage::Commit(one) => {
                    (one.body.by, one.body.view, one.body.seq, one.body.digest.0.to_vec())
                }
                PeerMessage::Checkpoint(one) => {
                    (one.body.by, View(0), one.body.seq, one.body.digest.0.to_vec())
                }
                PeerMessage::ViewChange(one) => {
                    (one.body.by, one.body.view, Seq(0), quorate::wire::encode(&one.body))
                }
                PeerMessage::NewView(one, _) => {
                    (one.body.by, one.body.view, Seq(0), quorate::wire::encode(&one.body))
                }
                _ => continue,
            };
            if liars.contains(&by.replica) {
                continue;
            }
            let place = (by.replica, by.incarnation.0, show::kind(message), view, seq);
            if signed.entry(place).or_insert_with(|| body.clone()) != &body {
                return Err(format!("{:?} signed two bodies: {place:?}", by.replica));
            }
        }
        Ok(())
    }
}

impl World {
    /// Views and stable checkpoints never go back, short of a lost disk.
    fn monotony(&self, id: ReplicaId) -> Result<(), String> {
        let (mut view, mut stable) = (None, None);
        let node = self.node(id);
        for notice in &node.past[node.forgot..] {
            let is_higher = match notice {
                Notice::Entered(entered) => view.replace(*entered) < Some(*entered),
                Notice::Stable(seq, _) => stable.replace(*seq) < Some(*seq),
                _ => true,
            };
            if !is_higher {
                return Err(format!("{id:?} went back: {notice:?}"));
            }
        }
        Ok(())
    }
}
