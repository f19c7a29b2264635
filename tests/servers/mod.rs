//! Real Redis for tests: one server, a cluster, or a master that sentinels watch, each test its own.
//!
//! ```ignore
//! let mut redis = Redis::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
//! let store = open(&redis.url()).await;
//! redis.kill();
//! redis.start_again(); // what it had written down is there
//! ```
//!
//! Included by `#[path]` both in `tests/it` and in the unit tests of the library. Everything is
//! synchronous and bounded by [`PATIENCE`]; whatever fails shows what the servers wrote. Servers live
//! on 127.0.0.1, in a folder of their own, and end with the value that holds them. They stay in the
//! process group of the test, so that whoever kills the group takes them along.
//!
//! Needs `redis-server` 7.0 or later, and `openssl` for [`Redis::start_tls`]; `scripts/test` installs
//! both.

#![allow(dead_code, reason = "each place that includes this uses a part of it")]

mod cluster;
mod port;
mod program;
mod redis_server;
mod sentinels;
mod tls;

use std::time::{Duration, Instant};

#[allow(unused_imports, reason = "as above")]
pub use self::{
    cluster::Cluster,
    port::Port,
    program::{Process, redis_server},
    redis_server::Redis,
    sentinels::Sentinels,
};

/// Longer than anything here takes on a slow machine; only a failing test waits this long.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The longest pause between two looks at what is awaited.
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// Waits until `probe` answers something; otherwise fails with what the servers `told`.
fn eventually<T>(
    what: &str,
    told: impl FnOnce() -> String,
    mut probe: impl FnMut() -> Option<T>,
) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        let waited = began.elapsed();
        assert!(waited < PATIENCE, "{what}: not within {PATIENCE:?}\n{}", told());
        pause((waited / 10).clamp(Duration::from_millis(1), PAUSE_MAX));
    }
}

#[allow(clippy::disallowed_methods, reason = "a pause between two looks; `eventually` is bounded")]
fn pause(pause: Duration) {
    std::thread::sleep(pause);
}
