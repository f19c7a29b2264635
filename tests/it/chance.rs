//! A random schedule: people post, CareSoft fails in every way, the process is stopped, killed or
//! dies between two steps, the clock goes ahead; and in the end all is as it was promised.
//!
//! `LEADGATE_SEED` repeats what is done and in which order; when exactly things happen it cannot.

use std::io::Write;
use std::time::{Duration, Instant};

use leadgate::fail_point::FailPoint;
use leadgate::sandbox::{Fault, FaultKind, Options, Route};

use crate::gateway::{Backing, over_every_store};
use crate::mortal::{LEASE, Mortal};

over_every_store!(whatever_happens_every_promise_is_kept);

/// How long things happen. Coming to rest takes some seconds more.
const LASTS: Duration = Duration::from_secs(25);

/// So many people post, again and again, and say something else each time.
const PEOPLE: u64 = 60;

/// All but a duplicate, which makes two leads of one whatever the gateway does.
const KINDS: [FaultKind; 15] = [
    FaultKind::CommitNoAnswer,
    FaultKind::CommitReset,
    FaultKind::NoAnswer,
    FaultKind::Reset,
    FaultKind::Commit500,
    FaultKind::Commit502,
    FaultKind::Error500,
    FaultKind::CommitEmpty,
    FaultKind::CommitCutJson,
    FaultKind::CommitWithoutId,
    FaultKind::Slow(Duration::from_millis(200)),
    FaultKind::Unauthorized,
    FaultKind::TooManyRequests,
    FaultKind::LockOut,
    FaultKind::Unavailable,
];

/// What the gateway asks for; `None` is anything.
const ROUTES: [Option<Route>; 8] = [
    None,
    Some(Route::CreateLead),
    Some(Route::CreateLead),
    Some(Route::CreateLead),
    Some(Route::UpdateLead),
    Some(Route::Lead),
    Some(Route::Leads),
    Some(Route::ContactByPhone),
];

/// How far the clock goes ahead between two lives: not at all, to the next look, past a lease, past
/// a lock-out.
const JUMPS_S: [u64; 7] = [0, 1, 12, 90, 200, 16 * 60, 16 * 60];

/// So many posts are taken on the slowest of machines.
const PROMISES_MIN: usize = 20;

/// CareSoft locks out after twenty in a row.
const RUN_OF_429_MAX: usize = 15;

/// What happens next.
#[derive(Debug)]
enum Step {
    Post(Vec<usize>),
    /// They post while Redis is down; it is back at once.
    Spool(Vec<usize>),
    Inject(Fault),
    ClearFaults,
    /// Somebody makes a new token in CareSoft, and puts the old one back.
    SwapToken,
    RestoreToken,
    Kill(Duration),
    Terminate(Duration),
    /// It is started anew, to die at that pass through that point.
    Arm(FailPoint, u32, Duration),
}

/// SplitMix64: the same numbers for the same seed, on every machine.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 32) % bound
    }

    fn one_of<T: Copy>(&mut self, things: &[T]) -> T {
        things[usize::try_from(self.below(things.len() as u64)).unwrap()]
    }

    /// The next step. Nothing but the numbers decides it, so a seed repeats all of them.
    fn step(&mut self) -> Step {
        match self.below(40) {
            0..=16 => Step::Post(self.people()),
            17 if self.below(2) == 0 => Step::Spool(self.people()),
            17 => Step::Post(self.people()),
            18..=25 => {
                let (route, kind) = (self.one_of(&ROUTES), self.one_of(&KINDS));
                let times_max = if kind == FaultKind::LockOut { 1 } else { 3 };
                let times = Some(1 + u32::try_from(self.below(times_max)).unwrap());
                let skip = u32::try_from(self.below(3)).unwrap();
                Step::Inject(Fault { times, skip, ..Fault::always(route, kind) })
            }
            26..=28 => Step::ClearFaults,
            29 if self.below(3) == 0 => Step::SwapToken,
            29..=32 => Step::RestoreToken,
            33 => Step::Kill(self.jump()),
            34 => Step::Terminate(self.jump()),
            _ => {
                let (point, pass) = (self.one_of(FailPoint::ALL), 1 + self.below(3));
                Step::Arm(point, u32::try_from(pass).unwrap(), self.jump())
            }
        }
    }

    fn people(&mut self) -> Vec<usize> {
        let count = 1 + self.below(4);
        (0..count).map(|_| usize::try_from(self.below(PEOPLE)).unwrap()).collect()
    }

    fn jump(&mut self) -> Duration {
        Duration::from_secs(self.one_of(&JUMPS_S))
    }
}

