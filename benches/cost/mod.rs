//! What a call costs.

use std::hint::black_box;
use std::time::{Duration, Instant};

const ROUND: Duration = Duration::from_millis(5);
const ROUNDS: usize = 60;

/// Nanoseconds per call, in the best of many short rounds: what the code costs, not what the
/// machine adds.
pub fn cost<T>(mut call: impl FnMut() -> T) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let mut calls = 0.0;
        while began.elapsed() < ROUND {
            for _ in 0..16 {
                black_box(call());
            }
            calls += 16.0;
        }
        best = best.min(began.elapsed().as_secs_f64() * 1e9 / calls);
    }
    best
}
