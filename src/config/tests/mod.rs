//! What a text becomes, and what is said of a wrong one.

mod challenge;
mod changed;
mod example;
mod faults;
mod notify;
mod values;
mod variables;

use super::*;

/// A whole configuration with as few keys as there can be.
const SMALL: &str = r#"
[destinations.main]
domain = "khachhang01"
token = "t-1"
lead = { service_id = 1244 }
[sources.website]
preset = "web-form"
destination = "main"
secrets = { token = "s" }
"#;

/// The presets of these tests.
const PRESETS: [&str; 2] = ["web-form", "elementor"];

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, Faults> {
    let environment: MapEnvironment = variables.iter().copied().collect();
    parse(text, "leadgate.toml", &environment, &PRESETS)
}

/// A configuration that must be without fault.
#[track_caller]
fn config(text: &str, variables: &[(&str, &str)]) -> Config {
    match read(text, variables) {
        Ok(loaded) => loaded.config,
        Err(faults) => panic!("{faults}"),
    }
}

/// What is said of a configuration that must be faulty.
#[track_caller]
fn faults(text: &str, variables: &[(&str, &str)]) -> String {
    read(text, variables).expect_err("there is a fault").to_string()
}

fn warnings(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let loaded = read(text, variables).expect("a valid configuration");
    loaded.warnings.iter().map(ToString::to_string).collect()
}
