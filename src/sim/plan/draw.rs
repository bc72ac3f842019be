//! How a seed draws its plan.

use super::{CALM, Calamity, Control, HOSTILITIES, Hostility, MOMENTS, Plan, Weather};
use crate::byzantine::cast;
use crate::message::Parameters;
use crate::replica::Settings;
use crate::sim::Options;
use crate::sim::model::Signatures;
use crate::sim::random::Random;
use crate::types::{ClientId, Instant, ReplicaId, Span};

/// One seed in so many uses the node's own signatures.
const REAL_SIGNATURES_EVERY: u64 = 100;

/// A network that stays slow is drawn for clusters up to this size: large ones take long.
const MOST_SLOW: u16 = 6;

/// No client waits so many seconds.
const NEVER: u64 = 100_000;

/// Of a thousand worlds, so many have as many liars as there may be; the others, any number.
const ALL_LIE: u64 = 150;

/// Of a thousand calamities, so many befall those who are faulty already.
const BEFALLS_LIARS: u64 = 120;

/// In half of the worlds liars stay in office though they are convicted: else they would not
/// get far.
fn are_convicts_borne(seed: u64) -> bool {
    seed % 6 < 3
}

/// How many parts one liar plays.
const PARTS: [u64; 6] = [1, 1, 2, 3, 4, 6];

pub(super) fn plan(random: &mut Random, options: &Options) -> Plan {
    let drawn = [4, 4, 4, 4, 4, 4, 4, 4, 4, 5, 6, 7, 7, 10];
    let replicas = options.replicas.unwrap_or(one_of(random, &drawn));
    let faults = (u64::from(replicas) - 1) / 3;
    let mut plan = Plan {
        replicas,
        parameters: parameters(random),
        settings: settings(random),
        clients: u32::try_from(random.between(1, 4)).unwrap_or(1),
        operations: 0,
        keys: random.between(1, 6),
        hostile: hostile(random),
        hostile_first: random.in_thousand(500),
        timeout: Span::seconds(if random.in_thousand(200) { random.between(3, 15) } else { NEVER }),
        large_values: random.in_thousand(300),
        gathers: Span(if random.in_thousand(500) { random.between(200, 3_000) } else { 0 }),
        liars: Vec::new(),
        bears_convicts: are_convicts_borne(options.seed),
        mood: Span::milliseconds(random.between(100, 1_500)),
        twins: None,
        calamities: Vec::new(),
        weather: weather(random),
        calm: CALM,
        healed: Instant(random.between(2, 7) * 1_000_000),
        signatures: match options.seed % REAL_SIGNATURES_EVERY {
            0 => Signatures::Real,
            _ => Signatures::Modelled,
        },
        control: options.control,
    };
    if replicas <= MOST_SLOW && random.in_thousand(100) {
        // However short its patience was at first, a slow network is borne.
        plan.calm.most_delay = Span::milliseconds(random.between(100, 400));
        plan.timeout = Span::seconds(NEVER);
        plan.settings.patience = Span::milliseconds(random.between(50, 300));
        // These an operator sets by the network.
        plan.settings.status_interval = plan.calm.most_delay;
        plan.settings.fetch_timeout = plan.calm.most_delay.times(2);
        plan.settings.pipeline = plan.settings.pipeline.max(3);
    }
    if plan.large_values {
        limits_in_bytes(random, &mut plan.parameters);
    }
    plan.operations = random.between(8, 26) / u64::from(plan.clients) + 4;
    match options.control {
        None => {
            let lying = if options.behaviour.is_some() || random.in_thousand(ALL_LIE) {
                faults
            } else {
                random.between(0, faults)
            };
            let honest = liars(random, &mut plan, lying, options.behaviour.as_deref());
            let has_room = lying < faults && !honest.is_empty();
            if has_room && options.behaviour.is_none() && random.in_thousand(150) {
                plan.twins = random.pick(&honest).copied();
            }
            let others =
                honest.into_iter().filter(|id| plan.twins != Some(*id)).collect::<Vec<_>>();
            calamities(random, &mut plan, &others);
            let is_fetched_from = |(_, part): &(ReplicaId, &str)| {
                FETCHED_FROM.contains(part) || OF_LIVES[..2].contains(part)
            };
            let is_wanted = plan.liars.iter().any(is_fetched_from) && random.in_thousand(500);
            if is_wanted || random.in_thousand(PLOTS) {
                plot(random, &mut plan, &others, is_wanted);
            }
        }
        Some(Control::Equivocators) => {
            plan.bears_convicts = true;
            liars(random, &mut plan, faults + 1, Some("two-faced"));
        }
        Some(Control::LyingDisks) => lying_disks(random, &mut plan),
    }
    plan.calamities.sort();
    plan
}

