//! What a command says on standard output.

use std::fmt;
use std::io::{ErrorKind, Write, stdout};
use std::sync::atomic::{AtomicBool, Ordering};

/// A line of it.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::said::line(format_args!($($text)*)) };
}
pub(super) use say;

/// Whether something could not be said.
static IS_LOST: AtomicBool = AtomicBool::new(false);

/// A line of it.
pub(super) fn line(text: fmt::Arguments<'_>) {
    told(writeln!(stdout(), "{text}"));
}

/// All of it at once, as it is.
pub(super) fn whole(bytes: &[u8]) {
    told(stdout().write_all(bytes).and_then(|()| stdout().flush()));
}

/// Whether all that was said could be written, as far as anybody wanted to read it.
pub(super) fn is_whole() -> bool {
    !IS_LOST.load(Ordering::Relaxed)
}

/// Who has read enough closes the pipe: that is no failure, and what was begun is done to its end.
fn told(written: std::io::Result<()>) {
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
        && !IS_LOST.swap(true, Ordering::Relaxed)
    {
        eprintln!("leadgate: standard output: {error}");
    }
}
