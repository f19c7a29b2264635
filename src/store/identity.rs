//! Persons as keyed hashes: a store recognises a phone or an e-mail without holding a list of
//! them that somebody could read.

use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::payload;
use crate::lead::{DestinationId, Identity, Lead, SourceId};

/// How many identities of one submission count; a form that names more people than this is no
/// person's.
pub const IDENTITIES_MAX: usize = 8;

/// Changing a label makes every stored hash unrecognisable: it is part of the stored format.
const KEY_LABEL: &[u8] = b"leadgate identity key 1";
const FINGERPRINT_LABEL: &[u8] = b"leadgate identity fingerprint 1";

/// What a hash is of. A phone and an e-mail never have the same hash, nor have two destinations'.
#[derive(Clone, Copy)]
enum Kind {
    Phone = 1,
    Email = 2,
    Delivery = 3,
    Fingerprint = 4,
    ExternalId = 5,
    Content = 6,
    Forgotten = 7,
}

/// The keyed hash of an identity, of an idempotency key, …: HMAC-SHA256, cut to 16 bytes, so that
/// a billion of them collide with a probability below 10⁻²⁰.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct IdentityHash([u8; IdentityHash::LEN]);

impl IdentityHash {
    /// Bytes in a hash.
    pub const LEN: usize = 16;

    /// From the bytes that [`IdentityHash::as_bytes`] gave.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The hash's bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl Hash for IdentityHash {
    /// Half of it is enough to tell it by: every bit is as good as random.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let (half, _) = self.0.split_first_chunk().expect("16 bytes begin with 8");
        hasher.write_u64(u64::from_le_bytes(*half));
    }
}

/// For maps by [`IdentityHash`]: hashes nothing again. Nobody without the key can make two that
/// collide.
pub type Uniform = BuildHasherDefault<AsItIs>;

/// A hasher that answers the last number it was given.
#[derive(Default)]
pub struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

impl fmt::Debug for IdentityHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentityHash(…)") // still a pseudonym of somebody: not for a log
    }
}

/// The persons named in what is no lead: they claim nothing, but can be searched and forgotten.
pub(super) fn named(lead: &Lead) -> Vec<Identity> {
    let phone = lead.phone.clone().map(Identity::Phone);
    phone.into_iter().chain(lead.email.clone().map(Identity::Email)).collect()
}

/// The key that identities are hashed with.
#[derive(Clone)]
pub struct IdentityKey(Hmac<Sha256>);

impl fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentityKey(…)")
    }
}

impl IdentityKey {
    /// The key of a store that begins with this secret.
    pub fn from_secret(secret: &SecretString) -> Self {
        Self::from_bytes(&Self::bytes_of_secret(secret))
    }

    /// What makes the key of a store that begins with this secret.
    pub(super) fn bytes_of_secret(secret: &SecretString) -> [u8; 32] {
        derived(secret, KEY_LABEL)
    }

    /// The key of these bytes: random ones, made once and kept in the store, where there is no
    /// secret.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(keyed(bytes))
    }

    /// Tells one key from another without telling the key, so that a store can refuse to be
    /// opened with a secret that would recognise nobody in it.
    pub fn fingerprint(&self) -> IdentityHash {
        self.hash(Kind::Fingerprint, "", FINGERPRINT_LABEL)
    }

    /// The hash of a person's phone or e-mail, at one destination.
    pub fn identity(&self, destination: &DestinationId, identity: &Identity) -> IdentityHash {
        match identity {
            Identity::Phone(phone) => {
                self.hash(Kind::Phone, destination.as_str(), phone.e164().as_bytes())
            }
            Identity::Email(key) => self.hash(Kind::Email, destination.as_str(), key.as_bytes()),
        }
    }

    /// The hashes of a submission's identities, in order, at most [`IDENTITIES_MAX`], none twice.
    pub fn identities(
        &self,
        destination: &DestinationId,
        identities: &[Identity],
    ) -> Vec<IdentityHash> {
        let mut hashes = Vec::with_capacity(identities.len().min(IDENTITIES_MAX));
        for identity in identities.iter().take(IDENTITIES_MAX) {
            let hash = self.identity(destination, identity);
            if !hashes.contains(&hash) {
                hashes.push(hash);
            }
        }
        hashes
    }

    /// What a forgotten person is known by, wherever they went: at most [`IDENTITIES_MAX`], none
    /// twice.
    pub fn forgotten(&self, identities: &[Identity]) -> Vec<IdentityHash> {
        let mut hashes = Vec::with_capacity(identities.len().min(IDENTITIES_MAX));
        for identity in identities.iter().take(IDENTITIES_MAX) {
            let hash = match identity {
                Identity::Phone(phone) => {
                    self.hash(Kind::Forgotten, "phone", phone.e164().as_bytes())
                }
                Identity::Email(key) => self.hash(Kind::Forgotten, "email", key.as_bytes()),
            };
            if !hashes.contains(&hash) {
                hashes.push(hash);
            }
        }
        hashes
    }

    /// The hash of a delivery's idempotency key, within its source.
    pub fn delivery(&self, source: &SourceId, key: &str) -> IdentityHash {
        self.hash(Kind::Delivery, source.as_str(), key.as_bytes())
    }

    /// The hash of a platform's own id of a submission, whatever its source: people search by it.
    pub fn external_id(&self, id: &str) -> IdentityHash {
        self.hash(Kind::ExternalId, "", id.as_bytes())
    }

    /// The digest of what a lead says: two leads say the same when they have the same.
    pub fn content(&self, lead: &Lead) -> IdentityHash {
        payload::with_lead_bytes(lead, |bytes| self.hash(Kind::Content, "", bytes))
    }

    /// `scope` is at most 64 bytes long (a name), so one byte says where it ends.
    fn hash(&self, kind: Kind, scope: &str, value: &[u8]) -> IdentityHash {
        let mut mac = self.0.clone();
        mac.update(&[kind as u8, u8::try_from(scope.len()).unwrap_or(u8::MAX)]);
        mac.update(scope.as_bytes());
        mac.update(value);
        let whole = mac.finalize().into_bytes();
        let mut cut = [0; IdentityHash::LEN];
        cut.copy_from_slice(&whole[..IdentityHash::LEN]);
        IdentityHash(cut)
    }
}

