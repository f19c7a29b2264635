//! The references are written by the program: of every key by the example, whose defaults are held against the typed
//! configuration, of every command by its own help. What stands above the mark in a page is by hand.
//!
//! `LEADGATE_WRITE_DOCS=1 cargo nextest run docs` writes them anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use leadgate::config::{self, Config, Faults, MapEnvironment};
use toml::{Table, Value};

use super::page;
use crate::checkout::{at, file};
use crate::served::{leadgate, told};

const EXAMPLE: &str = "config/leadgate.example.toml";
const MARK: &str = "<!-- What follows is generated: see CONTRIBUTING.md. -->\n";

/// That the page is what was made of the code; with `LEADGATE_WRITE_DOCS` it is made so.
fn hold(path: &str, generated: &str) {
    let is = page(path).text;
    let (by_hand, _) = is.split_once(MARK).unwrap_or_else(|| panic!("{path} has no mark"));
    let should = format!("{by_hand}{MARK}\n{generated}");
    if std::env::var_os("LEADGATE_WRITE_DOCS").is_some() {
        std::fs::write(at(path), should).unwrap();
        return;
    }
    let differing = is.lines().zip(should.lines()).find(|(is, should)| is != should);
    assert!(
        is == should,
        "{path} is stale: LEADGATE_WRITE_DOCS=1 cargo nextest run docs writes it anew; {differing:?}"
    );
}

/// One or several keys under one explanation.
#[derive(Debug, Default)]
struct Entry {
    about: String,
    /// Name, and value as it is written.
    keys: Vec<(String, String)>,
}

#[derive(Debug)]
struct Section {
    /// `sources.website.lead`
    name: String,
    about: String,
    entries: Vec<Entry>,
}

/// The example, read as people read it.
fn sections() -> Vec<Section> {
    let text = file(EXAMPLE);
    let (mut sections, mut about) = (Vec::<Section>::new(), String::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line == "#" || line.is_empty() {
            // What is at the top is about the file; the page says it in its own words.
            let is_head = sections.is_empty() && line.is_empty();
            if is_head { about.clear() } else { about.push_str("\n\n") }
        } else if let Some(words) = line.strip_prefix("# ") {
            let space = if about.is_empty() || about.ends_with('\n') { "" } else { " " };
            about = about.trim_start().to_owned();
            write!(about, "{space}{words}").unwrap();
        } else if let Some(name) = line.trim_start_matches('#').strip_prefix('[') {
            let name = name.trim_end_matches(']').to_owned();
            let about = std::mem::take(&mut about).trim().to_owned();
            sections.push(Section { name, about, entries: Vec::new() });
        } else {
            let (key, value) = line.trim_start_matches('#').split_once(" = ").expect(line);
            let mut value = value.to_owned();
            while value.starts_with('[') && !value.ends_with(']') {
                let more = lines.next().expect("the list ends").trim_start_matches('#');
                write!(value, "\n{more}").unwrap();
            }
            let entries = &mut sections.last_mut().expect("a section").entries;
            let said = std::mem::take(&mut about).trim().to_owned();
            if !said.is_empty() || entries.is_empty() {
                entries.push(Entry { about: said, keys: Vec::new() });
            }
            entries.last_mut().expect("an entry").keys.push((key.to_owned(), value));
        }
    }
    sections
}

/// What everybody may call their own is `X`: `sources.X.lead`.
fn general(name: &str) -> String {
    name.replace("destinations.main", "destinations.X").replace("sources.website", "sources.X")
}

/// Every key of the configuration, and every section: `server`, `destinations.X.rate.per_second`.
pub fn every_key() -> BTreeSet<String> {
    fn gather(path: &str, value: &Value, keys: &mut BTreeSet<String>) {
        keys.insert(general(path));
        for (key, value) in value.as_table().into_iter().flatten() {
            gather(&format!("{path}.{key}"), value, keys);
        }
    }
    let mut keys = BTreeSet::new();
    for (key, value) in &whole() {
        gather(key, value, &mut keys);
    }
    keys
}

/// The example with every key that it shows.
fn whole() -> Table {
    let mut text = String::new();
    for section in sections() {
        writeln!(text, "[{}]", section.name).unwrap();
        for (key, value) in section.entries.into_iter().flat_map(|entry| entry.keys) {
            writeln!(text, "{key} = {value}").unwrap();
        }
    }
    text.parse().unwrap()
}

const SMALLEST: &str = r#"
[notify]
url = "https://ops.example.vn/hooks/leadgate"
secret = "fedcba9876543210"
[destinations.main]
domain = "khachhang01"
token = "t"
lead = { service_id = 1 }
[sources.website]
preset = "web-form"
destination = "main"
[sources.website.challenge]
kind = "recaptcha"
secret = "f"
"#;

