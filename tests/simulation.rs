//! A few simulated worlds in every test run; `quorate simulate` runs as many as one likes.

use quorate::byzantine::cast;
use quorate::sim::{self, Control, Invariant, Options, Plan, Report};

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

/// By what a broken promise is noticed, in so many seeds from 0 on.
fn caught_within(control: Control, most: u64) -> impl Iterator<Item = Invariant> {
    let control = Some(control);
    (0..most).filter_map(move |seed| {
        let report = sim::run(&Options { seed, control, ..Options::default() });
        report.violation.map(|violation| violation.invariant)
    })
}

/// S19, P1, B1: a check that cannot fail is worse than none.
#[test]
fn more_than_f_equivocators_are_noticed() {
    // Two certificates of one place may be seen before anybody executes by them.
    let mut caught = caught_within(Control::Equivocators, 20);
    assert!(caught.any(|invariant| invariant == Invariant::Agreement));
}

/// S4, S13: with every disk lying, a blackout loses what clients were told.
#[test]
fn disks_that_all_lie_are_noticed() {
    let invariant = caught_within(Control::LyingDisks, 5).next().expect("it is noticed");
    assert!(
        matches!(invariant, Invariant::Agreement | Invariant::Honesty | Invariant::Clients),
        "{invariant:?}"
    );
}

/// A plan may be changed and run: what is left of it goes much as it would have gone.
#[test]
fn a_plan_without_its_calamities_is_a_run_as_well() {
    for seed in 0..10 {
        let options = Options { seed, ..Options::default() };
        let mut plan = Plan::of(&options);
        assert_eq!(sim::run_plan(plan.clone(), &options).digest, run(options.clone()).digest);
        plan.calamities.clear();
        plan.liars.clear();
        plan.hostile.clear();
        plan.twins = None;
        plan.operations = 3;
        let report = sim::run_plan(plan, &options);
        assert_eq!(report.violation, None, "seed {seed}");
        assert!(report.coverage.0.keys().all(|what| !what.starts_with("behaviour")));
    }
}
