//! `leadgate catalog`

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use clap::Args;
use secrecy::SecretString;
use url::Url;

use super::said::say;
use super::table::Table;
use super::{Failed, Invocation, block_on};
use crate::caresoft::{Catalog, Client, Failure, List, between_lists, one_line};
use crate::config::{Config, Destination, did_you_mean};
use crate::lead::{Clock, DestinationId};
use crate::sandbox::Options;

/// `leadgate catalog`: what can be written in a configuration, and what it means.
#[derive(Debug, Args)]
pub(super) struct CatalogCommand {
    /// Only this destination's
    #[arg(value_name = "DEST")]
    destination: Option<DestinationId>,
}

/// Why a destination has no catalog to print.
enum Missing {
    /// CareSoft refuses it as it is configured: exit code 2.
    Configuration(String),
    /// It could not be asked: exit code 1.
    Unasked(String),
}

impl CatalogCommand {
    pub(super) fn run(self, invocation: &Invocation) -> Result<(), Failed> {
        let configured = invocation.configured()?.map(|loaded| loaded.config);
        let is_zero_setup = configured.is_none();
        let config = configured.map_or_else(sandbox_alone, Ok)?;
        let mut found = BTreeMap::new();
        let mut missing = Vec::new();
        for (id, destination) in wanted(&config, self.destination.as_ref())? {
            match block_on(async { Ok(fetch(destination).await) })? {
                Ok(catalog) => _ = found.insert(id.to_string(), catalog),
                Err(why) => missing.push((id, why)),
            }
        }
        if invocation.json || !found.is_empty() {
            print(&found, invocation.json)?;
        }
        tell(&missing, is_zero_setup)
    }
}

/// What a gateway without a configuration sends to: the simulator beside it.
fn sandbox_alone() -> Result<Config, Failed> {
    let address = format!("http://{}", super::serve::SANDBOX_ADDRESS);
    let address = Url::parse(&address).context("the sandbox has no URL")?;
    let token = SecretString::from(Options::default().token);
    Ok(super::zero_setup(&address, &token)?)
}

/// The destination that was named, or all there are.
fn wanted<'c>(
    config: &'c Config,
    named: Option<&DestinationId>,
) -> Result<Vec<(&'c DestinationId, &'c Destination)>, Failed> {
    let Some(named) = named else { return Ok(config.destinations.iter().collect()) };
    config.destinations.get_key_value(named).map(|found| vec![found]).ok_or_else(|| {
        let known: Vec<&str> = config.destinations.keys().map(DestinationId::as_str).collect();
        let advice = did_you_mean(named.as_str(), known.iter().copied())
            .unwrap_or_else(|| format!("there are {}", known.join(", ")));
        Failed::Usage(format!("no destination is named \"{named}\"; {advice}"))
    })
}

async fn fetch(destination: &Destination) -> Result<Catalog, Missing> {
    let client =
        Client::new(destination).map_err(|error| Missing::Configuration(error.to_string()))?;
    let (lists, between) = (BTreeSet::from(List::ALL), between_lists(destination.rate));
    Catalog::fetch(&client, &lists, between, &Clock::system()).await.map_err(
        |unasked| match unasked.failure {
            Failure::Configuration { .. } => Missing::Configuration(unasked.to_string()),
            _ => Missing::Unasked(unasked.to_string()),
        },
    )
}

/// Tells of what is missing; what is the configuration's decides the exit code.
fn tell(missing: &[(&DestinationId, Missing)], is_zero_setup: bool) -> Result<(), Failed> {
    for (id, why) in missing {
        match why {
            Missing::Unasked(problem) if is_zero_setup => eprintln!(
                "leadgate: there is no configuration, and no sandbox answers at {} ({problem}): start `leadgate serve` or `leadgate sandbox`, or write {}",
                super::serve::SANDBOX_ADDRESS,
                super::DEFAULT_FILE,
            ),
            Missing::Configuration(problem) | Missing::Unasked(problem) => {
                eprintln!("leadgate: destinations.{id}: {problem}");
            }
        }
    }
    let is_refused =
        |(_, why): &(&DestinationId, Missing)| matches!(why, Missing::Configuration(_));
    match missing {
        [] => Ok(()),
        some if some.iter().any(is_refused) => Err(Failed::Told),
        _ => Err(Failed::ToldUndone),
    }
}

fn print(found: &BTreeMap<String, Catalog>, json: bool) -> anyhow::Result<()> {
    let text =
        if json { serde_json::to_string_pretty(found)? } else { as_tables(found).join("\n\n") };
    say!("{text}");
    Ok(())
}