fn one_of<T: Copy + Default>(random: &mut Random, from: &[T]) -> T {
    random.pick(from).copied().unwrap_or_default()
}

fn parameters(random: &mut Random) -> Parameters {
    let checkpoint_interval = one_of(random, &[2, 4, 4, 8, 16]).max(1);
    let window = checkpoint_interval * random.between(2, 4);
    let rotation = if random.in_thousand(100) { random.between(1, 3) } else { 0 };
    Parameters {
        checkpoint_interval,
        window,
        batch_items: random.between(1, 8),
        client_window: one_of(random, &[12, 16, 32, 64]).max(12),
        bundle_operations: 8,
        recovery_spacing: random.between(1, 4),
        rotation,
        time_tolerance: Span::milliseconds(random.between(500, 10_000)),
        ..Parameters::default()
    }
}

/// Limits that are met by values of a few hundred bytes.
fn limits_in_bytes(random: &mut Random, parameters: &mut Parameters) {
    parameters.result_bytes = 2_048;
    parameters.client_kept_bytes = parameters.result_bytes * random.between(2, 4);
    parameters.bundle_bytes = 2_048;
    parameters.batch_bytes = random.between(2_500, 6_000);
}

fn settings(random: &mut Random) -> Settings {
    Settings {
        patience: Span::milliseconds(random.between(150, 1_000)),
        most_patience: Span::seconds(8),
        status_interval: Span::milliseconds(random.between(50, 200)),
        fetch_timeout: Span::milliseconds(random.between(50, 300)),
        pipeline: random.between(1, 8),
        eager: random.between(1, 8),
        gathering: Span::milliseconds(one_of(random, &[0, 1, 10, 100])),
        fill_up_interval: Span::milliseconds(random.between(5, 20)),
        vouched_from: one_of(random, &[1, 1, 2, 4, usize::MAX]),
        vouching_patience: Span::milliseconds(random.between(10, 200)),
        reserved_votes: one_of(random, &[0, 2, 4, 16, 64]),
        spared_from: one_of(random, &[1, 1, 2, 4, usize::MAX]),
        replies_for: Span::milliseconds(random.between(10, 2_000)),
        ..Settings::default()
    }
}

fn weather(random: &mut Random) -> Weather {
    match random.below(4) {
        0 => Weather { most_delay: Span::milliseconds(10), ..CALM },
        1 => Weather {
            lost: random.below(100),
            doubled: 50,
            replayed: 10,
            most_delay: Span::milliseconds(30),
        },
        2 => Weather {
            lost: random.below(300),
            doubled: 100,
            replayed: 20,
            most_delay: Span::milliseconds(100),
        },
        _ => Weather {
            lost: random.below(50),
            doubled: 20,
            replayed: 50,
            most_delay: Span::milliseconds(500),
        },
    }
}

fn hostile(random: &mut Random) -> Vec<Hostility> {
    let count = random.below(4).saturating_sub(1);
    (0..count).filter_map(|_| random.pick(&HOSTILITIES).copied()).collect()
}

/// Of a thousand worlds, so many have liars of one kind only.
const THEMES: u64 = 300;

/// Parts that make use of each other, or of one fault.
const FETCHED_FROM: [&str; 6] = [
    "state-poisoner",
    "state-ager",
    "state-flooder",
    "state-trickler",
    "state-denier",
    "certificate-forger",
];
const ASKED_BY_CLIENTS: [&str; 5] =
    ["client-liar", "client-conspirator", "client-refuser", "prover", "client-denier"];
const IN_VIEW_CHANGES: [&str; 8] = [
    "hider",
    "inventor",
    "certificate-forger",
    "bogus-new-view",
    "stale-new-view",
    "two-openings",
    "partial-new-view",
    "revenant",
];
const OF_LIVES: [&str; 4] = ["reviver", "revenant", "double-voter", "vote-replayer"];
const PROPOSING: [&str; 8] = [
    "equivocating",
    "two-faced",
    "forged-request",
    "forging-together",
    "wrong-digest",
    "sequence-jumper",
    "withholder",
    "double-voter",
];