/// A key of its own for each label.
pub(super) fn derived(secret: &SecretString, label: &[u8]) -> [u8; 32] {
    let mut derive = keyed(secret.expose_secret().as_bytes());
    derive.update(label);
    derive.finalize().into_bytes().into()
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone(text: &str) -> Identity {
        Identity::Phone(text.parse().unwrap())
    }

    #[test]
    fn a_hash_belongs_to_one_kind_one_destination_and_one_key() {
        let key = IdentityKey::from_bytes(&[7; 32]);
        let (main, other) = ("main".parse().unwrap(), "other".parse().unwrap());
        let person = phone("+84900000012");
        let hash = key.identity(&main, &person);

        assert_eq!(hash, key.identity(&main, &person));
        assert_ne!(hash, key.identity(&other, &person));
        assert_ne!(hash, key.identity(&main, &Identity::Email("+84900000012".into())));
        assert_ne!(hash, key.delivery(&"main".parse().unwrap(), "+84900000012"));
        assert_ne!(hash, IdentityKey::from_bytes(&[8; 32]).identity(&main, &person));
        assert_ne!(key.external_id("+84900000012"), hash);
        assert_ne!(key.external_id("f-1"), key.external_id("f-2"));

        let forgotten = key.forgotten(&[person.clone(), Identity::Email("+84900000012".into())]);
        assert_eq!(forgotten.len(), 2);
        assert!(!forgotten.contains(&hash));
        assert_ne!(forgotten, IdentityKey::from_bytes(&[8; 32]).forgotten(&[person]));
    }

    #[test]
    fn leads_that_say_the_same_have_one_digest() {
        let key = IdentityKey::from_bytes(&[7; 32]);
        let lead = Lead { message: Some("Xin chào".into()), ..Lead::default() };
        let other = Lead { name: lead.message.clone(), ..Lead::default() };
        assert_eq!(key.content(&lead), key.content(&lead.clone()));
        assert_ne!(key.content(&lead), key.content(&other));
        assert_ne!(key.content(&lead), IdentityKey::from_bytes(&[8; 32]).content(&lead));
    }

    #[test]
    fn where_the_scope_ends_is_part_of_the_hash() {
        let key = IdentityKey::from_bytes(&[7; 32]);
        let (short, long) = ("a".parse().unwrap(), "ab".parse().unwrap());
        assert_ne!(key.delivery(&short, "bc"), key.delivery(&long, "c"));
    }

    #[test]
    fn the_stored_format_does_not_change() {
        let key = IdentityKey::from_secret(&SecretString::from("a secret"));
        let hash = key.identity(&"main".parse().unwrap(), &phone("+84900000012"));
        assert_eq!(hex(&hash), "d7ad85b5d1695b4b3492ea826ee8a5c0");
        assert_eq!(hex(&key.fingerprint()), "1f77a1316dcbc06bb765b5e00aac136e");
    }

    #[test]
    fn identities_are_bounded_and_distinct() {
        let key = IdentityKey::from_bytes(&[7; 32]);
        let main = "main".parse().unwrap();
        let many: Vec<_> = (10..40).map(|n| phone(&format!("+849000000{n}"))).collect();
        assert_eq!(key.identities(&main, &many).len(), IDENTITIES_MAX);
        let twice = [phone("+84900000012"), phone("+84900000012")];
        assert_eq!(key.identities(&main, &twice).len(), 1);
    }

    #[test]
    fn nothing_prints() {
        let key = IdentityKey::from_bytes(&[7; 32]);
        assert_eq!(format!("{key:?} {:?}", key.fingerprint()), "IdentityKey(…) IdentityHash(…)");
    }

    fn hex(hash: &IdentityHash) -> String {
        hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
