//! The `leadgate` binary.

fn main() {}
