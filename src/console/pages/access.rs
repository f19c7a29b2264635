//! Who may look: the token once, then a session; every form carries proof that a page of ours made it.
//!
//! A session is its own proof: when it ends and a nonce, under a MAC whose key is made of the
//! admin token. So every replica knows it, and another token ends them all.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::credentials::equal;
use crate::lead::Timestamp;

/// A working day; then the token is asked for again.
pub(super) const SESSION: Duration = Duration::from_secs(12 * 3600);

/// A one-time link is followed at once, or not.
pub(super) const LINK: Duration = Duration::from_secs(15 * 60);

/// Wrong tries that one address, and all of them, have in a minute.
const TRIES_OF_ONE: u32 = 5;
const TRIES_OF_ALL: u32 = 60;
const MINUTE: Duration = Duration::from_secs(60);

/// Sessions that were signed out of are remembered until they would have ended; the oldest go first.
const ENDED_MAX: usize = 1000;

/// The key of everything that the pages sign.
fn signed(token: &SecretString, purpose: &str, text: &str) -> String {
    let key = mac(token.expose_secret().as_bytes(), "leadgate console");
    base16ct::lower::encode_string(&mac(&key, &format!("{purpose} {text}")))
}

fn mac(key: &[u8], message: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().into()
}

/// Random bytes as text.
///
/// # Errors
/// The system gives none.
fn nonce() -> Result<String, getrandom::Error> {
    let mut bytes = [0_u8; 24];
    getrandom::fill(&mut bytes)?;
    Ok(base16ct::lower::encode_string(&bytes))
}

/// A session that holds. Neither it nor its cookie prints itself.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::console) struct Session {
    /// When it ends, and a nonce.
    name: String,
    until: Timestamp,
}

impl Session {
    /// A new one, at `now`.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub(super) fn begin(now: Timestamp) -> Result<Self, getrandom::Error> {
        let until = now.plus(SESSION);
        Ok(Self { name: format!("{}.{}", until.as_millis(), nonce()?), until })
    }

    /// What the browser keeps.
    pub(super) fn cookie(&self, token: &SecretString) -> String {
        format!("{}.{}", self.name, signed(token, "session", &self.name))
    }

    /// The session of a cookie, if it is genuine and has not ended.
    fn of(cookie: &str, token: &SecretString, now: Timestamp) -> Option<Self> {
        let (name, presented) = cookie.rsplit_once('.')?;
        let expected = SecretString::from(signed(token, "session", name));
        if !equal(presented.as_bytes(), &expected) {
            return None;
        }
        let until = Timestamp::from_millis(name.split_once('.')?.0.parse().ok()?);
        (now < until).then(|| Self { name: name.to_owned(), until })
    }

    /// What each form of this session carries.
    pub(super) fn form_token(&self, token: &SecretString) -> SecretString {
        signed(token, "form", &self.name).into()
    }
}

/// What has to be remembered of sessions and tries.
#[derive(Default)]
pub(super) struct Access {
    ended: Mutex<BTreeMap<(Timestamp, String), ()>>,
    link: Mutex<Option<(SecretString, Timestamp)>>,
    tries: Mutex<Tries>,
}

#[derive(Default)]
struct Tries {
    minute_began: Option<Timestamp>,
    of_all: u32,
    of_each: BTreeMap<IpAddr, u32>,
}

impl Access {
    /// The session of a cookie.
    pub(super) fn session(
        &self,
        cookie: &str,
        token: &SecretString,
        now: Timestamp,
    ) -> Option<Session> {
        let session = Session::of(cookie, token, now)?;
        self.holds(&session, now).then_some(session)
    }

    /// Whether a session that held holds still.
    pub(super) fn holds(&self, session: &Session, now: Timestamp) -> bool {
        let key = (session.until, session.name.clone());
        now < session.until && !lock(&self.ended).contains_key(&key)
    }

    /// Ends a session before its time. Other replicas do not learn of it; the browser's cookie goes
    /// with it.
    pub(super) fn end(&self, session: Session, now: Timestamp) {
        let mut ended = lock(&self.ended);
        ended.retain(|(until, _), ()| now < *until);
        if ended.len() >= ENDED_MAX {
            ended.pop_first();
        }
        ended.insert((session.until, session.name), ());
    }

