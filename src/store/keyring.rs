//! The secrets of a store, and what changes with them: whatever is written is sealed with the first,
//! whatever any of them sealed can be read, and the key that persons are recognised by stays the one
//! that the store began with.
//!
//! That key is derived from the secret that the store began with. For every other secret the store
//! keeps a wrapped copy of it (sealed with that secret), so that the first secret can be taken away.

use std::fmt;
use std::sync::Arc;

use secrecy::SecretString;

use super::identity::{IdentityHash, IdentityKey};
use super::payload::{SealingKey, Vault};

/// The bytes of an [`IdentityKey`].
pub(super) type KeyBytes = [u8; 32];

/// What the secrets of `store.secret` make, in their order.
pub(super) struct Keyring {
    /// All of them, to open with; the first seals.
    seals: Arc<[SealingKey]>,
    secrets: Vec<Secret>,
    /// Of the wrapped copies, one for each secret.
    names: Vec<String>,
}

/// What one secret makes by itself.
struct Secret {
    /// The identity key of a store that began with it.
    own: KeyBytes,
    /// Seals its copy: that is of use without any other secret.
    seal: Arc<[SealingKey]>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(…)")
    }
}

impl Keyring {
    /// The keyring of the secrets; none where there is no secret.
    pub(super) fn of(secrets: &[SecretString]) -> Option<Self> {
        if secrets.is_empty() {
            return None;
        }
        let seals = || secrets.iter().map(SealingKey::of_secret);
        let own = || secrets.iter().map(IdentityKey::bytes_of_secret);
        let each = own().zip(seals()).map(|(own, seal)| Secret { own, seal: Arc::from([seal]) });
        Some(Self {
            seals: seals().collect(),
            secrets: each.collect(),
            names: own().map(|own| name(&own)).collect(),
        })
    }

    /// The identity key of a store that begins now.
    pub(super) fn first(&self) -> KeyBytes {
        self.secrets[0].own
    }

    /// What the wrapped copies are kept under, one name for each secret.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The identity key whose fingerprint a store keeps; `kept` are the wrapped copies that are
    /// there, by [`Keyring::names`]. `None` when no secret leads to it.
    pub(super) fn find(&self, fingerprint: &[u8], kept: &[Option<Vec<u8>>]) -> Option<KeyBytes> {
        let opened = kept.iter().flatten().filter_map(|copy| self.unwrapped(copy));
        let known = |key: &KeyBytes| fingerprint_of(key).as_bytes() == fingerprint;
        self.secrets.iter().map(|secret| secret.own).chain(opened).find(known)
    }

    /// The copies that the store lacks, with their names. The secret that the key is derived from
    /// needs none; one that does not open is made anew.
    pub(super) fn lacking(&self, key: &KeyBytes, kept: &[Option<Vec<u8>>]) -> Vec<(&str, Vec<u8>)> {
        let mut lacking = Vec::new();
        for (place, (secret, name)) in self.secrets.iter().zip(&self.names).enumerate() {
            let vault = Vault::sealing(IdentityKey::from_bytes(key), Arc::clone(&secret.seal));
            let copy = kept.get(place).and_then(Option::as_ref);
            let is_there = copy.is_some_and(|copy| vault.open_key(copy).as_ref() == Ok(key));
            if secret.own != *key && !is_there {
                lacking.push((name.as_str(), vault.close_key(key)));
            }
        }
        lacking
    }

    /// The vault of a store with this identity key.
    pub(super) fn vault(&self, key: &KeyBytes) -> Vault {
        Vault::sealing(IdentityKey::from_bytes(key), Arc::clone(&self.seals))
    }

    fn unwrapped(&self, copy: &[u8]) -> Option<KeyBytes> {
        self.vault(&self.first()).open_key(copy).ok()
    }
}

/// Tells a key to a store that must refuse all others.
pub(super) fn fingerprint_of(key: &KeyBytes) -> IdentityHash {
    IdentityKey::from_bytes(key).fingerprint()
}

/// Names a secret by the fingerprint of what is derived from it, which says nothing of either.
fn name(own: &KeyBytes) -> String {
    let hex: String =
        fingerprint_of(own).as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("wrapped_key.{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(secrets: &[&str]) -> Keyring {
        let secrets: Vec<_> = secrets.iter().map(|secret| SecretString::from(*secret)).collect();
        Keyring::of(&secrets).expect("a secret")
    }

    /// The copies as a store that had `secrets` one after another would keep them for `ring`.
    fn kept_for(ring: &Keyring, store: &[(String, Vec<u8>)]) -> Vec<Option<Vec<u8>>> {
        let copy = |name: &String| store.iter().find(|(kept, _)| kept == name);
        ring.names().iter().map(|name| copy(name).map(|(_, copy)| copy.clone())).collect()
    }

    #[test]
    fn every_secret_of_a_rotation_leads_to_the_key_that_the_store_began_with() {
        let began = ring(&["one"]).first();
        let fingerprint = *fingerprint_of(&began).as_bytes();
        let mut store = Vec::new();
        let rotation: [&[&str]; 6] =
            [&["one"], &["one", "two"], &["two", "one"], &["two"], &["three", "two"], &["three"]];
        for (step, secrets) in rotation.into_iter().enumerate() {
            let ring = ring(secrets);
            let kept = kept_for(&ring, &store);
            let key = ring.find(&fingerprint, &kept);
            assert!(key == Some(began), "step {step}");
            let lacking = ring.lacking(&began, &kept);
            store.extend(lacking.into_iter().map(|(name, copy)| (name.to_owned(), copy)));
            assert!(ring.lacking(&began, &kept_for(&ring, &store)).is_empty(), "step {step}");
        }
        assert_eq!(store.len(), 2, "the first secret needs no copy");
        let stranger = ring(&["four"]);
        assert!(stranger.find(&fingerprint, &kept_for(&stranger, &store)).is_none());
        let all: Vec<_> = store.iter().map(|(_, copy)| Some(copy.clone())).collect();
        assert!(stranger.find(&fingerprint, &all).is_none(), "copies are sealed");
    }

    #[test]
    fn a_copy_that_is_damaged_or_of_another_key_is_made_anew() {
        let began = ring(&["one"]).first();
        let ring = ring(&["two", "one"]);
        let whole = ring.lacking(&began, &[None, None]).remove(0).1;
        let mut damaged = whole.clone();
        damaged[5] ^= 1;
        let foreign = ring.lacking(&[9; 32], &[None, None]).remove(0).1;
        for spoilt in [damaged, foreign, Vec::new(), ring.vault(&began).close_bytes(&began)] {
            assert_eq!(ring.lacking(&began, &[Some(spoilt), None]).len(), 1);
        }
        assert!(ring.lacking(&began, &[Some(whole), None]).is_empty());
    }

    #[test]
    fn nothing_prints() {
        assert_eq!(format!("{:?}", ring(&["one"])), "Keyring(…)");
    }
}
