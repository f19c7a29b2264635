//! The moves, each one script: called by its hash, sent whole where that is not known.

use std::sync::LazyLock;

use redis::{Cmd, Script as Hashed, ToRedisArgs, Value, cmd};

use super::link::{Link, Refused};
use crate::fail_point::{self, FailPoint};
use crate::lead::DestinationId;

/// A script, with what it begins with.
pub(super) struct Script {
    code: String,
    hash: String,
}

impl Script {
    fn new(parts: &[&str]) -> Self {
        let code = parts.concat();
        let hash = Hashed::new(&code).get_hash().to_owned();
        Self { code, hash }
    }

    /// A call of it, for a destination.
    pub(super) fn call(&'static self, destination: &DestinationId) -> Call {
        self.call_tagged(&tag(destination))
    }

    /// A call of it, for what is of no destination.
    pub(super) fn call_shared(&'static self) -> Call {
        self.call_tagged("{leadgate}")
    }

    fn call_tagged(&'static self, tag: &str) -> Call {
        let mut command = cmd("EVALSHA");
        // Two keys that are never there: see `prelude.lua`.
        command.arg(&self.hash).arg(2).arg(tag).arg(format!("{tag}."));
        Call { script: self, command }
    }
}

/// A key of a destination.
pub(super) fn key(destination: &DestinationId, name: &str) -> String {
    format!("{}{name}", tag(destination))
}

/// What every key of a destination begins with: its hash tag.
fn tag(destination: &DestinationId) -> String {
    format!("{{{destination}}}")
}

/// A call that is being put together.
pub(super) struct Call {
    script: &'static Script,
    command: Cmd,
}

impl Call {
    /// One argument more.
    pub(super) fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        self.command.arg(argument);
        self
    }

    /// One argument more, by reference.
    pub(super) fn push(&mut self, argument: impl ToRedisArgs) {
        self.command.arg(argument);
    }

    /// Calls it.
    pub(super) async fn send(self, link: &Link) -> Result<Value, Refused> {
        fail_point::pass(FailPoint::Unwritten);
        let answer = match link.send(&self.command).await {
            Err(Refused::NoScript) => link.send(&self.whole()).await,
            answer => answer,
        };
        fail_point::pass(FailPoint::Written);
        answer
    }

    /// The same call with the script's text: the server keeps it from then on.
    fn whole(&self) -> Cmd {
        let mut command = cmd("EVAL");
        command.arg(&self.script.code);
        for argument in self.command.args_iter().skip(2) {
            if let redis::Arg::Simple(bytes) = argument {
                command.arg(bytes);
            }
        }
        command
    }
}

macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident = $($part:literal),+;)+) => {$(
        $(#[$doc])*
        pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(&[include_str!("scripts/prelude.lua"), $(include_str!(concat!("scripts/", $part))),+])
        });
    )+};
}

scripts! {
    ADMIT = "admit.lua";
    LEASE = "chores.lua", "lease.lua";
    SETTLE = "chores.lua", "person.lua", "settle.lua";
    EXPIRE = "expire.lua";
    RECHECK = "chores.lua", "recheck.lua";
    REPLAY = "chores.lua", "person.lua", "erase.lua", "replay.lua";
    FORGET = "chores.lua", "person.lua", "erase.lua", "forget.lua";
    ERASE_ONE = "chores.lua", "person.lua", "erase.lua", "erase_one.lua";
    DELETE = "chores.lua", "person.lua", "erase.lua", "delete.lua";
    NOTICES = "notices.lua";
    BODY = "body.lua";
    SWEEP = "chores.lua", "person.lua", "sweep.lua";
    SWEEP_FORGOTTEN = "sweep_forgotten.lua";
    SHOW = "records.lua", "show.lua";
    PAGE = "records.lua", "page.lua";
    INDEX = "index.lua";
    SEARCH = "chores.lua", "person.lua", "records.lua", "search.lua";
    DEPTH = "depth.lua";
    PACE = "pace.lua";
    MOVE_GATE = "move_gate.lua";
}
