//! Ports that no two servers of any test take at once.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::TcpListener;

/// Below the ports that Linux gives to outgoing connections (32768 and up): a client that tries to
/// reach a server that is down can then never be given, or connect to itself at, that server's port.
const FIRST: u16 = 12_000;
const LAST: u16 = 32_000;

/// As many looks as there are ports.
const LOOKS_MAX: u16 = LAST - FIRST;

/// A port of 127.0.0.1 that belongs to one server for as long as this lives, also while the server
/// is down.
pub struct Port {
    number: u16,
    /// The same number at an address that nothing else uses: whoever holds it has the port. It is
    /// known to every process of this machine, and gone when its process is.
    _claim: TcpListener,
}

impl Port {
    /// A free port. Somebody who knows nothing of claims may still take it: try another one then.
    pub fn claim() -> Self {
        let start = RandomState::new().hash_one("random") % u64::from(LOOKS_MAX);
        for look in 0..u64::from(LOOKS_MAX) {
            let offset = (start + look) % u64::from(LOOKS_MAX);
            let number = FIRST + u16::try_from(offset).expect("less than there are ports");
            let Ok(claim) = TcpListener::bind(("127.0.0.2", number)) else { continue };
            if TcpListener::bind(("127.0.0.1", number)).is_ok() {
                return Self { number, _claim: claim };
            }
        }
        panic!("no port between {FIRST} and {LAST} is free");
    }

    pub fn number(&self) -> u16 {
        self.number
    }
}
