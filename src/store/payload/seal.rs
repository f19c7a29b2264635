//! Sealing: AES-256-GCM under a key that is made of `store.secret`.

use std::cell::RefCell;
use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use secrecy::SecretString;

use super::Unreadable;
use crate::store::identity::derived;

/// Changing a label makes everything that is stored unreadable: they are part of the stored format.
const KEY_LABEL: &[u8] = b"leadgate sealing key 1";
const KEY_ID_LABEL: &[u8] = b"leadgate sealing key id 1";

/// Which key it is, a nonce; behind the text its tag.
pub(super) const OVERHEAD: usize = KEY_ID + NONCE_LEN + TAG;
const KEY_ID: usize = 2;
const TAG: usize = 16;

/// What payloads are sealed with. Every payload has a random nonce of 96 bits: for one secret, two
/// of 2³² payloads have the same with a probability of 2⁻³³.
pub(in crate::store) struct SealingKey {
    id: [u8; KEY_ID],
    key: LessSafeKey,
}

impl SealingKey {
    /// The key that belongs to one secret.
    pub(in crate::store) fn of_secret(secret: &SecretString) -> Self {
        let [first, second, ..] = derived(secret, KEY_ID_LABEL);
        Self::new([first, second], &derived(secret, KEY_LABEL))
    }

    /// `id` tells the keys of one store apart, and nothing about them.
    fn new(id: [u8; KEY_ID], key: &[u8; 32]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, key).expect("AES-256 takes 32 bytes");
        Self { id, key: LessSafeKey::new(key) }
    }

    /// Appends the sealed text; the header before it cannot be changed either.
    pub(super) fn seal(&self, header: u8, text: &[u8], out: &mut Vec<u8>) {
        let nonce = NONCES.with_borrow_mut(Nonces::next);
        out.extend_from_slice(&self.id);
        out.extend_from_slice(&nonce);
        let begin = out.len();
        out.extend_from_slice(text);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, self.bound(header), &mut out[begin..])
            .expect("only a text of 64 GiB is too long");
        out.extend_from_slice(tag.as_ref());
    }

    /// The text in what [`SealingKey::seal`] appended.
    pub(super) fn open(&self, header: u8, sealed: &[u8]) -> Result<Vec<u8>, Unreadable> {
        let (id, rest) = sealed.split_first_chunk::<KEY_ID>().ok_or(Unreadable)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>().ok_or(Unreadable)?;
        if *id != self.id {
            return Err(Unreadable);
        }
        let mut text = rest.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.key.open_in_place(nonce, self.bound(header), &mut text);
        let length = opened.map_err(|_| Unreadable)?.len();
        text.truncate(length);
        Ok(text)
    }

    /// What is authenticated besides the text.
    fn bound(&self, header: u8) -> Aad<[u8; 1 + KEY_ID]> {
        Aad::from([header, self.id[0], self.id[1]])
    }
}

/// Random nonces, drawn from the system some at a time: asking it takes as long as sealing does.
struct Nonces {
    drawn: [[u8; NONCE_LEN]; DRAWN],
    used: usize,
}

/// 252 bytes: up to 256 the system gives in one piece.
const DRAWN: usize = 21;

thread_local! {
    static NONCES: RefCell<Nonces> =
        const { RefCell::new(Nonces { drawn: [[0; NONCE_LEN]; DRAWN], used: DRAWN }) };
}

impl Nonces {
    fn next(&mut self) -> [u8; NONCE_LEN] {
        if self.used == DRAWN {
            getrandom::fill(self.drawn.as_flattened_mut())
                .expect("getrandom(2) of up to 256 bytes has no way to fail once the system is up");
            self.used = 0;
        }
        self.used += 1;
        self.drawn[self.used - 1]
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(…)")
    }
}
