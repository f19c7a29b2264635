//! Places between two steps at which a test ends the process as `kill -9` would, and a clock that
//! a test puts forward. All of it is in test builds alone (the feature `fail-points`): in the
//! product a point is nothing, and no variable moves the clock.
//!
//! Two environment variables, each read once:
//! - `LEADGATE_FAIL_POINT=leased:3` ends the process at the third pass through that point.
//! - `LEADGATE_CLOCK_AHEAD=120s` has `serve` work by a clock that is so much ahead.

use crate::lead::Clock;

macro_rules! points {
    ($($(#[$doc:meta])+ $point:ident = $name:literal,)+) => {
        /// A place between two steps of accept or of delivery.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum FailPoint {
            $($(#[$doc])+ $point,)+
        }

        impl FailPoint {
            /// Every point there is.
            pub const ALL: &[Self] = &[$(Self::$point),+];

            /// Its name in `LEADGATE_FAIL_POINT`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)+
                }
            }
        }
    };
}

points! {
    /// A post is verified and read; the store was not asked.
    Decoded = "decoded",
    /// The store has it; its answer is not given.
    Admitted = "admitted",
    /// A change of the store is put together, and not written: not committed to SQLite, not sent
    /// to Redis. Leases, places, outcomes and gates are such changes, as well as admissions.
    Unwritten = "unwritten",
    /// It is written, and whoever asked for it is not told.
    Written = "written",
    /// A submission is in the spool; its answer is not given.
    Spooled = "spooled",
    /// What was in the spool is in Redis, and still in the spool.
    Unspooling = "unspooling",
    /// Records are leased; nothing is done with them.
    Leased = "leased",
    /// A place in the pace is reserved.
    Placed = "placed",
    /// The right to probe is this lane's.
    ProbeClaimed = "probe_claimed",
    /// The place has come; nothing is sent.
    Due = "due",
    /// CareSoft has answered; nobody was told.
    Answered = "answered",
    /// An answer has moved this replica's gate; the others do not know.
    GateMoved = "gate_moved",
    /// They do; what the answer means for the record is not written down.
    GateShared = "gate_shared",
    /// A look or a comment goes on: its further request has its place, and is not sent.
    FurtherRequest = "further_request",
    /// A look has come to its end.
    Looked = "looked",
    /// The lead that a comment goes to was read.
    DetailRead = "detail_read",
    /// The comment was sent.
    Commented = "commented",
    /// Notices are leased; nothing is fetched.
    NoticeLeased = "notice_leased",
    /// What a notice speaks of was fetched; that is not written down.
    Fetched = "fetched",
    /// It is.
    Filled = "filled",
    /// It is clear how the work ended; that is not written down.
    Unsettled = "unsettled",
    /// It is.
    Settled = "settled",
}

#[cfg(feature = "fail-points")]
pub(crate) use armed::pass;

/// Does nothing: this is no test build.
#[cfg(not(feature = "fail-points"))]
#[inline(always)]
pub(crate) fn pass(_point: FailPoint) {}

/// The clock to serve by: the machine's.
#[cfg(not(feature = "fail-points"))]
pub(crate) fn clock() -> Clock {
    Clock::system()
}

/// The clock to serve by: the machine's, as far ahead as the environment says.
#[cfg(feature = "fail-points")]
pub(crate) fn clock() -> Clock {
    use crate::config::{Environment, ProcessEnvironment};

    let ahead = ProcessEnvironment.get("LEADGATE_CLOCK_AHEAD");
    match ahead.and_then(|ahead| humantime::parse_duration(&ahead).ok()) {
        Some(ahead) => Clock::from_fn(move || Clock::system().now().plus(ahead)),
        None => Clock::system(),
    }
}

#[cfg(feature = "fail-points")]
mod armed {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::FailPoint;
    use crate::config::{Environment, ProcessEnvironment};

    /// The point at which this process ends, and how many passes it has left.
    struct Armed {
        point: FailPoint,
        left: AtomicU64,
    }

    static ARMED: LazyLock<Option<Armed>> =
        LazyLock::new(|| read(&ProcessEnvironment.get("LEADGATE_FAIL_POINT")?));

    /// Ends the process when this is the pass that was asked for. No destructor runs, no buffer is
    /// written, nobody is told.
    pub(crate) fn pass(point: FailPoint) {
        let Some(armed) = ARMED.as_ref().filter(|armed| armed.point == point) else { return };
        if armed.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            std::process::abort();
        }
    }

    /// `None` for a point that nobody knows: it is never reached, which the test that armed it
    /// notices.
    fn read(text: &str) -> Option<Armed> {
        let (name, passes) = text.split_once(':').unwrap_or((text, "1"));
        let point = *FailPoint::ALL.iter().find(|point| point.name() == name)?;
        let left = AtomicU64::new(passes.parse().ok().filter(|passes| *passes > 0)?);
        Some(Armed { point, left })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_point_is_read_by_its_name_and_the_pass() {
            let passes = |text: &str| read(text).map(|armed| armed.left.into_inner());
            for point in FailPoint::ALL {
                let armed = read(point.name()).unwrap();
                assert_eq!((armed.point, armed.left.into_inner()), (*point, 1));
            }
            assert_eq!(passes("leased:3"), Some(3));
            assert_eq!(
                (passes("leased:0"), passes("leased:x"), passes("lost")),
                (None, None, None)
            );
        }
    }
}
