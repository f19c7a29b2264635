//! `leadgate presets`

use std::path::{Path, PathBuf};

use anyhow::Context;
use bytes::Bytes;
use clap::{Args, Subcommand};
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use super::said::say;
use super::table::Table;
use super::{Failed, Invocation, block_on, said, zero_setup};
use crate::config::Invalid;
use crate::delivery::Composer;
use crate::lead::{Clock, Lead, SourceId, SubmissionId};
use crate::preset::{self, Preset, TOKEN};
use crate::source::decode::decode;
use crate::source::{Beside, Kept, Place, Source, Unkept};
use crate::store::{Content, Lease, Task, Work};

/// `leadgate presets`: how platforms are understood.
#[derive(Debug, Args)]
pub(super) struct Presets {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Every preset, its platform, and the secrets that a source of it may have
    List,
    /// The preset's file: a beginning for one of your own
    Show {
        /// Its name
        name: String,
    },
    /// What a preset makes of a payload, and what CareSoft would be sent; nothing is sent
    Try {
        /// Its name, or the path of one of your own
        name: String,
        /// The payload, as the platform posts it
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// Its content type; without one the payload's first byte tells
        #[arg(long, value_name = "TYPE")]
        content_type: Option<String>,
        /// Whose names and settings to go by, of the configuration
        #[arg(long, value_name = "NAME")]
        source: Option<SourceId>,
    },
}

impl Presets {
    pub(super) fn run(self, invocation: &Invocation) -> Result<(), Failed> {
        match self.command {
            Command::List => list(invocation.json),
            Command::Show { name } => {
                let unknown = || Failed::Usage(format!("there is no preset {name}"));
                said::whole(preset::built_in_text(&name).ok_or_else(unknown)?.as_bytes());
                Ok(())
            }
            Command::Try { name, file, content_type, source } => {
                let trial = Trial::new(invocation, &name, source)?;
                let told = block_on(trial.read(&file, content_type.as_deref()))?;
                if invocation.json {
                    say!("{:#}", Value::Array(told));
                } else {
                    told.iter().for_each(tell);
                }
                Ok(())
            }
        }
    }
}

fn list(json: bool) -> Result<(), Failed> {
    let mut table = Table::new(["NAME", "PLATFORM", "SECRETS"]);
    let mut all = Vec::new();
    for name in preset::built_in_names() {
        let preset = Preset::load(name, []).context("a built-in preset")?;
        let own = preset.secrets.keys().filter(|secret| *secret != TOKEN).cloned();
        let secrets: Vec<String> = own.chain([TOKEN.to_owned()]).collect();
        all.push(json!({"name": name, "title": preset.title, "secrets": preset.secrets}));
        table.row([name.to_owned(), preset.title, secrets.join(", ")]);
    }
    if json {
        say!("{:#}", Value::Array(all))
    } else {
        say!("{}", table.indented())
    }
    Ok(())
}

/// What a payload is tried with.
struct Trial {
    source: Source,
    composer: Composer,
}

impl Trial {
    fn new(invocation: &Invocation, name: &str, source: Option<SourceId>) -> Result<Self, Failed> {
        let configured = invocation.configured()?.map(|loaded| loaded.config);
        let config = match configured {
            Some(config) => config,
            None => {
                let nowhere = Url::parse("http://127.0.0.1").context("no URL")?;
                zero_setup(&nowhere, &SecretString::from(""))?
            }
        };
        let named = |id: &SourceId| config.sources.contains_key(id);
        if let Some(id) = source.as_ref().filter(|id| !named(id)) {
            return Err(Failed::Usage(format!("no source {id} is configured")));
        }
        let of_preset = || {
            let mut sources = config.sources.iter();
            sources.find(|(_, source)| source.preset == name).map(|(id, _)| id.clone())
        };
        let source = source.or_else(of_preset).or_else(|| config.sources.keys().next().cloned());
        let no_source = || Failed::Usage("no source is configured".to_owned());
        let source = source.ok_or_else(no_source)?;
        let settings = config.sources.get(&source).ok_or_else(no_source)?;
        let destination = config.destinations.get(&settings.destination).ok_or_else(no_source)?;
        let composer = Composer::new(destination, &config.sources, config.phone.output)
            .context("a template of the configuration")?;
        let preset = Preset::load(name, &settings.fields)
            .map_err(|error| Failed::Usage(error.to_string()))?;
        let source = Source::with_preset(preset, &source, settings, &config);
        Ok(Self { source: source.context("server.public_url")?, composer })
    }