    /// A new code that signs in once; the one before is over.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub(super) fn one_time_code(&self, now: Timestamp) -> Result<String, getrandom::Error> {
        let code = nonce()?;
        *lock(&self.link) = Some((code.clone().into(), now.plus(LINK)));
        Ok(code)
    }

    /// Whether this is the code. It is over with that.
    pub(super) fn use_code(&self, presented: &str, now: Timestamp) -> bool {
        let mut link = lock(&self.link);
        let holds = link
            .as_ref()
            .is_some_and(|(code, until)| now < *until && equal(presented.as_bytes(), code));
        if holds {
            *link = None;
        }
        holds
    }

    /// Whether an address may try again. A right token does not help who may not.
    pub(super) fn may_try(&self, address: IpAddr, now: Timestamp) -> bool {
        let tries = self.tries(now);
        let of_one = tries.of_each.get(&address).copied().unwrap_or_default();
        of_one < TRIES_OF_ONE && tries.of_all < TRIES_OF_ALL
    }

    /// Counts a wrong try.
    pub(super) fn failed(&self, address: IpAddr, now: Timestamp) {
        let mut tries = self.tries(now);
        tries.of_all = tries.of_all.saturating_add(1);
        // Bounded: whoever is past the tries of all is counted no more.
        if tries.of_all <= TRIES_OF_ALL {
            *tries.of_each.entry(address).or_default() += 1;
        }
    }

    fn tries(&self, now: Timestamp) -> MutexGuard<'_, Tries> {
        let mut tries = lock(&self.tries);
        if tries.minute_began.is_none_or(|began| now.since(began) >= MINUTE) {
            *tries = Tries { minute_began: Some(now), ..Tries::default() };
        }
        tries
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here panics half-way, so what is behind a poisoned lock is still whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23T09:15:02.123Z
    const NOW: Timestamp = Timestamp::from_millis(1_795_425_302_123);

    fn token() -> SecretString {
        "admin-token-of-a-test".into()
    }

    #[test]
    fn a_session_holds_until_it_ends_and_under_its_token_alone() {
        let access = Access::default();
        let session = Session::begin(NOW).unwrap();
        let cookie = session.cookie(&token());
        let held =
            |cookie: &str, token: &SecretString, now| access.session(cookie, token, now).is_some();
        assert!(held(&cookie, &token(), NOW));
        assert!(!held(&cookie, &"another-token".into(), NOW));
        assert!(!held(&cookie, &token(), NOW.plus(SESSION)));
        let longer = cookie.replacen('1', "2", 1);
        for wrong in ["", ".", "..", "1.2.3", &longer, &cookie[1..], &cookie[..cookie.len() - 1]] {
            assert!(!held(wrong, &token(), NOW), "{wrong}");
        }
        assert!(!cookie.contains("admin-token"));
        assert!(access.holds(&session, NOW) && !access.holds(&session, NOW.plus(SESSION)));
        access.end(session.clone(), NOW);
        assert!(!access.holds(&session, NOW));
        assert!(!held(&cookie, &token(), NOW));
    }

    #[test]
    fn a_link_is_good_once_and_soon_over() {
        let access = Access::default();
        assert!(!access.use_code("", NOW));
        let code = access.one_time_code(NOW).unwrap();
        assert!(!access.use_code("another", NOW));
        assert!(access.use_code(&code, NOW));
        assert!(!access.use_code(&code, NOW));
        let code = access.one_time_code(NOW).unwrap();
        assert!(!access.use_code(&code, NOW.plus(LINK)));
    }

    #[test]
    fn wrong_tries_are_limited_for_a_minute() {
        let access = Access::default();
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        for _ in 0..TRIES_OF_ONE {
            assert!(access.may_try(address(1), NOW));
            access.failed(address(1), NOW);
        }
        assert!(!access.may_try(address(1), NOW) && access.may_try(address(2), NOW));
        for last in 0..=255 {
            access.failed(address(last), NOW);
        }
        assert!(!access.may_try(address(2), NOW), "all of them have had too many");
        assert!(access.may_try(address(1), NOW.plus(MINUTE)));
    }
}
