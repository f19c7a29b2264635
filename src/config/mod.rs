//! The configuration: a TOML file, environment variables over it, and every fault in either said
//! with its place, its key and what to do.
//!
//! [`load`] makes the file a `document` whose values know their lines, puts the environment's
//! `overrides` over it, and has `read` ask each table for the keys there are. Reading goes on
//! after a fault, so that one run names them all.
//!
//! Relative paths (databases, secrets, presets) are taken from the working directory.

mod challenge;
mod document;
mod environment;
mod fault;
mod fixed;
mod lead_url;
mod model;
mod notify;
mod overrides;
mod places;
mod read;
mod same;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use url::Url;

pub use challenge::{Challenge, ChallengeKind, OnFailure};
pub use environment::{Environment, MapEnvironment, ProcessEnvironment};
pub use fault::{Fault, Faults};
pub(crate) use fault::{did_you_mean, quoted, sort as sort_faults};
pub use fixed::keep_fixed;
pub use lead_url::LeadUrl;
pub use model::*;
pub use notify::{HookUrl, Notify, NotifyEvent, SigningKey};
pub use places::{Places, dotted};
pub use same::same_secrets;

/// A configuration and what is doubtful about it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Free of faults.
    pub config: Config,
    /// What works, but is perhaps not meant.
    pub warnings: Vec<Fault>,
    /// Where each key was written.
    pub places: Places,
}

/// A thousand sources of a thousand bytes each.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Reads a configuration file, with the environment's `LEADGATE__…` variables over it.
/// `presets` are the names of the built-in presets.
///
/// # Errors
/// Everything that is wrong with it; a file that is no TOML is not looked into any further.
pub fn load(
    file: &Path,
    environment: &dyn Environment,
    presets: &[&str],
) -> Result<Loaded, Faults> {
    load_noting(file, environment, presets, &mut BTreeSet::new())
}

/// As [`load`]; adds to `files` those that the configuration names (secrets, presets of one's own),
/// also when it is faulty: what is wrong may be mended in one of them.
///
/// # Errors
/// As [`load`].
pub fn load_noting(
    file: &Path,
    environment: &dyn Environment,
    presets: &[&str],
    files: &mut BTreeSet<PathBuf>,
) -> Result<Loaded, Faults> {
    let name = file.display().to_string();
    match read_file(file) {
        Ok(text) => parse_noting(&text, &name, environment, presets, files),
        Err(error) => {
            let problem = format!("this file cannot be read: {error}");
            let advice = "name another with --config or LEADGATE_CONFIG".to_owned();
            let key = String::new();
            Err(Faults(vec![Fault { file: name, line: None, column: None, key, problem, advice }]))
        }
    }
}

fn read_file(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    // One byte more shows that there is more.
    let read = File::open(file)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if read as u64 > FILE_BYTES_MAX {
        let problem = format!("it is longer than {FILE_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
    }
    Ok(text)
}

/// As [`load`], from a text; `file` is what faults call it.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(
    text: &str,
    file: &str,
    environment: &dyn Environment,
    presets: &[&str],
) -> Result<Loaded, Faults> {
    parse_noting(text, file, environment, presets, &mut BTreeSet::new())
}

fn parse_noting(
    text: &str,
    file: &str,
    environment: &dyn Environment,
    presets: &[&str],
    files: &mut BTreeSet<PathBuf>,
) -> Result<Loaded, Faults> {
    let mut document = document::parse(text, file)?;
    let misplaced = overrides::apply(&mut document, environment);
    let reading = read::Reading::new(file, environment, presets);
    let config = reading.config(document);
    files.append(&mut reading.files.borrow_mut());
    let mut faults = reading.faults.take();
    faults.extend(misplaced);
    if !faults.is_empty() {
        return Err(Faults::new(faults));
    }
    let mut warnings = reading.warnings.take();
    fault::sort(&mut warnings);
    Ok(Loaded { config, warnings, places: reading.places.take() })
}

/// What runs without a configuration. The address and the token are put in afterwards.
const ZERO_SETUP: &str = r#"
[log]
format = "pretty"
[store]
url = "sqlite:data/leadgate.db"
[destinations.sandbox]
base_url = "http://127.0.0.1"
domain = "sandbox"
token = "sandbox"
lead = { service_id = 1244 }
[sources.website]
preset = "web-form"
destination = "sandbox"
"#;

/// The configuration of a gateway that has none: an open web form and the sources in `more`, which
/// is TOML and may name the built-in `presets`. All leads go to the built-in simulator at `sandbox`. Environment variables go over it as over a file, but for the
/// simulator's address and token.
///
/// # Errors
/// What is wrong with the environment's variables.
pub fn zero_setup(
    sandbox: &Url,
    token: &SecretString,
    more: &str,
    presets: &[&str],
    environment: &dyn Environment,
) -> Result<Config, Faults> {
    let text = format!("{ZERO_SETUP}{more}");
    let mut config = parse(&text, "zero setup", environment, presets)?.config;
    for (id, destination) in &mut config.destinations {
        if id.as_str() == "sandbox" {
            destination.base_url = sandbox.clone();
            destination.token = token.clone();
            let shown = LeadUrl::parse(&format!("{sandbox}#lead-{{id}}")).ok();
            destination.lead_url = destination.lead_url.take().or(shown);
        }
    }
    Ok(config)
}
