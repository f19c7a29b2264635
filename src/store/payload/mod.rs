//! What is stored of a person: compressed, and sealed where there is a `store.secret`. The same
//! bytes in every store.
//!
//! A stored payload is a header of one byte (three bits of version, two of kind, one that says
//! whether it is sealed, two of [`squeeze::Form`]) and the squeezed text; sealed, it is the header,
//! two bytes that tell which key, twelve of nonce, the encrypted text and its tag of sixteen. The
//! header and the key's two bytes are authenticated, so that one kind of payload is never read as
//! another.
//!
//! Measured (`cargo bench --bench payload`): a lead with name, phone, e-mail, a sentence and a page
//! with three utm values is 667 bytes of JSON; 230 as [`shape`] writes it, 81 compressed and 111
//! sealed, in 2.4 µs.

mod known;
mod seal;
mod shape;
mod squeeze;
mod words;

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use secrecy::SecretString;

pub(super) use self::seal::SealingKey;
use self::squeeze::Form;
use super::identity::IdentityKey;
use crate::lead::{Lead, RawBody};

/// Of everything in this folder, dictionary and lists of names included.
const VERSION: u8 = 1;

/// What is stored of one submission's person.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Payload {
    /// The platform's own id of the submission.
    pub external_id: Option<String>,
    /// The lead, where one could be made.
    pub lead: Option<Lead>,
}

impl Payload {
    /// Whether there is nothing in it, so that nothing need be stored.
    pub fn is_empty(&self) -> bool {
        self.external_id.is_none() && self.lead.is_none()
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Payload(…)") // a person's: never in a log by accident
    }
}

/// A stored payload that cannot be opened: sealed with another key, damaged, of another kind, or
/// written by another version. Which of these is not told apart, and nothing of it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sealed with another key, damaged, or written by another version")]
pub struct Unreadable;

/// What a payload is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Person = 0,
    Body = 1,
    Bytes = 2,
    Key = 3,
}

/// What a store keeps secrets with: the key of its identity hashes and, where it has a secret, the
/// ones that payloads are sealed with: the first seals, any of them opens. Cheap to clone.
#[derive(Clone)]
pub struct Vault {
    key: IdentityKey,
    /// Empty in a store without a secret.
    seals: Arc<[SealingKey]>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(…)")
    }
}

impl Vault {
    /// The vault of a store with secrets: what it closes is sealed with the first.
    pub(super) fn sealing(key: IdentityKey, seals: Arc<[SealingKey]>) -> Self {
        Self { key, seals }
    }

    /// The vault of a store that began with this secret: what it closes is sealed.
    pub fn from_secret(secret: &SecretString) -> Self {
        Self::sealing(IdentityKey::from_secret(secret), Arc::from([SealingKey::of_secret(secret)]))
    }

    /// The vault of a store that has no secret. What it closes is compressed and not sealed: the
    /// key would lie beside it.
    pub fn from_random(bytes: &[u8; 32]) -> Self {
        Self { key: IdentityKey::from_bytes(bytes), seals: Arc::from([]) }
    }

    /// What persons are recognised by.
    pub fn key(&self) -> &IdentityKey {
        &self.key
    }

    /// Whether what it closes is sealed.
    pub fn is_sealing(&self) -> bool {
        !self.seals.is_empty()
    }

    /// A payload as it is stored.
    pub fn close(&self, payload: &Payload) -> Vec<u8> {
        self.close_parts(payload.external_id.as_deref(), payload.lead.as_ref())
    }

    /// The payload of these, as [`Vault::close`] stores it, for who does not want to give them away.
    pub fn close_parts(&self, external_id: Option<&str>, lead: Option<&Lead>) -> Vec<u8> {
        with_scratch(|text| {
            shape::write(external_id, lead, text);
            self.close_kind(Kind::Person, text)
        })
    }

    /// The payload that [`Vault::close`] was given.
    ///
    /// # Errors
    /// [`Unreadable`] when it cannot be told.
    pub fn open(&self, stored: &[u8]) -> Result<Payload, Unreadable> {
        shape::read(&self.open_kind(Kind::Person, stored)?).ok_or(Unreadable)
    }

