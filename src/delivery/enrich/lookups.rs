//! Documents that are the same for many notices: a form.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::lead::Timestamp;

/// So many are kept of a source; the one that ends first goes for a new one.
const KEPT_MAX: usize = 64;

/// A longer one is asked for each time.
const BYTES_MAX: usize = 64 * 1024;

/// What one source knows by address.
#[derive(Default)]
pub(super) struct Lookups(Mutex<HashMap<String, (Timestamp, Value)>>);

impl Lookups {
    pub(super) fn get(&self, address: &str, now: Timestamp) -> Option<Value> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, document) = known.get(address)?;
        (*until > now).then(|| document.clone())
    }

    pub(super) fn put(&self, address: String, document: &Value, until: Timestamp) {
        if document.to_string().len() > BYTES_MAX {
            return;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEPT_MAX && !known.contains_key(&address) {
            let first = known.iter().min_by_key(|(_, (until, _))| *until);
            if let Some(first) = first.map(|(address, _)| address.clone()) {
                known.remove(&first);
            }
        }
        known.insert(address, (until, document.clone()));
    }
}
