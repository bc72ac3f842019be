//! What a seed decides: who takes part, who lies, what goes wrong and when.

use super::random::Random;
use crate::message::Parameters;
use crate::replica::Settings;
use crate::types::{Instant, ReplicaId, Span};

/// Something that goes wrong, or right again.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Calamity {
    /// A replica's process ends at once.
    Crash(ReplicaId),
    /// It is started again from its disk.
    Restart(ReplicaId),
    /// Its disk is lost, and it is started with the operator's word for that.
    Wipe(ReplicaId),
    /// The process is stopped, and goes on later.
    Pause(ReplicaId, Span),
    /// These are cut off from the others.
    Partition(Vec<ReplicaId>),
    /// What one sends to another is lost.
    OneWay(ReplicaId, ReplicaId),
    /// Everything is held up for so long, and then comes at once.
    Dam(Span),
    /// All links are whole again.
    Mend,
    /// A clock jumps by so many microseconds.
    ClockJump(ReplicaId, i64),
    /// One disk is slow from here on.
    SlowDisk(ReplicaId),
    /// All processes end at once, and are started again.
    Blackout,
}

/// How bad the network is while anything may happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Weather {
    /// Messages lost, of a thousand.
    pub lost: u64,
    /// Messages that come twice, of a thousand.
    pub doubled: u64,
    /// Messages of which a copy comes again much later, of a thousand.
    pub replayed: u64,
    /// The longest delay.
    pub most_delay: Span,
}

/// The weather after everything has healed.
pub const CALM: Weather =
    Weather { lost: 0, doubled: 0, replayed: 0, most_delay: Span::milliseconds(3) };

/// Everything that a seed decides before the first step.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many replicas.
    pub replicas: u16,
    /// What all agree on.
    pub parameters: Parameters,
    /// Each replica's own settings.
    pub settings: Settings,
    /// How many clients, and how many operations each wants done.
    pub clients: u32,
    /// Operations for each client.
    pub operations: u64,
    /// Over how many keys.
    pub keys: u64,
    /// Who lies, and the index of its behaviour in the cast.
    pub liars: Vec<(ReplicaId, usize)>,
    /// What goes wrong, and when.
    pub calamities: Vec<(Instant, Calamity)>,
    /// The weather until then.
    pub weather: Weather,
    /// When everything heals but the liars.
    pub healed: Instant,
}

impl Plan {
    /// The plan of a seed. `replicas` and `behaviour` override what it would choose.
    pub fn new(
        random: &mut Random,
        replicas: Option<u16>,
        behaviour: Option<usize>,
        behaviours: usize,
    ) -> Plan {
        let drawn = [4, 4, 4, 4, 4, 4, 4, 5, 6, 7, 7, 10];
        let replicas = replicas.unwrap_or(*random.pick(&drawn).unwrap_or(&4));
        let faults = (u64::from(replicas) - 1) / 3;
        let parameters = parameters(random);
        let settings = settings(random);
        let healed = Instant(random.between(4, 14) * 1_000_000);
        let mut candidates: Vec<ReplicaId> = (0..replicas).map(ReplicaId).collect();
        let mut liars = Vec::new();
        let lying = if behaviour.is_some() { faults } else { random.between(0, faults) };
        for _ in 0..lying {
            // Early primaries lie more often: that is where it hurts.
            let index =
                random.below(candidates.len() as u64).min(random.below(candidates.len() as u64));
            let liar = candidates.remove(usize::try_from(index).unwrap_or(0));
            let drawn = usize::try_from(random.below(behaviours as u64)).unwrap_or(0);
            liars.push((liar, behaviour.unwrap_or(drawn)));
        }
        let wipes = faults - lying;
        let calamities = calamities(random, replicas, &candidates, wipes, healed);
        let weather = weather(random);
        let clients = u32::try_from(random.between(1, 4)).unwrap_or(1);
        let operations = random.between(8, 40) / u64::from(clients) + 6;
        let keys = random.between(1, 6);
        Plan {
            replicas,
            parameters,
            settings,
            clients,
            operations,
            keys,
            liars,
            calamities,
            weather,
            healed,
        }
    }
}

fn parameters(random: &mut Random) -> Parameters {
    let checkpoint_interval = *random.pick(&[2, 4, 4, 8, 16]).unwrap_or(&4);
    let window = checkpoint_interval * random.between(2, 4);
    let rotation = if random.in_thousand(100) { random.between(1, 3) } else { 0 };
    Parameters {
        checkpoint_interval,
        window,
        batch_items: random.between(1, 8),
        client_window: 64,
        bundle_operations: 8,
        recovery_spacing: random.between(1, 4),
        rotation,
        ..Parameters::default()
    }
}

fn settings(random: &mut Random) -> Settings {
    Settings {
        patience: Span::milliseconds(random.between(150, 1_000)),
        most_patience: Span::seconds(8),
        status_interval: Span::milliseconds(random.between(50, 200)),
        fetch_timeout: Span::milliseconds(random.between(50, 300)),
        pipeline: random.between(1, 8),
        fill_up_interval: Span::milliseconds(random.between(5, 20)),
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

fn calamities(
    random: &mut Random,
    replicas: u16,
    honest: &[ReplicaId],
    mut wipes: u64,
    healed: Instant,
) -> Vec<(Instant, Calamity)> {
    let mut planned = Vec::new();
    for _ in 0..random.between(0, 8) {
        let at = Instant(random.below(healed.0));
        let one = *random.pick(honest).unwrap_or(&ReplicaId(0));
        let other = ReplicaId(u16::try_from(random.below(u64::from(replicas))).unwrap_or(0));
        let span = Span::milliseconds(random.between(10, 3_000));
        let later = at.plus(span);
        match random.below(10) {
            0 | 1 => {
                planned.push((at, Calamity::Crash(one)));
                planned.push((later, Calamity::Restart(one)));
            }
            2 if wipes > 0 => {
                wipes -= 1;
                planned.push((at, Calamity::Wipe(one)));
            }
            2 | 3 => planned.push((at, Calamity::Pause(one, span))),
            4 => {
                let many = random.between(1, u64::from(replicas) - 1);
                let island = (0..replicas)
                    .map(ReplicaId)
                    .filter(|_| random.below(u64::from(replicas)) < many);
                let island = island.collect();
                planned.push((at, Calamity::Partition(island)));
                planned.push((later, Calamity::Mend));
            }
            5 => {
                planned.push((at, Calamity::OneWay(one, other)));
                planned.push((later, Calamity::Mend));
            }
            6 => planned.push((at, Calamity::Dam(span))),
            7 => {
                let jump = i64::try_from(random.below(7_200_000_000)).unwrap_or(0) - 3_600_000_000;
                planned.push((at, Calamity::ClockJump(one, jump)));
                planned.push((later, Calamity::ClockJump(one, -jump)));
            }
            8 => planned.push((at, Calamity::SlowDisk(one))),
            _ => planned.push((at, Calamity::Blackout)),
        }
    }
    planned.sort();
    planned
}