    /// What the payload comes to, one object for each event in it. A notice with what was fetched
    /// for it (`{"notice": …, "lead": …}`) is tried as well, where the preset fetches.
    async fn read(&self, file: &Path, content_type: Option<&str>) -> anyhow::Result<Vec<Value>> {
        let body = std::fs::read(file).with_context(|| file.display().to_string())?;
        let documents = match decode(content_type, &Bytes::from(body)).await {
            Ok(documents) => documents,
            Err(error) => return Ok(vec![self.unusable(&error.to_string())]),
        };
        let preset = &self.source.preset;
        let mut told = Vec::new();
        for document in documents {
            if preset.enrich.is_some() && document.get("notice").is_some() {
                told.push(self.element(document)?);
                continue;
            }
            let items = preset.items(document);
            told.extend((0..items.ignored).map(|_| json!({"verdict": "ignored"})));
            told.extend(items.unusable.iter().map(|unusable| self.unusable(&unusable.why)));
            for item in items.leads {
                told.push(self.element(item)?);
            }
        }
        Ok(told)
    }

    fn element(&self, element: Value) -> anyhow::Result<Value> {
        Ok(match self.source.read(element, Place::Itself, &Beside::NOTHING) {
            Ok(kept) => self.kept(kept)?,
            Err(Unkept::Trapped) => {
                json!({"verdict": "dropped", "reason": "the honeypot is filled in"})
            }
            Err(Unkept::TooMany(_)) => self.unusable("more than 1000 fields"),
            Err(Unkept::Refused(faults, _)) => {
                let faults: Vec<_> = faults.iter().map(|fault| fault.message.as_str()).collect();
                json!({"verdict": "refused", "reason": faults.join("; ")})
            }
        })
    }

    fn unusable(&self, why: &str) -> Value {
        let verdict = match self.source.invalid {
            Invalid::Reject => "refused",
            Invalid::Quarantine => "quarantined",
        };
        json!({"verdict": verdict, "reason": why})
    }

    fn kept(&self, kept: Kept) -> anyhow::Result<Value> {
        let (mut told, lead) = match kept.content {
            Content::Lead { lead, .. } => (json!({"verdict": "lead"}), Some(lead)),
            Content::Test { lead } => (json!({"verdict": "test"}), Some(lead)),
            Content::Quarantined { reason, lead, .. } => (self.unusable(&reason), lead),
            Content::Notice { .. } => (
                json!({"verdict": "notice", "reason": "the lead is fetched from the platform"}),
                None,
            ),
            Content::Deletion => (json!({"verdict": "deletion"}), None),
        };
        told["external_id"] = kept.external_id.into();
        if let Some(lead) = lead {
            told["lead"] = serde_json::to_value(&lead)?;
            if told["verdict"] == "lead" {
                told["caresoft"] = serde_json::to_value(self.composer.compose(&self.work(lead)))?;
            }
        }
        Ok(told)
    }

    /// A piece of work as a lane would have it.
    fn work(&self, lead: Lead) -> Work {
        let now = Clock::system().now();
        Work {
            lease: Lease {
                lane: self.source.destination.clone(),
                id: SubmissionId::generate(),
                fence: 1,
                deadline: now,
            },
            task: Task::Create { joined: Vec::new() },
            source: self.source.id.clone(),
            received_at: now,
            trace_id: None,
            attempts: 0,
            lead,
        }
    }
}

fn tell(told: &Value) {
    say!("verdict: {}", told["verdict"].as_str().unwrap_or_default());
    for key in ["reason", "external_id"] {
        if let Some(text) = told[key].as_str() {
            say!("{key}: {text}");
        }
    }
    for (title, key) in [("lead", "lead"), ("CareSoft would be sent", "caresoft")] {
        if told.get(key).is_some() {
            say!("{title}: {:#}", told[key]);
        }
    }
}
