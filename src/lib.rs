//! Leadgate: forms and ad platforms in, exactly one CareSoft lead out.
//!
//! One road, one direction: source → intake → store → delivery → CareSoft. `ARCHITECTURE.md`
//! walks one submission through it.

#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod app;
pub mod caresoft;
pub mod cli;
pub mod config;
pub mod console;
mod credentials;
mod current;
pub mod delivery;
pub mod fail_point;
mod http_client;
pub mod intake;
pub mod lead;
pub mod normalise;
pub mod notify;
pub mod preset;
mod problem;
mod retry;
pub mod sandbox;
pub mod source;
pub mod store;
#[cfg(test)]
#[path = "../tests/servers/stub.rs"]
mod stub;
pub mod telemetry;
pub mod verification;