/// Tells its seed when things begin and when they fail.
struct Seed(u64);

impl Seed {
    fn new() -> Self {
        let told = std::env::var("LEADGATE_SEED").ok();
        let seed = told.map(|seed| seed.parse().expect("LEADGATE_SEED is a number"));
        let seed =
            Self(seed.unwrap_or_else(|| uuid::Uuid::now_v7().as_u64_pair().1 % 1_000_000_000));
        seed.tell("begins");
        seed
    }

    /// Not by `println!`, which is only shown of a test that fails.
    fn tell(&self, what: &str) {
        let _ = writeln!(std::io::stderr(), "a random schedule {what}: LEADGATE_SEED={}", self.0);
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell("has failed");
        }
    }
}

async fn whatever_happens_every_promise_is_kept(store: Backing) {
    let seed = Seed::new();
    let mut chance = Chance(seed.0);
    // As fast as one answer comes before the next request goes out.
    let rate = "rate = { per_second = 40, per_hour = 144000 }";
    let mut mortal = Mortal::new(store, |text| {
        text.replace("rate = { per_second = 500, per_hour = 1_000_000 }", rate)
            .replace("timeout = \"2s\"", "timeout = \"500ms\"")
    });
    mortal.start(None).await;
    let begun = Instant::now();
    while begun.elapsed() < LASTS {
        let step = chance.step();
        println!("{:?} {step:?}", begun.elapsed()); // seen when this fails
        take(&mut mortal, step).await;
        if mortal.is_dead() {
            println!("it has died");
            mortal.start(None).await;
        }
        let pause = Duration::from_millis(chance.below(150));
        tokio::time::sleep(pause).await; // for something to happen, or not
    }
    println!("{} promises, {} deaths: {:?}", mortal.promises(), mortal.deaths, mortal.deaths_at);
    assert!(mortal.promises() >= PROMISES_MIN && !mortal.deaths_at.is_empty(), "a quiet day");

    mortal.caresoft.sandbox.clear_faults();
    mortal.caresoft.sandbox.swap_token(Options::default().token);
    mortal.come_to_rest(LEASE).await;
    mortal.assert_whole().await;
    mortal.assert_silent();
    let run = mortal.caresoft.sandbox.longest_run_of_429();
    assert!(run <= RUN_OF_429_MAX, "{run} in a row");
    mortal.terminate().await;
}

async fn take(mortal: &mut Mortal, step: Step) {
    match step {
        Step::Post(people) => {
            mortal.post_at_once(&people).await;
        }
        Step::Spool(people) => {
            if let Backing::Redis(redis) = &mut mortal.store {
                redis.kill();
            }
            mortal.post_at_once(&people).await;
            if let Backing::Redis(redis) = &mut mortal.store {
                redis.start_again();
            }
        }
        Step::Inject(fault) => {
            mortal.caresoft.sandbox.inject(fault);
        }
        Step::ClearFaults => mortal.caresoft.sandbox.clear_faults(),
        Step::SwapToken => mortal.caresoft.sandbox.swap_token("another-token"),
        Step::RestoreToken => mortal.caresoft.sandbox.swap_token(Options::default().token),
        Step::Kill(jump) => {
            mortal.kill().await;
            mortal.skip(jump);
            mortal.start(None).await;
        }
        Step::Terminate(jump) => {
            mortal.terminate().await;
            mortal.skip(jump);
            mortal.start(None).await;
        }
        Step::Arm(point, pass, jump) => {
            mortal.kill().await;
            mortal.skip(jump);
            mortal.start(Some((point, pass))).await;
        }
    }
}