/// A heading for each destination, and a paragraph for each of its lists.
fn as_tables(found: &BTreeMap<String, Catalog>) -> Vec<String> {
    let of_one = |(id, catalog): (&String, &Catalog)| {
        let tables = tables(catalog).into_iter();
        let lists = tables.map(|(list, keys, table)| format!("{list}{keys}\n{}", table.indented()));
        let refused = catalog.refused.iter();
        let refused = refused.map(|(list, why)| format!("{list}\n  not to be had: {why}"));
        let heading = std::iter::once(format!("destinations.{id}"));
        heading.chain(lists).chain(refused).collect::<Vec<_>>()
    };
    found.iter().flat_map(of_one).collect()
}

/// A table of each list, with the keys that take its ids.
fn tables(catalog: &Catalog) -> Vec<(List, &'static str, Table)> {
    let id_and_name = |list: List| {
        let mut table = Table::new(["ID", "NAME"]);
        for (id, name) in catalog.named(list) {
            table.row([id.to_string(), one_line(name)]);
        }
        table
    };
    let groups = id_and_name(List::Groups);
    let labels = id_and_name(List::Labels);
    let reasons = id_and_name(List::UnqualifiedReasons);
    let mut services = Table::new(["ID", "NAME", "TYPE"]);
    for one in &catalog.services {
        let kind = in_words(one.channel, &CHANNELS);
        services.row([one.id.to_string(), one_line(&one.name), kind]);
    }
    let mut statuses = Table::new(["ID", "NAME", "TYPE"]);
    for one in &catalog.statuses {
        let kind = in_words(one.status_type, &STATUS_TYPES);
        statuses.row([one.id.to_string(), one_line(&one.label), kind]);
    }
    let (agents, custom_fields) = (agents(catalog), custom_fields(catalog));
    let tables = [
        (List::Services, " (service_id)", services),
        (List::Groups, " (group_id)", groups),
        (List::Agents, " (assignee_id, comment_author_id)", agents),
        (List::Statuses, " (lead_status_id)", statuses),
        (List::Labels, " (lead_label)", labels),
        (List::CustomFields, " (custom_fields: id; options: values, default)", custom_fields),
        (List::UnqualifiedReasons, "", reasons),
    ];
    // What CareSoft refused to give is told apart from what is empty.
    let is_refused = |list| catalog.refused.iter().any(|(refused, _)| *refused == list);
    tables.into_iter().filter(|(list, ..)| !is_refused(*list)).collect()
}

fn agents(catalog: &Catalog) -> Table {
    let text = |value: &Option<String>| one_line(value.as_deref().unwrap_or_default());
    let mut table = Table::new(["ID", "NAME", "EXTENSION", "GROUP", "GROUP NAME"]);
    for one in &catalog.agents {
        let group = one.group_id.map_or_else(String::new, |id| id.to_string());
        let (extension, group_name) = (text(&one.extension), text(&one.group_name));
        table.row([one.id.to_string(), one_line(&one.username), extension, group, group_name]);
    }
    table
}

/// A row for each field, and one beneath it for each of its options.
fn custom_fields(catalog: &Catalog) -> Table {
    let mut table = Table::new(["ID", "NAME", "TYPE", "OPTION", "OPTION NAME"]);
    for field in &catalog.custom_fields {
        let own = [field.id.to_string(), one_line(&field.label), one_line(&field.kind)];
        let [id, label, kind] = own;
        table.row([id, label, kind, String::new(), String::new()]);
        for option in &field.options {
            let [id, label] = [option.id.to_string(), one_line(&option.label)];
            table.row([String::new(), String::new(), String::new(), id, label]);
        }
    }
    table
}

/// CareSoft docs, "Danh sách trạng thái lead".
const STATUS_TYPES: [(i64, &str); 4] =
    [(0, "between"), (1, "first"), (2, "converted"), (3, "not qualified")];

/// The types of services, as public client code knows them.
const CHANNELS: [(i64, &str); 12] = [
    (1, "calls in"),
    (2, "live chat"),
    (3, "e-mail"),
    (4, "Facebook"),
    (6, "missed chats"),
    (7, "voicemail"),
    (8, "Facebook inbox"),
    (9, "Api"),
    (10, "Zalo"),
    (11, "calls out"),
    (12, "IVR"),
    (13, "ticket form"),
];

/// A type and what it means: `9 Api`.
fn in_words(kind: Option<i64>, words: &[(i64, &str)]) -> String {
    let Some(number) = kind else { return String::new() };
    let known = words.iter().find(|(known, _)| *known == number);
    known.map_or_else(|| number.to_string(), |(_, words)| format!("{number} {words}"))
}
