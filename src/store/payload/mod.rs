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

use self::seal::SealingKey;
use self::squeeze::Form;
use super::identity::{IdentityKey, derived};
use crate::lead::{Lead, RawBody};

/// Of everything in this folder, dictionary and lists of names included.
const VERSION: u8 = 1;

/// Changing a label makes everything that is stored unreadable: they are part of the stored format.
const KEY_LABEL: &[u8] = b"leadgate sealing key 1";
const KEY_ID_LABEL: &[u8] = b"leadgate sealing key id 1";

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
}

/// What a store keeps secrets with: the key of its identity hashes and, where it has a secret, the
/// one that payloads are sealed with. Cheap to clone.
#[derive(Clone)]
pub struct Vault {
    key: IdentityKey,
    seal: Option<Arc<SealingKey>>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(…)")
    }
}

impl Vault {
    /// The vault of `store.secret`: what it closes is sealed.
    pub fn from_secret(secret: &SecretString) -> Self {
        let [first, second, ..] = derived(secret, KEY_ID_LABEL);
        let seal = SealingKey::new([first, second], &derived(secret, KEY_LABEL));
        Self { key: IdentityKey::from_secret(secret), seal: Some(Arc::new(seal)) }
    }

    /// The vault of a store that has no secret. What it closes is compressed and not sealed: the
    /// key would lie beside it.
    pub fn from_random(bytes: &[u8; 32]) -> Self {
        Self { key: IdentityKey::from_random(bytes), seal: None }
    }

    /// What persons are recognised by.
    pub fn key(&self) -> &IdentityKey {
        &self.key
    }

    /// Whether what it closes is sealed.
    pub fn is_sealing(&self) -> bool {
        self.seal.is_some()
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

    fn close_kind(&self, kind: Kind, text: &[u8]) -> Vec<u8> {
        squeeze::squeeze(text, |form, squeezed| {
            let header = Header { kind, is_sealed: self.is_sealing(), form }.byte();
            let mut stored = Vec::with_capacity(1 + seal::OVERHEAD + squeezed.len());
            stored.push(header);
            match &self.seal {
                Some(key) => key.seal(header, squeezed, &mut stored),
                None => stored.extend_from_slice(squeezed),
            }
            stored
        })
    }

    fn open_kind(&self, kind: Kind, stored: &[u8]) -> Result<Vec<u8>, Unreadable> {
        let (byte, rest) = stored.split_first().ok_or(Unreadable)?;
        let header = Header::of(*byte).filter(|header| header.kind == kind).ok_or(Unreadable)?;
        match (header.is_sealed, &self.seal) {
            (true, Some(key)) => {
                squeeze::expand(header.form, &key.open(*byte, rest)?).ok_or(Unreadable)
            }
            (false, None) => squeeze::expand(header.form, rest).ok_or(Unreadable),
            // Nobody gets anything believed by leaving the seal away.
            _ => Err(Unreadable),
        }
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
        let kinds = [Kind::Person, Kind::Body, Kind::Bytes];
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
