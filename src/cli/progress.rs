//! How far long work is, for who watches a terminal. Nothing is written anywhere else.

use std::future::Future;
use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// The line is written anew no more often.
const SHOWN_EVERY: Duration = Duration::from_millis(100);

/// Work that is done sooner is not spoken of.
const QUIET_FOR: Duration = Duration::from_millis(500);

/// A line on standard error that says how far the work is: `sent 120 of 1000`.
pub(super) struct Progress {
    what: &'static str,
    total: Option<usize>,
    done: usize,
    began: Instant,
    shown_at: Option<Instant>,
    is_watched: bool,
}

impl Progress {
    /// Work that is about to begin, of `total` steps where that is known.
    pub(super) fn new(what: &'static str, total: Option<usize>) -> Self {
        let is_watched = stderr().is_terminal();
        Self { what, total, done: 0, began: Instant::now(), shown_at: None, is_watched }
    }

    /// So many more steps are done.
    pub(super) fn add(&mut self, steps: usize) {
        self.done += steps;
        let is_due = self.shown_at.is_none_or(|at| at.elapsed() >= SHOWN_EVERY);
        if self.is_watched && is_due && self.began.elapsed() >= QUIET_FOR {
            self.show(&self.line());
        }
    }

    /// Takes the line away, so that something else can be written.
    pub(super) fn clear(&mut self) {
        if self.shown_at.take().is_some() {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }

    /// The work is over.
    pub(super) fn end(mut self) {
        self.clear();
    }

    /// Waits for one long answer, and says since when.
    pub(super) async fn of_one<T>(what: &'static str, work: impl Future<Output = T>) -> T {
        let mut progress = Self::new(what, None);
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => {
                    progress.clear();
                    return done;
                }
                _ = ticks.tick() => {
                    let seconds = progress.began.elapsed().as_secs();
                    if progress.is_watched && seconds > 0 {
                        progress.show(&format!("{what} for {seconds} s"));
                    }
                }
            }
        }
    }

    fn show(&mut self, line: &str) {
        self.shown_at = Some(Instant::now());
        let _ = write!(stderr(), "\r\x1b[K{line}"); // who does not read it misses nothing
    }

    fn line(&self) -> String {
        match self.total {
            Some(total) => format!("{} {} of {total}", self.what, self.done),
            None => format!("{} {}", self.what, self.done),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is_and_nothing_is_shown_unwatched() {
        let mut progress = Progress::new("sent", Some(10));
        progress.is_watched = false;
        progress.add(3);
        assert_eq!(progress.line(), "sent 3 of 10");
        assert!(progress.shown_at.is_none());
        assert_eq!(Progress::new("exported", None).line(), "exported 0");
    }
}
