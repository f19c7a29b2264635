//! What accepting a submission costs, as a ratio against two baselines in the same run.
//!
//! `cargo bench --bench accept` runs everything over SQLite (about three minutes); `-- --rounds 2
//! --seconds 1` is a quick look. `-- --redis always` and `-- --redis everysec` do the same over a
//! Redis of its own (`redis-server` must be installed). Three servers take the same 600-byte JSON
//! over 64 connections in turn:
//!
//! - `bare`: an actix handler that reads the body and answers 202;
//! - `one row`: the same, with one row per request committed to SQLite in groups, durable before
//!   the 202 (WAL, `synchronous=FULL`, as the library comes otherwise); over Redis `one script`,
//!   the same with one script per request that does two `SET NX` and puts the body into a queue;
//! - `leadgate`: the release binary, doing the whole job, durable before the 202. Every request is
//!   another person, so every one is verified, normalised, sealed, and writes claims, an
//!   idempotency key, a record and a queue entry.
//!
//! Where `taskset` exists, servers (and Redis) run on core 0 and the load on core 1.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod baseline;
mod cores;
mod load;
#[path = "../process/mod.rs"]
mod process;
mod server;

use std::time::Duration;

use load::{Figures, Load};
use process::redis::Fsync;
use server::{Kind, Server};

/// Connections that post at once.
const CONNECTIONS: usize = 64;

struct Plan {
    rounds: usize,
    length: Duration,
    /// In the order bare, baseline, leadgate.
    servers: [Kind; 3],
    /// Posted before the latency at half load is measured.
    pending: u64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, port, behind, ..] = &arguments[..]
        && let Some(kind) = Kind::baseline(role)
    {
        return baseline::run(kind, port, behind);
    }
    if cores::pin_to_second_core() {
        return; // a child on its own core did the work
    }
    let number = |flag: &str| {
        let place = arguments.iter().position(|argument| argument == flag)?;
        arguments.get(place + 1)?.parse::<u64>().ok()
    };
    let appendfsync = arguments
        .iter()
        .position(|argument| argument == "--redis")
        .and_then(|place| arguments.get(place + 1));
    let plan = Plan {
        rounds: usize::try_from(number("--rounds").unwrap_or(10)).unwrap_or(10),
        length: Duration::from_secs(number("--seconds").unwrap_or(4)),
        servers: match appendfsync {
            None => [Kind::Bare, Kind::OneRow, Kind::Leadgate(None)],
            Some(appendfsync) => {
                let fsync = Fsync::parse(appendfsync);
                [Kind::Bare, Kind::OneScript(fsync), Kind::Leadgate(Some(fsync))]
            }
        },
        pending: number("--pending").unwrap_or(0),
    };
    server::report_footprint(plan.servers[2]);
    let rounds = alternate(&plan);
    report(&plan, &rounds);
    half_load(&rounds, &plan);
}

/// What one server did, and the processor's time that it took.
struct Run {
    figures: Figures,
    cpu: Duration,
}

/// One round: each server once, in turn, so that a drifting machine drifts for all of them.
struct Round([Run; 3]);

fn alternate(plan: &Plan) -> Vec<Round> {
    let servers = plan.servers.map(Server::start);
    let mut people = 0;
    let mut measure = |server: &Server, length| {
        let load = Load { address: server.address, connections: CONNECTIONS, rate: None, length };
        let before = server.cpu();
        let figures = load.run(&mut people);
        Run { figures, cpu: server.cpu() - before }
    };
    for server in &servers {
        measure(server, Duration::from_millis(500)); // warm
    }
    (1..=plan.rounds)
        .map(|round| {
            let runs = [0, 1, 2].map(|place| measure(&servers[place], plan.length));
            let rates = runs.each_ref().map(|run| run.figures.per_second().round());
            println!(
                "round {round:2}: bare {}/s, {} {}/s, leadgate {}/s",
                rates[0],
                plan.servers[1].name(),
                rates[1],
                rates[2]
            );
            Round(runs)
        })
        .collect()
}

fn report(plan: &Plan, rounds: &[Round]) {
    println!("\n{:10} {:>10} {:>12} {:>10} {:>10}", "", "req/s", "CPU µs/req", "p50 ms", "p99 ms");
    for (place, kind) in plan.servers.into_iter().enumerate() {
        let median_of = |figure: &dyn Fn(&Run) -> f64| {
            median(rounds.iter().map(|round| figure(&round.0[place])).collect())
        };
        println!(
            "{:10} {:10.0} {:12.1} {:10.2} {:10.2}",
            kind.name(),
            median_of(&|run| run.figures.per_second()),
            median_of(&|run| run.cpu.as_secs_f64() * 1e6 / run.figures.answered as f64),
            median_of(&|run| run.figures.percentile(0.50)),
            median_of(&|run| run.figures.percentile(0.99)),
        );
    }
    for (baseline, name) in [(0, "bare"), (1, plan.servers[1].name())] {
        let ratios: Vec<_> = rounds
            .iter()
            .map(|round| round.0[2].figures.per_second() / round.0[baseline].figures.per_second())
            .collect();
        let (low, high) = ratios
            .iter()
            .fold((f64::MAX, 0.0_f64), |(low, high), ratio| (low.min(*ratio), high.max(*ratio)));
        println!(
            "leadgate / {name}: median {:.2} (min {low:.2}, max {high:.2}, pair by pair)",
            median(ratios)
        );
    }
}

/// Latency while half of what the gateway can take arrives at an even pace.
fn half_load(rounds: &[Round], plan: &Plan) {
    let full = median(rounds.iter().map(|round| round.0[2].figures.per_second()).collect());
    let server = Server::start(plan.servers[2]);
    let mut people = 0;
    let fill = Load {
        address: server.address,
        connections: CONNECTIONS,
        rate: None,
        length: Duration::from_secs(1),
    };
    while u64::from(people) < plan.pending {
        fill.run(&mut people);
    }
    let mut at = |length| {
        let load = Load {
            address: server.address,
            connections: CONNECTIONS,
            rate: Some(full / 2.0),
            length,
        };
        load.run(&mut people)
    };
    at(Duration::from_millis(500));
    let figures = at(plan.length * 2);
    println!(
        "leadgate at half load ({:.0}/s), {} pending before: p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms",
        figures.per_second(),
        plan.pending,
        figures.percentile(0.50),
        figures.percentile(0.99),
        figures.percentile(0.999),
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