    /// A request's body as it is stored.
    pub fn close_body(&self, body: &RawBody) -> Vec<u8> {
        with_scratch(|text| {
            shape::write_body(body, text);
            self.close_kind(Kind::Body, text)
        })
    }

    /// The body that [`Vault::close_body`] was given.
    ///
    /// # Errors
    /// [`Unreadable`] when it cannot be told.
    pub fn open_body(&self, stored: &[u8]) -> Result<RawBody, Unreadable> {
        shape::read_body(&self.open_kind(Kind::Body, stored)?).ok_or(Unreadable)
    }

    /// Anything else that speaks of persons, as it is stored.
    pub fn close_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        self.close_kind(Kind::Bytes, bytes)
    }

    /// The bytes that [`Vault::close_bytes`] was given.
    ///
    /// # Errors
    /// [`Unreadable`] when it cannot be told.
    pub fn open_bytes(&self, stored: &[u8]) -> Result<Vec<u8>, Unreadable> {
        self.open_kind(Kind::Bytes, stored)
    }

    /// An identity key as a store keeps it for a secret that it is not derived from.
    pub(super) fn close_key(&self, key: &[u8; 32]) -> Vec<u8> {
        self.close_kind(Kind::Key, key)
    }

    /// The key that [`Vault::close_key`] was given.
    ///
    /// # Errors
    /// [`Unreadable`] when it cannot be told.
    pub(super) fn open_key(&self, stored: &[u8]) -> Result<[u8; 32], Unreadable> {
        self.open_kind(Kind::Key, stored)?.try_into().map_err(|_| Unreadable)
    }

    fn close_kind(&self, kind: Kind, text: &[u8]) -> Vec<u8> {
        squeeze::squeeze(text, |form, squeezed| {
            let header = Header { kind, is_sealed: self.is_sealing(), form }.byte();
            let mut stored = Vec::with_capacity(1 + seal::OVERHEAD + squeezed.len());
            stored.push(header);
            match self.seals.first() {
                Some(key) => key.seal(header, squeezed, &mut stored),
                None => stored.extend_from_slice(squeezed),
            }
            stored
        })
    }

    fn open_kind(&self, kind: Kind, stored: &[u8]) -> Result<Vec<u8>, Unreadable> {
        let (byte, rest) = stored.split_first().ok_or(Unreadable)?;
        let header = Header::of(*byte).filter(|header| header.kind == kind).ok_or(Unreadable)?;
        if header.is_sealed != self.is_sealing() {
            return Err(Unreadable); // nobody gets anything believed by leaving the seal away
        }
        if !header.is_sealed {
            return squeeze::expand(header.form, rest).ok_or(Unreadable);
        }
        let opened = self.seals.iter().find_map(|key| key.open(*byte, rest).ok());
        squeeze::expand(header.form, &opened.ok_or(Unreadable)?).ok_or(Unreadable)
    }
}

/// A lead's bytes, equal for equal leads and for no others: what its digest is of.
pub(super) fn with_lead_bytes<T>(lead: &Lead, then: impl FnOnce(&[u8]) -> T) -> T {
    with_scratch(|bytes| {
        shape::write_lead(lead, bytes);
        then(bytes)
    })
}

/// A payload's first byte.
struct Header {
    kind: Kind,
    is_sealed: bool,
    form: Form,
}

impl Header {
    fn byte(&self) -> u8 {
        VERSION << 5 | (self.kind as u8) << 3 | u8::from(self.is_sealed) << 2 | self.form as u8
    }

    fn of(byte: u8) -> Option<Self> {
        let kinds = [Kind::Person, Kind::Body, Kind::Bytes, Kind::Key];
        let forms = [Form::Plain, Form::Block, Form::Frame];
        let (kind, form) = (usize::from(byte >> 3 & 0b11), usize::from(byte & 0b11));
        let header =
            Self { kind: *kinds.get(kind)?, is_sealed: byte & 0b100 != 0, form: *forms.get(form)? };
        (byte >> 5 == VERSION).then_some(header)
    }
}

/// A buffer that each thread keeps, unless a text was long.
fn with_scratch<T>(work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    thread_local!(static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) });
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.clear();
        let answer = work(scratch);
        squeeze::forget_long(scratch);
        answer
    })
}

#[cfg(test)]
mod tests;
