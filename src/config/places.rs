//! Where each key of a configuration was written, for what shows to be wrong later on.

use std::collections::BTreeMap;

use super::document::Place;
use super::fault::Fault;

/// Where a configuration's values were written, by their keys' dotted paths.
#[derive(Debug, Clone, Default)]
pub struct Places {
    file: String,
    written: BTreeMap<String, Written>,
}

#[derive(Debug, Clone)]
enum Written {
    /// In the file, on this line (from 1).
    Line(usize),
    /// In this environment variable.
    Variable(String),
}

impl Places {
    /// No places yet; `file` is what faults call the configuration.
    pub(super) fn of(file: &str) -> Self {
        Self { file: file.to_owned(), written: BTreeMap::new() }
    }

    /// Remembers where the value of `key` was written.
    pub(super) fn remember(&mut self, key: &str, place: &Place) {
        let written = match place {
            Place::Document => return,
            Place::Line(line) => Written::Line(*line),
            Place::Variable(name) => Written::Variable(name.to_string()),
        };
        self.written.insert(key.to_owned(), written);
    }

    /// Something wrong with `key` (`destinations.main.lead.service_id`), with its file and line.
    /// Of a key that was not written, the place is that of the table it would stand in.
    pub fn fault(
        &self,
        key: impl Into<String>,
        problem: impl Into<String>,
        advice: impl Into<String>,
    ) -> Fault {
        let key = key.into();
        let (file, line) = match enclosing(&key).find_map(|key| self.written.get(key)) {
            Some(Written::Line(line)) => (self.file.clone(), Some(*line)),
            Some(Written::Variable(name)) => (name.clone(), None),
            None => (self.file.clone(), None),
        };
        Fault { file, line, column: None, key, problem: problem.into(), advice: advice.into() }
    }
}

/// A dotted path and those of all that it stands in, from the inside out.
fn enclosing(key: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(key), |inner| {
        inner.rfind(['.', '[']).and_then(|end| inner.get(..end))
    })
}

/// The dotted path of `key` in the table at `parent` (empty: the document itself). A key that is
/// no bare one is quoted, as it would be in the file: `values."Đã mua"`.
pub fn dotted(parent: &str, key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let plain = !key.is_empty() && key.chars().all(bare);
    let key = if plain { key.to_owned() } else { format!("{key:?}") };
    if parent.is_empty() { key } else { format!("{parent}.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_that_of_the_key_or_of_what_it_stands_in() {
        let mut places = Places::of("leadgate.toml");
        places.remember("destinations.main", &Place::Line(3));
        places.remember("destinations.main.lead.lead_label[1]", &Place::Line(8));
        places.remember("destinations.main.domain", &Place::Variable("LEADGATE__X".into()));
        let place = |key: &str| {
            let fault = places.fault(key, "wrong", "");
            (fault.file, fault.line)
        };
        let in_file = |line| ("leadgate.toml".to_owned(), line);
        assert_eq!(place("destinations.main.lead.lead_label[1]"), in_file(Some(8)));
        assert_eq!(place("destinations.main.lead.lead_label[0]"), in_file(Some(3)));
        assert_eq!(place("destinations.main.base_url"), in_file(Some(3)));
        assert_eq!(place("destinations.main.domain"), ("LEADGATE__X".to_owned(), None));
        assert_eq!(place("sources.website"), in_file(None));
        assert_eq!(place(""), in_file(None));
    }
}
