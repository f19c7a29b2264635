//! `leadgate check`

use clap::Args;
use serde_json::json;

use super::{Failed, Invocation, block_on};
use crate::config::{Fault, Faults, Loaded};
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
            println!("{}", json!({ "valid": false, "faults": faults.0, "warnings": [] }));
            return Err(Failed::Told);
        }
        let (Some(loaded), Some(file)) = (read?, invocation.config_file()) else {
            return Err(Failed::Usage(format!(
                "there is no configuration: name a file with --config, set LEADGATE_CONFIG, or write {}",
                super::DEFAULT_FILE
            )));
        };
        if self.live {
            return live(&loaded, &file.display().to_string(), invocation.json);
        }
        if invocation.json {
            println!("{}", json!({ "valid": true, "faults": [], "warnings": loaded.warnings }));
            return Ok(());
        }
        warn(&loaded.warnings);
        println!("{}: valid ({})", file.display(), counts(&loaded));
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
        println!("{told}");
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
            println!("{file}: valid, and known to CareSoft ({})", counts(loaded));
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
