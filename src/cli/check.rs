//! `leadgate check`

use serde_json::json;

use super::{Failed, Invocation};

/// Reads the configuration as `serve` would, and starts nothing.
pub(super) fn run(invocation: &Invocation) -> Result<(), Failed> {
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
    if invocation.json {
        println!("{}", json!({ "valid": true, "faults": [], "warnings": loaded.warnings }));
        return Ok(());
    }
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    let (sources, destinations) = (loaded.config.sources.len(), loaded.config.destinations.len());
    println!("{}: valid ({sources} sources, {destinations} destinations)", file.display());
    Ok(())
}