/// Draws the liars, and returns who is left.
fn liars(
    random: &mut Random,
    plan: &mut Plan,
    count: u64,
    behaviour: Option<&str>,
) -> Vec<ReplicaId> {
    let roles = cast();
    let chosen = roles.iter().find(|role| Some(role.name) == behaviour).map(|role| role.name);
    let themes: [&[&str]; 5] =
        [&FETCHED_FROM, &ASKED_BY_CLIENTS, &IN_VIEW_CHANGES, &OF_LIVES, &PROPOSING];
    let theme = match random.in_thousand(THEMES) {
        true => random.pick(&themes).copied().unwrap_or(&[]),
        false => &[],
    };
    let names: Vec<&str> = roles.iter().map(|role| role.name).collect();
    let names: Vec<&str> =
        names.into_iter().filter(|name| theme.is_empty() || theme.contains(name)).collect();
    let mut candidates: Vec<ReplicaId> = (0..plan.replicas).map(ReplicaId).collect();
    for _ in 0..count {
        // Early primaries lie more often: that is where it hurts.
        let many = candidates.len() as u64;
        let index = random.below(many).min(random.below(many));
        let liar = candidates.remove(usize::try_from(index).unwrap_or(0));
        if let Some(chosen) = chosen {
            plan.liars.push((liar, chosen));
            continue;
        }
        for _ in 0..one_of(random, &PARTS) {
            let part = (liar, random.pick(&names).copied().unwrap_or("silent"));
            if !plan.liars.contains(&part) {
                plan.liars.push(part);
            }
        }
    }
    candidates
}

fn lying_disks(random: &mut Random, plan: &mut Plan) {
    for id in (0..plan.replicas).map(ReplicaId) {
        plan.calamities.push((Instant(0), Calamity::Lie(id)));
    }
    for _ in 0..3 {
        let at = Instant(random.between(500_000, plan.healed.0 - 1));
        plan.calamities.push((at, Calamity::Blackout));
        for id in (0..plan.replicas).map(ReplicaId) {
            plan.calamities.push((at.plus(Span(1)), Calamity::Lie(id)));
        }
    }
}

/// What befalls, most of it those who don't lie.
fn calamities(random: &mut Random, plan: &mut Plan, honest: &[ReplicaId]) {
    let faulty: Vec<ReplicaId> = plan.all_liars().into_iter().chain(plan.twins).collect();
    for _ in 0..random.between(0, 9) {
        let at = Instant(random.below(plan.healed.0));
        let whom = if random.in_thousand(BEFALLS_LIARS) { &faulty } else { honest };
        let one = random.pick(whom).copied().unwrap_or(one_of(random, honest));
        let span = Span::milliseconds(random.between(10, 3_000));
        let befall = match random.below(20) {
            0..=5 => process,
            6..=10 => disk,
            11..=15 => network,
            16..=17 => clock,
            _ => client,
        };
        let befalling = befall(random, plan, one, span);
        plan.calamities.extend(befalling.into_iter().map(|(after, what)| (at.plus(after), what)));
    }
}

/// Of a thousand worlds, in so many one thing follows from another.
const PLOTS: u64 = 200;

/// Things that are much worse together than one by one.
fn plot(random: &mut Random, plan: &mut Plan, honest: &[ReplicaId], is_to_fetch: bool) {
    let (one, other) = (one_of(random, honest), one_of(random, honest));
    let begin = Instant(random.below(plan.healed.0 / 2));
    let step = Span(random.between(plan.healed.0 / 20, plan.healed.0 / 6));
    let small = Span::milliseconds(random.between(50, 500));
    let island = vec![one];
    let befalling = match if is_to_fetch { random.between(3, 4) } else { random.below(5) } {
        // A disk is lost again and again.
        0 => {
            (0..random.between(2, 3)).map(|turn| (step.times(turn), Calamity::Wipe(one))).collect()
        }
        // Several are, at a time.
        1 => vec![(NOW, Calamity::Wipe(one)), (small, Calamity::Wipe(other))],
        // Whoever was away meets a view that was opened by the wish of a lost life.
        2 => vec![
            (NOW, Calamity::Partition(island)),
            (small, Calamity::CrashPrimary(step)),
            (step, Calamity::Wipe(other)),
            (step.times(3), Calamity::Mend),
        ],
        // One is far behind when the view changes, and hears of that first.
        3 => vec![
            (NOW, Calamity::Partition(island)),
            (step.times(2), Calamity::Mend),
            (step.times(2), Calamity::CrashPrimary(small)),
        ],
        // One is away for long.
        _ => vec![(NOW, Calamity::Partition(island)), (step.times(3), Calamity::Mend)],
    };
    plan.operations *= 2;
    plan.calamities.extend(befalling.into_iter().map(|(after, what)| (begin.plus(after), what)));
}

/// Something with, perhaps, its end.
type Befalling = Vec<(Span, Calamity)>;

/// At once.
const NOW: Span = Span(0);

