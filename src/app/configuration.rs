//! The configuration's file: read, and looked at again; and what this version cannot do of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::App;
use super::deliveries::sender;
use crate::config::{self, Config, Environment, Faults, Loaded, ProcessEnvironment};
use crate::delivery::enrich::Enricher;
use crate::intake::challenge::Challenge;
use crate::lead::{Clock, SourceId};
use crate::notify::Notifier;
use crate::preset::{self, Preset};
use crate::source::{Source, Sources};
use crate::telemetry::Metrics;

/// As much of a file as tells it from another: no file that is read at all is longer.
const LOOKED_AT_MAX: u64 = 2 * 1024 * 1024;

/// A configuration's file, and the files that it names.
#[derive(Debug)]
pub struct ConfigurationFile {
    file: PathBuf,
    /// Secrets and presets, as the last reading found them named.
    named: BTreeSet<PathBuf>,
    /// As they were just before the last reading.
    read: Look,
    /// As they were at the last look.
    seen: Look,
}

/// What is in each file, as a hash, or why it cannot be read. It is compared with another one alone.
type Look = BTreeMap<PathBuf, Result<[u8; 32], ErrorKind>>;

impl ConfigurationFile {
    /// Not read yet.
    pub fn at(file: PathBuf) -> Self {
        Self { file, named: BTreeSet::new(), read: Look::new(), seen: Look::new() }
    }

    /// Reads it, with the environment's variables over it: a configuration that this version can run.
    /// Blocks.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(&mut self) -> Result<Loaded, Faults> {
        self.read_with(&ProcessEnvironment)
    }

    fn read_with(&mut self, environment: &dyn Environment) -> Result<Loaded, Faults> {
        // Before: what is changed while it is read is read again.
        let mut before = self.look();
        let mut named = BTreeSet::new();
        let presets = preset::built_in_names();
        let read = config::load_noting(&self.file, environment, &presets, &mut named);
        self.named = named;
        for file in &self.named {
            before.entry(file.clone()).or_insert_with(|| hash(file));
        }
        before.retain(|file, _| *file == self.file || self.named.contains(file));
        self.read = before.clone();
        self.seen = before;
        let mut loaded = read?;
        let inert = App::inert(&loaded.config).into_iter().map(|(key, meaning)| {
            let problem = format!("this version does nothing with it: {meaning}");
            loaded.places.fault(key, problem, "")
        });
        let inert: Vec<_> = inert.collect();
        loaded.warnings.extend(inert);
        let unable = App::preflight(&loaded.config).into_iter();
        let unable: Vec<_> =
            unable.map(|(key, problem)| loaded.places.fault(key, problem, "")).collect();
        if unable.is_empty() { Ok(loaded) } else { Err(Faults::new(unable)) }
    }

    /// Whether it, or a file that it names, is another one than was read, and is so for the second
    /// time: whoever writes it may still be at it. Blocks.
    pub(super) fn has_changed(&mut self) -> bool {
        let now = self.look();
        let is_settled = now == self.seen;
        let is_other = now != self.read;
        self.seen = now;
        is_settled && is_other
    }

    pub(super) fn path(&self) -> PathBuf {
        self.file.clone()
    }

    fn look(&self) -> Look {
        let files = std::iter::once(&self.file).chain(&self.named);
        files.map(|file| (file.clone(), hash(file))).collect()
    }
}

/// What is in a file: links are followed, since a mounted ConfigMap is changed by turning one.
fn hash(file: &Path) -> Result<[u8; 32], ErrorKind> {
    let mut text = Vec::new();
    let read = File::open(file).and_then(|file| file.take(LOOKED_AT_MAX).read_to_end(&mut text));
    read.map(|_| Sha256::digest(&text).into()).map_err(|error| error.kind())
}

impl App {
    /// What this version cannot run of a configuration, without opening anything: key and
    /// problem, all of them. The rest of what `check` says.
    pub fn preflight(config: &Config) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        for (id, source) in &config.sources {
            match Source::compile(id, source, config) {
                Ok(compiled) => problems.extend(unstartable(id, source, compiled)),
                Err(error) => problems.push((error.key(id), error.to_string())),
            }
        }
        for (id, destination) in &config.destinations {
            if let Err(error) = sender(config, id, destination) {
                problems.push((format!("destinations.{id}"), error));
            }
        }
        problems
    }

    /// Keys that are set and that this version does nothing with: key and what it means.
    pub fn inert(config: &Config) -> Vec<(&'static str, &'static str)> {
        let fetches_nothing = |source: &config::Source| {
            let preset = Preset::load(&source.preset, []);
            source.api_base.is_some() && preset.is_ok_and(|preset| preset.enrich.is_none())
        };
        let bases = config.sources.values().any(fetches_nothing);
        [(bases, "sources.*.api_base", "the source's preset fetches nothing")]
            .into_iter()
            .filter_map(|(is_set, key, meaning)| is_set.then_some((key, meaning)))
            .collect()
    }
}

/// What a source that compiles would still fail at the start with: key and problem.
fn unstartable(id: &SourceId, settings: &config::Source, source: Source) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    let alone = Sources::from([(id.clone(), Arc::new(source))]);
    let (metrics, watcher) = (Arc::new(Metrics::default()), Arc::new(Notifier::default()));
    if let Err(error) = Enricher::new(&alone, &metrics, Clock::system(), watcher, None) {
        problems.push((format!("sources.{id}"), error.to_string()));
    }
    if let Some(Err(error)) = settings.challenge.as_ref().map(Challenge::new) {
        problems.push((format!("sources.{id}.challenge"), error.to_string()));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MapEnvironment;

    const TEXT: &str = "[destinations.main]\ndomain = \"sandbox\"\ntoken = { file = \"TOKEN\" }\n\
                        lead = { service_id = 1 }\n";

    #[test]
    fn a_change_is_noticed_once_it_holds_still() {
        let folder = tempfile::tempdir().unwrap();
        let (path, token) = (folder.path().join("leadgate.toml"), folder.path().join("token"));
        let text = TEXT.replace("TOKEN", token.to_str().unwrap());
        let mut file = ConfigurationFile::at(path.clone());
        let is_valid =
            |file: &mut ConfigurationFile| file.read_with(&MapEnvironment::default()).is_ok();
        let looks = |file: &mut ConfigurationFile| [(); 3].map(|()| file.has_changed());

        std::fs::write(&path, &text).unwrap();
        std::fs::write(&token, "first").unwrap();
        assert!(is_valid(&mut file));
        assert_eq!(looks(&mut file), [false; 3]);
        std::fs::write(&token, "second").unwrap();
        assert_eq!(looks(&mut file), [false, true, true], "what it names counts as it does");
        assert!(is_valid(&mut file));
        assert_eq!(looks(&mut file), [false; 3]);

        std::fs::write(&path, "half of").unwrap();
        assert!(!file.has_changed(), "it may still be written to");
        std::fs::write(&path, &text).unwrap();
        assert_eq!(looks(&mut file), [false; 3], "and was: it is as it was read");

        std::fs::write(&path, "faulty").unwrap();
        assert_eq!(looks(&mut file), [false, true, true]);
        assert!(!is_valid(&mut file));
        assert_eq!(looks(&mut file), [false; 3], "what was refused is not read again");

        std::fs::remove_file(&token).unwrap();
        std::fs::write(&path, &text).unwrap();
        assert_eq!(looks(&mut file), [false, true, true]);
        assert!(!is_valid(&mut file), "there is no token");
        std::fs::write(&token, "third").unwrap();
        assert_eq!(looks(&mut file), [false, true, true], "there is one now");
        assert!(is_valid(&mut file));
    }
}