fn read(table: &Table) -> Result<Config, Faults> {
    let text = table.to_string();
    let names = text.split("env = \"").skip(1).filter_map(|rest| rest.split('"').next());
    let environment: MapEnvironment =
        names.map(|name| (name.to_owned(), "0123456789abcdef".to_owned())).collect();
    Ok(config::parse(&text, "table.toml", &environment, &["web-form"])?.config)
}

/// The table that `path` leads to, made where there is none.
fn table<'a>(table: &'a mut Table, path: &str) -> &'a mut Table {
    path.split('.').fold(table, |table, part| {
        let below = table.entry(part).or_insert_with(|| Value::Table(Table::new()));
        below.as_table_mut().expect("a table")
    })
}

/// What the typed configuration makes of a key that is left out.
fn when_left_out(section: &str, key: &str, value: &str) -> &'static str {
    let mut without = whole();
    table(&mut without, section).remove(key);
    if read(&without).is_err() {
        return "Required, such as";
    }
    let base: Table = SMALLEST.parse().unwrap();
    let mut with = base.clone();
    let shown: Table = format!("{key} = {value}").parse().unwrap();
    table(&mut with, section).extend(shown);
    let unwrap = |read: Result<Config, Faults>| match read {
        Ok(config) => format!("{config:?}"),
        Err(faults) => panic!("{section}.{key}: {faults}"),
    };
    let is_default = unwrap(read(&with)) == unwrap(read(&base));
    if is_default { "Default:" } else { "Such as" }
}

#[test]
fn the_configuration_reference_is_what_the_code_says() {
    let mut text = String::new();
    for Section { name, about, entries } in sections() {
        writeln!(text, "## `[{}]`\n", general(&name)).unwrap();
        if !about.is_empty() {
            writeln!(text, "{about}\n").unwrap();
        }
        for Entry { about, keys } in entries {
            let names: Vec<String> =
                keys.iter().map(|(key, _)| format!("`{}.{key}`", general(&name))).collect();
            writeln!(text, "### {}\n", names.join(", ")).unwrap();
            for (key, value) in &keys {
                let left_out = when_left_out(&name, key, value);
                let of = if keys.len() > 1 { format!("`{key}`: ") } else { String::new() };
                let begin =
                    if of.is_empty() { left_out.to_owned() } else { left_out.to_lowercase() };
                match value.contains('\n') {
                    true => writeln!(text, "{of}{begin}\n\n```toml\n{key} = {value}\n```\n"),
                    false => writeln!(text, "{of}{begin} `{value}`\n"),
                }
                .unwrap();
            }
            if !about.is_empty() {
                writeln!(text, "{about}\n").unwrap();
            }
        }
    }
    hold("docs/configuration.md", &format!("{}\n", text.trim_end()));
}

/// A command, and what it says of itself.
#[derive(Debug)]
pub struct Command {
    /// `leads list`; empty for the program itself.
    pub name: String,
    /// The commands below it, by their last word.
    pub below: BTreeSet<String>,
    pub help: String,
}

/// Every command, as the program lists them.
pub fn commands() -> Vec<Command> {
    let (mut found, mut names) = (Vec::new(), vec![String::new()]);
    while let Some(name) = names.pop() {
        let mut asked = leadgate(Path::new("."));
        let output = asked.args(name.split_whitespace()).arg("-h").output().unwrap();
        assert!(output.status.success(), "{name}: {}", told(&output));
        let help = String::from_utf8(output.stdout).unwrap();
        let listed = help.split_once("Commands:\n").map_or("", |(_, rest)| rest);
        let listed = listed.lines().take_while(|line| !line.is_empty());
        let listed = listed.filter_map(|line| line.split_whitespace().next());
        let below: BTreeSet<String> =
            listed.filter(|word| *word != "help").map(str::to_owned).collect();
        names.extend(below.iter().rev().map(|word| format!("{name} {word}").trim().to_owned()));
        found.push(Command { name, below, help });
    }
    found
}

/// Options that every command has are told once, with the program itself.
fn is_common(line: &str) -> bool {
    ["--config", "--json", "-h, --help", "help "].iter().any(|it| line.trim_start().starts_with(it))
}

#[test]
fn the_command_reference_is_what_the_program_says() {
    let mut text = String::new();
    for Command { name, help, .. } in commands() {
        writeln!(text, "## `{}`\n\n```text", format!("leadgate {name}").trim()).unwrap();
        let lines = help.lines().filter(|line| name.is_empty() || !is_common(line));
        let lines: Vec<&str> = lines.collect();
        let lines = lines.join("\n");
        writeln!(text, "{}\n```\n", lines.trim_end().trim_end_matches("Options:").trim_end())
            .unwrap();
    }
    hold("docs/commands.md", &format!("{}\n", text.trim_end()));
}
