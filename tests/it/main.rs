//! End-to-end tests: the gateway and the CareSoft simulator over real sockets, and the real binary.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a test tells what it measured")]

mod admin;
mod amp;
mod api;
mod attribution;
mod backlog;
mod binary;
mod browser;
mod challenge;
mod chance;
mod checkout;
#[path = "../servers/chromium.rs"]
mod chromium;
mod collected;
#[path = "../servers/collector.rs"]
mod collector;
mod commands;
mod console;
mod console_browser;
mod contradictions;
mod crashes;
mod delivery;
mod dependencies;
mod docs;
mod drain;
mod duplicates;
mod enrich;
mod events;
mod faults;
mod fixtures;
mod fleet;
mod gateway;
#[path = "../servers/haproxy.rs"]
mod haproxy;
mod hostile;
mod intake;
mod invariants;
mod k8s;
mod lanes;
mod live;
mod load;
mod logging;
mod metrics;
mod mortal;
mod notify;
mod outages;
mod packaging;
mod pages;
mod pause;
#[path = "../servers/platform.rs"]
mod platform;
mod presets;
#[path = "../servers/receiver.rs"]
mod receiver;
mod reconcile;
mod redis_servers;
mod redis_starts;
mod reload;
mod replay;
mod rollout;
mod rotation;
mod secrets;
mod send;
mod served;
#[path = "../servers/mod.rs"]
mod servers;
mod standby;
mod stats;
mod store;
#[path = "../servers/stub.rs"]
mod stub;
mod survival;
mod traces;
