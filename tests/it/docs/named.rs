//! Commands and keys that pages name are there. That all of them are named is `generated.rs`'s.

use std::collections::{BTreeMap, BTreeSet};

use super::generated::{Command, commands, every_key};
use super::{Page, pages};

/// Command lines that a page shows: from a text's line, and from what is fenced for a shell.
fn command_lines(page: &Page) -> Vec<String> {
    let mut lines: Vec<String> =
        page.code.iter().filter(|code| code.starts_with("leadgate ")).cloned().collect();
    for (language, block) in &page.blocks {
        if !["sh", "console"].contains(&language.as_str()) {
            continue;
        }
        for line in block.lines() {
            let line = line.strip_prefix("$ ").unwrap_or(line);
            let line = line.strip_prefix("run ").unwrap_or(line);
            // Cargo and kubectl hand on what follows the two hyphens.
            let line = match line.split_once(" -- ") {
                Some((by, rest)) if by.starts_with("cargo run") => format!("leadgate {rest}"),
                Some((by, rest)) if by.starts_with("kubectl") => rest.to_owned(),
                _ => line.to_owned(),
            };
            if line.starts_with("leadgate ") {
                lines.push(line);
            }
        }
    }
    lines
}

/// What is wrong with a command line.
fn fault(line: &str, commands: &BTreeMap<String, Command>) -> Option<String> {
    let mut name = String::new();
    let mut words = line.split_whitespace().skip(1).peekable();
    while let Some(word) = words.next_if(|word| commands[&name].below.contains(*word)) {
        name = format!("{name} {word}").trim().to_owned();
    }
    let command = &commands[&name];
    if name.is_empty() && words.peek().is_none_or(|word| !word.starts_with('-')) {
        return Some("no such command".to_owned());
    }
    let end = ["#", "|", ">", "&&"];
    let options =
        words.take_while(|word| !end.contains(word)).filter(|word| word.starts_with("--"));
    let known: BTreeSet<&str> = command
        .help
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|word| word.starts_with("--"))
        .collect();
    let mut options = options.map(|option| option.split('=').next().unwrap_or(option));
    options.find(|option| !known.contains(option)).map(|option| format!("no option {option}"))
}

#[test]
fn command_lines_are_those_of_the_program() {
    let commands: BTreeMap<String, Command> =
        commands().into_iter().map(|command| (command.name.clone(), command)).collect();
    let mut tried = 0;
    for page in pages() {
        for line in command_lines(&page) {
            let fault = fault(&line, &commands);
            assert_eq!(fault, None, "{}: {line}", page.path);
            tried += 1;
        }
    }
    assert!(tried > 80, "{tried} command lines are few");
    for wrong in ["leadgate look", "leadgate leads list --sate dead", "leadgate lanes stop --now x"]
    {
        assert!(fault(wrong, &commands).is_some(), "{wrong}");
    }
}

/// A key as a page names it, made general: `[sources.website.fields]` is `sources.X.fields`, and so is
/// `sources.*.fields`.
fn key(code: &str) -> Option<String> {
    let code = code.trim_start_matches('[').trim_end_matches(']').trim_end_matches(".*");
    let mut parts: Vec<&str> = code.split('.').collect();
    let sections = [
        "server",
        "admin",
        "store",
        "dedup",
        "phone",
        "limits",
        "log",
        "notify",
        "destinations",
        "sources",
    ];
    if parts.len() > 1 && ["destinations", "sources"].contains(&parts[0]) {
        parts[1] = "X";
    }
    let is_word =
        |part: &&str| part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    if parts.len() < 2 || !sections.contains(&parts[0]) || !parts.iter().all(is_word) {
        return None;
    }
    Some(parts.join("."))
}

#[test]
fn keys_are_those_of_the_configuration() {
    let known = every_key();
    // Below these stands what the preset asks for.
    let open = ["sources.X.secrets.", "sources.X.fields."];
    let mut found = 0;
    for page in pages() {
        for code in &page.code {
            let Some(key) = key(code) else { continue };
            let is_open = open.iter().any(|section| key.starts_with(section));
            assert!(is_open || known.contains(&key), "{}: {code}", page.path);
            found += 1;
        }
    }
    assert!(found > 100, "{found} keys are few");
}