fn process(random: &mut Random, _: &Plan, one: ReplicaId, span: Span) -> Befalling {
    let moment = random.pick(&MOMENTS).copied().unwrap_or(MOMENTS[0]);
    match random.below(10) {
        0 => vec![(NOW, Calamity::Crash(one)), (span, Calamity::Restart(one))],
        1 => vec![(NOW, Calamity::Stop(one)), (span, Calamity::Restart(one))],
        2..=4 => vec![(NOW, Calamity::CrashAt(one, moment, span))],
        5 => vec![(NOW, Calamity::CrashPrimary(span))],
        6 => vec![(NOW, Calamity::PausePrimary(span))],
        7 => vec![(NOW, Calamity::Pause(one, span))],
        8 => {
            let many = random.between(2, 6);
            let each = Span(span.0 / many / 2 + 1);
            let crash = |turn: u64| (each.times(2 * turn), Calamity::Crash(one));
            let restart = |turn: u64| (each.times(2 * turn + 1), Calamity::Restart(one));
            (0..many).flat_map(|turn| [crash(turn), restart(turn)]).collect()
        }
        _ => {
            let many = random.between(1, 3);
            (0..many).map(|turn| (Span(span.0 / 4 * turn), Calamity::Blackout)).collect()
        }
    }
}

fn disk(random: &mut Random, _: &Plan, one: ReplicaId, span: Span) -> Befalling {
    let restart = (span, Calamity::Restart(one));
    match random.below(12) {
        0 | 1 => vec![(NOW, Calamity::Wipe(one))],
        2 => vec![(NOW, Calamity::WipeUnnoticed(one))],
        3 | 4 => vec![(NOW, Calamity::Backup(one)), (span, Calamity::PutBack(one))],
        5 => vec![(NOW, Calamity::RotLog(one)), restart],
        6 => vec![(NOW, Calamity::RotState(one))],
        7 | 8 => {
            let again = (span.times(2), Calamity::Restart(one));
            vec![(NOW, Calamity::Lie(one)), (span, Calamity::Crash(one)), again]
        }
        9 => vec![(NOW, Calamity::FailSync(one))],
        10 => vec![(NOW, Calamity::Fill(one, span))],
        _ => vec![(NOW, Calamity::SlowDisk(one))],
    }
}

fn some_replicas(random: &mut Random, replicas: u16) -> Vec<ReplicaId> {
    let many = random.between(1, u64::from(replicas) - 1);
    let all = (0..replicas).map(ReplicaId);
    all.filter(|_| random.below(u64::from(replicas)) < many).collect()
}

fn network(random: &mut Random, plan: &Plan, one: ReplicaId, span: Span) -> Befalling {
    let other = ReplicaId(u16::try_from(random.below(u64::from(plan.replicas))).unwrap_or(0));
    let island = some_replicas(random, plan.replicas);
    let until = |what: Calamity| vec![(NOW, what), (span, Calamity::Mend)];
    match random.below(9) {
        0 | 1 => until(Calamity::Partition(island)),
        2 => until(Calamity::Bridge(other, island)),
        3 => until(Calamity::Rotate(Span(span.0 / random.between(2, 8) + 1))),
        4 => until(Calamity::OneWay(one, other)),
        5 => {
            let client =
                ClientId(u32::try_from(random.below(u64::from(plan.clients))).unwrap_or(0));
            match random.in_thousand(500) {
                true => until(Calamity::CutClient(client, island)),
                false => {
                    let all_but_one = (0..plan.replicas).map(ReplicaId).filter(|id| *id != other);
                    until(Calamity::CutClient(client, all_but_one.collect()))
                }
            }
        }
        6 => vec![(NOW, Calamity::Dam(span))],
        _ => vec![(NOW, Calamity::Replay(random.between(10, 200)))],
    }
}

fn clock(random: &mut Random, plan: &Plan, one: ReplicaId, span: Span) -> Befalling {
    let tolerated = plan.parameters.time_tolerance.0;
    match random.below(4) {
        0 => {
            // Far off, or by as much as is borne.
            let most = one_of(random, &[3_600_000_000, tolerated, tolerated / 2]).max(1);
            let jump = i64::try_from(random.below(2 * most)).unwrap_or(0)
                - i64::try_from(most).unwrap_or(0);
            vec![(NOW, Calamity::ClockJump(one, jump)), (span, Calamity::ClockJump(one, -jump))]
        }
        1 => vec![(NOW, Calamity::WallRate(one, 0))],
        2 => {
            let rate = one_of(random, &[500, 900, 1_100, 2_000, 10_000]);
            vec![(NOW, Calamity::WallRate(one, rate))]
        }
        _ => vec![(NOW, Calamity::Rate(one, random.between(500, 2_000)))],
    }
}

fn client(random: &mut Random, plan: &Plan, _: ReplicaId, span: Span) -> Befalling {
    let one = ClientId(u32::try_from(random.below(u64::from(plan.clients))).unwrap_or(0));
    match random.below(4) {
        0 => vec![(NOW, Calamity::ClientContinues(one))],
        1 => vec![(NOW, Calamity::ClientLosesCount(one))],
        2 => {
            let again = |after: u64| (Span(span.0 / 8 * after), Calamity::ClientLosesCount(one));
            (0..random.between(2, 5)).map(again).collect()
        }
        _ => vec![(NOW, Calamity::ClientAbandons(one))],
    }
}
