//! A few simulated worlds in every test run; `quorate simulate` runs as many as one likes.

use quorate::byzantine::cast;
use quorate::sim::{self, Options, Report};

fn run(options: Options) -> Report {
    let report = sim::run(&options);
    if let Some(violation) = &report.violation {
        panic!("{options:?} breaks {violation}\n{}", report.story.join("\n"));
    }
    report
}

#[test]
fn a_hundred_worlds_keep_every_invariant() {
    for seed in 0..100 {
        run(Options { seed, ..Options::default() });
    }
}

#[test]
fn every_behaviour_of_the_cast_is_lived_with() {
    for role in cast() {
        for seed in 0..3 {
            let behaviour = Some(role.name.to_string());
            run(Options { seed, behaviour, ..Options::default() });
        }
    }
}

#[test]
fn a_seed_is_one_run() {
    for seed in [7, 42, 1_000] {
        let traced = run(Options { seed, trace: true, ..Options::default() });
        let again = run(Options { seed, ..Options::default() });
        assert_eq!(traced.digest, again.digest, "seed {seed}");
        assert_eq!(traced.steps, again.steps);
        assert!(!traced.trace.is_empty());
    }
}

/// Seeds that failed once. Each was a bug of the protocol's code, told in the commit that
/// mended it.
#[test]
fn worlds_that_failed_once_hold() {
    // A decided entry without its body held up state transfer.
    run(Options { seed: 4, ..Options::default() });
    // What was recorded in the step of a compaction was forgotten with the old log.
    run(Options { seed: 37, ..Options::default() });
    // A proposal brought the body of a decided entry, and nobody executed it.
    run(Options { seed: 88, ..Options::default() });
    // After a restart nobody could serve the state of the stable checkpoint.
    run(Options { seed: 2_823, ..Options::default() });
}
