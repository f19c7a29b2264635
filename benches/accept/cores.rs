//! Servers on one core, the load on another, where `taskset` exists.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

fn has_taskset() -> bool {
    let asked = Command::new("taskset").arg("--version").stdout(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

/// A command that runs its arguments on core 0, where that can be had.
pub fn on_first_core() -> Command {
    let (program, arguments): (_, &[_]) =
        if has_taskset() { ("taskset", &["-c", "0"]) } else { ("env", &[]) };
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// Runs this benchmark again on core 1, unless it is there already or cannot go there.
pub fn pin_to_second_core() -> bool {
    const MARK: &str = "LEADGATE_BENCH_PINNED";
    if std::env::var_os(MARK).is_some() || !has_taskset() {
        return false;
    }
    let mut command = Command::new("taskset");
    command.args(["-c", "1"]).args(std::env::args_os()).env(MARK, "1");
    let failed = command.exec(); // does not return when it works
    println!("running unpinned: {failed}");
    false
}
