//! `leadgate lanes`

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::admin::AdminApi;
use super::leads::print_json;
use super::said::say;
use super::table::Table;
use super::{Failed, Invocation, block_on};
use crate::lead::DestinationId;

/// `leadgate lanes`: how each lane stands, or what is said to one.
#[derive(Debug, Args)]
pub(super) struct Lanes {
    #[command(subcommand)]
    command: Option<LanesCommand>,
}

#[derive(Debug, Subcommand)]
enum LanesCommand {
    /// Stop a lane, in all replicas, until it is told to go on
    Pause {
        /// The destination
        #[arg(value_name = "DEST")]
        lane: DestinationId,
    },
    /// Let a lane go on; one that CareSoft refuses is tried at once
    Resume {
        /// The destination
        #[arg(value_name = "DEST")]
        lane: DestinationId,
    },
}

impl Lanes {
    pub(super) fn run(self, invocation: &Invocation) -> Result<(), Failed> {
        let api = AdminApi::of(invocation)?;
        let path = match self.command {
            None => {
                let answer = block_on(api.get("/api/lanes", &[]))?;
                if invocation.json {
                    print_json(&answer)
                } else {
                    print_table(&answer["lanes"])
                }
                return Ok(());
            }
            Some(LanesCommand::Pause { lane }) => format!("/api/lanes/{lane}/pause"),
            Some(LanesCommand::Resume { lane }) => format!("/api/lanes/{lane}/resume"),
        };
        let answered = block_on(api.post(&path, &json!({})))?;
        let lane = answered.map_err(|refusal| refusal.into_error())?;
        if invocation.json {
            print_json(&lane);
        } else {
            print_table(&Value::Array(vec![lane]));
        }
        Ok(())
    }
}

fn print_table(lanes: &Value) {
    let heading = ["DESTINATION", "STATE", "UNTIL", "PENDING", "OLDEST", "UNKNOWN", "RATE"];
    let mut table = Table::new(heading);
    for lane in lanes.as_array().map(Vec::as_slice).unwrap_or_default() {
        let text = |name: &str| lane[name].as_str().map(str::to_owned);
        let count =
            |value: &Value| value.as_u64().map_or("-".to_owned(), |count| count.to_string());
        let state = text("state").unwrap_or_default();
        let beneath = text("closed").filter(|closed| lane["paused"] == true && *closed != state);
        let state = beneath.map_or(state.clone(), |closed| format!("{state} ({closed})"));
        let oldest = lane["oldest_seconds"].as_u64().map_or("-".to_owned(), |seconds| {
            humantime::format_duration(std::time::Duration::from_secs(seconds)).to_string()
        });
        let rate = &lane["rate"];
        let rate = format!("{}/s {}/h", count(&rate["per_second"]), count(&rate["per_hour"]));
        table.row([
            text("destination").unwrap_or_default(),
            state,
            text("until").unwrap_or_else(|| "-".to_owned()),
            count(&lane["pending"]),
            oldest,
            count(&lane["unknown"]),
            rate,
        ]);
    }
    say!("{}", table.indented());
}
