//! `leadgate check`

use clap::Args;
use serde_json::json;

use super::said::say;
use super::{Failed, Invocation, block_on};
use crate::config::{Fault, Faults, Loaded, Places};
use crate::lead::Clock;
use crate::verification::{Findings, verify};

#[derive(Debug, Args)]
pub(super) struct Check {
    /// Ask CareSoft too: whether it knows every id and every name in the configuration
    #[arg(long)]
    live: bool,
}

impl Check {
    /// Reads the configuration as `serve` would, and starts nothing.
    pub(super) fn run(self, invocation: &Invocation) -> Result<(), Failed> {
        let read = invocation.configured();
        if let (Err(Failed::Configuration(faults)), true) = (&read, invocation.json) {
            say!("{}", json!({ "valid": false, "faults": faults.0, "warnings": [] }));
            return Err(Failed::Told);
        }
        let (loaded, named) = match (read?, invocation.config_file()) {
            (Some(loaded), Some(file)) => (loaded, file.display().to_string()),
            _ => {
                let config = invocation.configuration_or_zero_setup()?;
                let named = format!("zero setup, since there is no {}", super::DEFAULT_FILE);
                (Loaded { config, warnings: Vec::new(), places: Places::default() }, named)
            }
        };
        if self.live {
            return live(&loaded, &named, invocation.json);
        }
        if invocation.json {
            say!("{}", json!({ "valid": true, "faults": [], "warnings": loaded.warnings }));
            return Ok(());
        }
        warn(&loaded.warnings);
        say!("{named}: valid ({})", counts(&loaded));
        Ok(())
    }
}

/// The second half of `check --live`: a valid configuration against CareSoft's lists.
fn live(loaded: &Loaded, file: &str, json: bool) -> Result<(), Failed> {
    let Findings { faults, warnings, unasked } =
        block_on(async { Ok(verify(loaded, &Clock::system()).await) })?;
    let Faults(faults) = Faults::new(faults);
    let warnings = [&loaded.warnings[..], &warnings[..]].concat();
    let valid = faults.is_empty() && unasked.is_empty();
    if json {
        let told = json!({
            "valid": valid, "faults": faults, "warnings": warnings, "unasked": unasked,
        });
        say!("{told}");
    } else {
        warn(&warnings);
        for missed in &unasked {
            eprintln!(
                "destinations.{}: could not be asked: {}",
                missed.destination, missed.problem
            );
        }
    }
    match (faults.is_empty(), unasked.is_empty(), json) {
        (false, _, true) => Err(Failed::Told),
        (false, _, false) => Err(Faults(faults).into()),
        (true, false, true) => Err(Failed::ToldUndone),
        (true, false, false) => {
            Err(anyhow::anyhow!("not all of {file} could be compared with CareSoft's lists").into())
        }
        (true, true, true) => Ok(()),
        (true, true, false) => {
            say!("{file}: valid, and known to CareSoft ({})", counts(loaded));
            Ok(())
        }
    }
}

fn warn(warnings: &[Fault]) {
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
}

fn counts(loaded: &Loaded) -> String {
    let (sources, destinations) = (loaded.config.sources.len(), loaded.config.destinations.len());
    format!("{sources} sources, {destinations} destinations")
}
