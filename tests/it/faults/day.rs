//! A file of `tests/faults`: one bad day of CareSoft, and what must be true when it is over.

use std::path::PathBuf;
use std::time::Duration;

use leadgate::config::Marker;
use leadgate::sandbox::{self, Route};
use serde::Deserialize;
use serde::de::{Deserializer, Error};

use crate::checkout;

/// A bad day.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Day {
    /// What happens, for people.
    pub about: String,
    /// So many people come when it begins.
    pub people: usize,
    /// What they leave.
    #[serde(default)]
    pub with: Left,
    /// Where the primary host is when it begins.
    #[serde(default)]
    pub primary: Primary,
    /// Whether there is a standby host.
    #[serde(default)]
    pub standby: bool,
    #[serde(default)]
    pub caresoft: CareSoft,
    #[serde(default)]
    pub destination: Destination,
    /// What goes wrong from the beginning.
    #[serde(default)]
    pub faults: Vec<sandbox::Fault>,
    /// What happens in the course of the day, in order.
    #[serde(default)]
    pub steps: Vec<Step>,
    pub end: End,
}

/// How a person can be reached.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Left {
    #[default]
    Phone,
    Email,
    Both,
}

#[derive(Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Primary {
    #[default]
    There,
    /// Nothing listens at its address.
    Away,
}

/// What the simulator is set up with, where it is not the default.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CareSoft {
    #[serde(default, deserialize_with = "duration")]
    pub list_lag: Option<Duration>,
    #[serde(default)]
    pub filters_in_utc: bool,
    #[serde(default)]
    pub send_retry_after: bool,
    #[serde(default)]
    pub update_resets_status: bool,
}

/// What the gateway is set up with, where it is not the default.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    #[serde(default, deserialize_with = "marker")]
    pub marker: Option<Marker>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// How long after the beginning, by the clock that all go by.
    #[serde(deserialize_with = "duration")]
    pub after: Option<Duration>,
    #[serde(rename = "do")]
    pub what: What,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    ClearFaults,
    RevokeToken,
    RestoreToken,
    PrimaryIsBack,
    /// The people who came first come once more, with another message.
    PeopleComeAgain,
}

/// What must be true in the end, beside what must always be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    pub created: usize,
    #[serde(default)]
    pub merged: usize,
    /// How many creates were sent again after two looks in vain; any number without it.
    pub sent_again: Option<usize>,
    /// The day lasts at least so long.
    #[serde(default, deserialize_with = "duration")]
    pub at_least: Option<Duration>,
    /// CareSoft is never asked for these.
    #[serde(default)]
    pub never: Vec<Route>,
}

impl Day {
    /// The folder of all days.
    pub fn folder() -> PathBuf {
        checkout::at("tests/faults")
    }

    pub fn read(name: &str) -> Self {
        let path = Self::folder().join(name).with_extension("toml");
        let text = std::fs::read_to_string(&path).expect("a file of this name");
        toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map(Some).map_err(D::Error::custom)
}

fn marker<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Marker>, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "comment" => Ok(Some(Marker::Comment)),
        "subject" => Ok(Some(Marker::Subject)),
        "none" => Ok(Some(Marker::None)),
        _ => Err(D::Error::custom("expected comment, subject or none")),
    }
}
