//! A table that is being read: every key is asked for by name, and what nobody asked for is a
//! fault. So the code that reads a key is the only list of keys there is.

use super::Reading;
use super::field::Field;
use crate::config::document::{Place, Table};
use crate::config::fault::did_you_mean;
use crate::config::places::dotted;

/// A table, or the absence of one, which reads as an empty table.
#[must_use = "finish() names the keys that nothing asked for"]
pub(super) struct Section<'r> {
    reading: &'r Reading<'r>,
    path: String,
    place: Place,
    entries: Table,
    asked: Vec<&'static str>,
}

impl<'r> Section<'r> {
    pub fn new(reading: &'r Reading<'r>, path: String, place: Place, entries: Table) -> Self {
        Self { reading, path, place, entries, asked: Vec::new() }
    }

    /// The dotted path of one of this table's keys.
    fn path_of(&self, key: &str) -> String {
        dotted(&self.path, key)
    }

    /// The value of `key`, if there is one.
    pub fn take(&mut self, key: &'static str) -> Option<Field<'r>> {
        self.asked.push(key);
        let node = self.entries.remove(key);
        #[cfg(test)]
        if node.is_none() {
            self.reading.absent.borrow_mut().push(self.path_of(key));
        }
        node.map(|node| Field::new(self.reading, self.path_of(key), node))
    }

    /// What `read` makes of `key`; `default` where it is absent or faulty.
    pub fn read_or<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl FnOnce(Field<'r>) -> Option<T>,
    ) -> T {
        self.take(key).and_then(read).unwrap_or(default)
    }

    /// The value of a key that must be there.
    pub fn require(&mut self, key: &'static str, advice: &str) -> Option<Field<'r>> {
        let field = self.take(key);
        if field.is_none() {
            self.fault(key, "this key is missing", advice);
        }
        field
    }

    /// The table at `key`; an empty one, read for its defaults, where there is none.
    pub fn section(&mut self, key: &'static str) -> Section<'r> {
        match self.take(key) {
            Some(field) => field.section(),
            None => Section::new(self.reading, self.path_of(key), self.place.clone(), Table::new()),
        }
    }

    /// The entries of a table whose keys are the operator's own names.
    pub fn into_entries(self) -> impl Iterator<Item = (String, Field<'r>)> {
        let path_of: Vec<String> = self.entries.keys().map(|key| self.path_of(key)).collect();
        let reading = self.reading;
        self.entries
            .into_iter()
            .zip(path_of)
            .map(move |((name, node), path)| (name, Field::new(reading, path, node)))
    }

    /// Whether there is no key that nothing asked for yet.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Reports something wrong with `key`, where the value itself cannot say it.
    pub fn fault(&self, key: &str, problem: impl Into<String>, advice: impl Into<String>) {
        self.reading.fault(&self.place, self.path_of(key), problem.into(), advice.into());
    }

    /// Reports something doubtful about `key`.
    pub fn warn(&self, key: &str, problem: impl Into<String>, advice: impl Into<String>) {
        self.reading.warn(&self.place, self.path_of(key), problem.into(), advice.into());
    }

    /// Reports every key that nothing asked for.
    pub fn finish(self) {
        for (key, node) in &self.entries {
            let advice = did_you_mean(key, self.asked.iter().copied())
                .unwrap_or_else(|| format!("the keys here are {}", self.asked.join(", ")));
            let problem = "there is no such key".to_owned();
            self.reading.fault(&node.place, self.path_of(key), problem, advice);
        }
    }
}
