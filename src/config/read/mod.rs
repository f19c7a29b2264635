//! Reads a document as a configuration, and collects everything that is wrong with it.

mod challenge;
mod destination;
mod field;
mod gateway;
mod lead;
mod notify;
mod secret;
mod section;
mod source;
mod store;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::document::{Place, Table};
use super::environment::Environment;
use super::fault::Fault;
use super::model::Config;
use super::places::Places;
use field::Field;
use section::Section;

/// What the whole of one reading shares. Nothing is borrowed for longer than a push.
pub(super) struct Reading<'r> {
    /// How faults name the file.
    pub file: &'r str,
    /// Where `{ env = … }` looks.
    pub environment: &'r dyn Environment,
    /// The names of the built-in presets.
    pub presets: &'r [&'r str],
    /// What is wrong.
    pub faults: RefCell<Vec<Fault>>,
    /// What is doubtful.
    pub warnings: RefCell<Vec<Fault>>,
    /// Where what was read was written.
    pub places: RefCell<Places>,
    /// The files that the configuration names: secrets and presets.
    pub files: RefCell<BTreeSet<PathBuf>>,
    /// The keys that were asked for and not there.
    #[cfg(test)]
    pub absent: RefCell<Vec<String>>,
}

impl<'r> Reading<'r> {
    pub fn new(file: &'r str, environment: &'r dyn Environment, presets: &'r [&'r str]) -> Self {
        Self {
            file,
            environment,
            presets,
            faults: RefCell::default(),
            warnings: RefCell::default(),
            places: RefCell::new(Places::of(file)),
            files: RefCell::default(),
            #[cfg(test)]
            absent: RefCell::default(),
        }
    }

    /// A file is named, whether it can be read or not.
    fn named(&self, file: &Path) {
        self.files.borrow_mut().insert(file.to_owned());
    }

    fn fault(&self, place: &Place, key: String, problem: String, advice: String) {
        self.faults.borrow_mut().push(self.note(place, key, problem, advice));
    }

    fn warn(&self, place: &Place, key: String, problem: String, advice: String) {
        self.warnings.borrow_mut().push(self.note(place, key, problem, advice));
    }

    fn note(&self, place: &Place, key: String, problem: String, advice: String) -> Fault {
        let (file, line) = match place {
            Place::Document => (self.file.to_owned(), None),
            Place::Line(line) => (self.file.to_owned(), Some(*line)),
            Place::Variable(name) => (name.to_string(), None),
        };
        Fault { file, line, column: None, key, problem, advice }
    }

    /// Reads all of it. Worth nothing unless `faults` is empty afterwards.
    pub fn config(&'r self, document: Table) -> Config {
        let mut root = Section::new(self, String::new(), Place::Document, document);
        let server = gateway::server(root.section("server"));
        let admin = gateway::admin(root.section("admin"), &server);
        let store = store::store(root.section("store"));
        let dedup = gateway::dedup(root.section("dedup"));
        let phone = gateway::phone(root.section("phone"));
        let limits = gateway::limits(root.section("limits"));
        let log = gateway::log(root.section("log"));
        let notify = root.take("notify").and_then(|field| notify::notify(field.section()));
        let destinations = named(
            root.section("destinations"),
            destination::DESTINATIONS_MAX,
            destination::destination,
        );
        let sources = root.section("sources");
        if sources.is_empty() {
            root.warn("sources", "there is no source: nothing can be posted", "add [sources.NAME]");
        }
        let sources =
            named(sources, source::SOURCES_MAX, |section| source::source(section, &destinations));
        root.finish();
        Config { server, admin, store, dedup, phone, limits, log, notify, destinations, sources }
    }
}

/// The tables of a table whose keys are names that the operator chose. A table that is faulty is
/// there nevertheless, so that what refers to it is no fault besides.
fn named<'r, N, T>(
    section: Section<'r>,
    most: usize,
    read: impl Fn(Section<'r>) -> T,
) -> BTreeMap<N, T>
where
    N: FromStr<Err: ToString> + Ord,
{
    let mut all = BTreeMap::new();
    for (index, (name, field)) in section.into_entries().enumerate() {
        if index == most {
            field.fault(format!("there are more than {most} of these"), "");
            break;
        }
        let mark: Field<'_> = field.mark();
        let value = read(field.section());
        match name.parse() {
            Ok(name) => _ = all.insert(name, value),
            Err(expected) => {
                let expected: <N as FromStr>::Err = expected;
                mark.fault("this name cannot be used", expected.to_string());
            }
        }
    }
    all
}
