//! What all gateways on one Redis must agree on before anything else: the key that persons are
//! recognised by.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use redis::{FromRedisValue, cmd, from_redis_value};

use super::{Inner, META, closed, record};
use crate::store::StoreError;
use crate::store::keyring::{self, KeyBytes, Keyring};
use crate::store::payload::Vault;

impl Inner {
    /// The vault, once it is known to be Redis's own. Asked again over each new connection: Redis
    /// may have come back empty, and the next process must find the same key there.
    pub(super) async fn vault(&self) -> Result<Arc<Vault>, StoreError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        let connection = self.link.generation();
        let known = self.vault.read().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(vault) if self.greeted.load(Ordering::Acquire) == connection => Ok(vault),
            _ => self.greet(connection).await,
        }
    }

    async fn greet(&self, connection: u64) -> Result<Arc<Vault>, StoreError> {
        let vault = match &self.keyring {
            Some(keyring) => self.sealing_vault(keyring).await?,
            None => self.kept_vault().await?,
        };
        *self.vault.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&vault));
        let known = self.known().clone();
        for destination in &known {
            self.name(destination).await?;
        }
        self.greeted.store(connection, Ordering::Release);
        Ok(vault)
    }

    /// What all gateways share is compared again with the next call.
    pub(super) fn greet_again(&self) {
        self.greeted.store(0, Ordering::Release);
    }

    /// The vault of the secrets, with the key that Redis was begun with: the one that is known from
    /// before, should Redis have come back empty.
    async fn sealing_vault(&self, keyring: &Keyring) -> Result<Arc<Vault>, StoreError> {
        let own = self.kept_key().unwrap_or_else(|| keyring.first());
        let begun = self.begun_with(&own).await?;
        let copies = cmd("HMGET").arg(META).arg(keyring.names()).to_owned();
        let copies = self.link.send(&copies).await?;
        let copies: Vec<Option<Vec<u8>>> =
            from_redis_value(copies).map_err(|_| record::unreadable("what all gateways share"))?;
        let is_own = begun == keyring::fingerprint_of(&own).as_bytes();
        let key = if is_own { Some(own) } else { keyring.find(&begun, &copies) };
        let key = key.ok_or_else(another_secret)?;
        for (name, copy) in keyring.lacking(&key, &copies) {
            self.link.send(cmd("HSET").arg(META).arg(name).arg(copy)).await?;
        }
        self.keep(key);
        Ok(Arc::new(keyring.vault(&key)))
    }

    /// The vault of a store without a secret: whose key is first there is everybody's.
    async fn kept_vault(&self) -> Result<Arc<Vault>, StoreError> {
        let own = self.kept_key().map_or_else(random_key, Ok)?;
        let kept: Vec<u8> = self.first_said("identity_key", &own).await?;
        let key = kept.try_into().map_err(|_| record::unreadable("the identity key"))?;
        if self.begun_with(&key).await? != keyring::fingerprint_of(&key).as_bytes() {
            return Err(another_secret());
        }
        self.keep(key);
        Ok(Arc::new(Vault::from_random(&key)))
    }

    /// The fingerprint of the key that Redis was begun with; of this one, if it begins now.
    async fn begun_with(&self, key: &KeyBytes) -> Result<Vec<u8>, StoreError> {
        self.first_said("fingerprint", keyring::fingerprint_of(key).as_bytes()).await
    }

    fn kept_key(&self) -> Option<KeyBytes> {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, key: KeyBytes) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
    }

    /// Writes a field that nobody wrote yet; what is there now.
    async fn first_said<T: FromRedisValue>(
        &self,
        field: &str,
        value: &[u8],
    ) -> Result<T, StoreError> {
        self.link.send(cmd("HSETNX").arg(META).arg(field).arg(value)).await?;
        let kept = self.link.send(cmd("HGET").arg(META).arg(field)).await?;
        from_redis_value(kept).map_err(|_| record::unreadable("what all gateways share"))
    }
}

fn another_secret() -> StoreError {
    StoreError::Unavailable(
        "what is in Redis was begun with another store.secret (or with none) and would recognise \
         nobody: set the one it was begun with, or that one behind the new one \
         (store.secret = [new, old]), or begin with an empty database"
            .into(),
    )
}

fn random_key() -> Result<[u8; 32], StoreError> {
    let mut key = [0; 32];
    getrandom::fill(&mut key)
        .map_err(|error| StoreError::Unavailable(format!("no randomness: {error}")))?;
    Ok(key)
}
