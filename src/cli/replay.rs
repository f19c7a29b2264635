//! `leadgate leads replay`

use clap::{ArgGroup, Args};
use serde_json::{Map, Value, json};

use super::admin::AdminApi;
use super::leads::print_json;
use super::moment::{Moment, moment};
use super::progress::Progress;
use super::said::say;
use super::{Failed, block_on};
use crate::lead::{DestinationId, SourceId, State, SubmissionId};

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["ids", "state"]))]
pub(super) struct Replay {
    /// The ids of those to replay
    #[arg(value_name = "ID", conflicts_with_all = ["source", "destination", "since", "until"])]
    ids: Vec<SubmissionId>,
    /// All of this state: dead, quarantined, or unknown, whose leads CareSoft may have: look there first
    #[arg(long)]
    state: Option<State>,
    /// Of those, only this source's
    #[arg(long)]
    source: Option<SourceId>,
    /// Of those, only this destination's
    #[arg(long)]
    destination: Option<DestinationId>,
    /// Of those, accepted at or after this time, such as 2026-11-23, 2026-11-23T09:00+07:00 (else UTC), or 2h ago
    #[arg(long, value_parser = moment)]
    since: Option<Moment>,
    /// Of those, accepted before this time
    #[arg(long, value_parser = moment)]
    until: Option<Moment>,
}

impl Replay {
    pub(super) fn run(self, api: &AdminApi, json: bool) -> Result<(), Failed> {
        if self.ids.is_empty() {
            return self.replay_matching(api, json);
        }
        let all_done = block_on(replay_each(&self.ids, api, json))?;
        if all_done { Ok(()) } else { Err(Failed::ToldUndone) }
    }

    fn replay_matching(self, api: &AdminApi, json: bool) -> Result<(), Failed> {
        let body = self.body();
        let answered = block_on(Progress::of_one("replaying", api.post("/api/replay", &body)))?;
        let answer = answered.map_err(|refusal| refusal.into_error())?;
        if json {
            print_json(&answer);
        } else {
            say!("replayed: {}", answer["replayed"].as_u64().unwrap_or(0));
            if answer["more"] == true {
                say!("there may be more: say the same again");
            }
        }
        Ok(())
    }

    fn body(self) -> Value {
        let given = [
            ("state", self.state.map(|state| state.to_string())),
            ("source", self.source.map(|source| source.to_string())),
            ("destination", self.destination.map(|destination| destination.to_string())),
            ("since", self.since.map(|since| since.to_string())),
            ("until", self.until.map(|until| until.to_string())),
        ];
        let given = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
        Value::Object(
            given.map(|(name, value)| (name.to_owned(), value.into())).collect::<Map<_, _>>(),
        )
    }
}

/// Goes on after one that cannot be replayed; the exit code says that there was one.
async fn replay_each(ids: &[SubmissionId], api: &AdminApi, json: bool) -> anyhow::Result<bool> {
    let mut answers = Vec::new();
    let mut all_done = true;
    let mut progress = Progress::new("replayed", Some(ids.len()));
    for id in ids {
        match api.post(&format!("/api/leads/{id}/replay"), &json!({})).await? {
            Ok(answer) => {
                let joined = answer["merged_into"].as_str();
                let joined = joined.map_or(String::new(), |lead| format!(", and joined {lead}"));
                if !json {
                    progress.clear();
                    say!("{id}  replayed{joined}");
                }
                answers.push(answer);
            }
            Err(refusal) if refusal.is_about_one() => {
                all_done = false;
                if !json {
                    progress.clear();
                    say!("{id}  not replayed: {}", refusal.detail());
                }
                answers.push(json!({ "status": "refused", "id": id, "problem": refusal.problem }));
            }
            Err(refusal) => return Err(refusal.into_error()),
        }
        progress.add(1);
    }
    progress.end();
    if json {
        print_json(&Value::Array(answers));
    }
    Ok(all_done)
}
