//! `docs/logging.md` against the code, both ways; and lines that nobody forges.

use std::collections::{BTreeMap, BTreeSet};

use leadgate::sandbox::Options;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::checkout::{file, sources};
use crate::gateway::{CareSoft, http_client, toml_of};
use crate::served::Served;

/// Level and fields of each message. A message may stand in several places with other fields.
type Messages = BTreeMap<(String, String), BTreeSet<String>>;

/// Every event from info upwards in the source.
fn in_the_code() -> Messages {
    let mut messages = Messages::new();
    sources().iter().for_each(|(_, source)| events(source, &mut messages));
    messages
}

fn events(source: &str, messages: &mut Messages) {
    // Tests log what they like.
    let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
    for level in ["error", "warn", "info"] {
        for (start, name) in source.match_indices(&format!("tracing::{level}!(")) {
            let (text, fields) = event(&source[start + name.len()..]);
            messages.entry((text, level.to_owned())).or_default().extend(fields);
        }
    }
}

/// The message and the fields of what follows a macro's opening parenthesis.
fn event(rest: &str) -> (String, Vec<String>) {
    let (mut depth, mut argument, mut arguments) = (1, String::new(), Vec::new());
    let mut characters = rest.chars();
    while depth > 0 {
        let character = characters.next().expect("a closing parenthesis");
        match character {
            '"' => {
                argument.push('"');
                loop {
                    match characters.next().expect("a closing quote") {
                        '\\' => match characters.next().expect("something escaped") {
                            '\n' => {
                                let rest = characters.as_str();
                                characters = rest.trim_start().chars();
                            }
                            escaped => argument.push(escaped),
                        },
                        '"' => break,
                        other => argument.push(other),
                    }
                }
                continue;
            }
            ',' if depth == 1 => {
                arguments.push(std::mem::take(&mut argument));
                continue;
            }
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        argument.push(character);
    }
    argument.pop(); // the closing parenthesis
    arguments.push(argument);
    let arguments = arguments.iter().map(|argument| argument.trim());
    let mut arguments: Vec<_> = arguments.filter(|argument| !argument.is_empty()).collect();
    let message = arguments.pop().and_then(|last| last.strip_prefix('"'));
    let message = message.unwrap_or_else(|| panic!("no fixed message: {arguments:?}"));
    assert!(!message.contains('{'), "a message is fixed, and has fields beside it: {message}");
    let name = |argument: &&str| {
        let name = argument.split(['=', '.']).next().unwrap();
        name.trim().trim_start_matches(['%', '?']).to_owned()
    };
    (message.to_owned(), arguments.iter().map(name).collect())
}

/// The rows of the document's tables: `| level | message | fields | … |`.
fn in_the_document() -> Messages {
    let text = file("docs/logging.md");
    let mut messages = Messages::new();
    for row in text.lines() {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, level, message, fields, meaning, _] = cells[..] else { continue };
        if !["error", "warn", "info"].contains(&level) {
            continue;
        }
        assert!(meaning.len() > 10, "{message} says what to make of it");
        let fields = fields.split(',').map(|field| field.trim().trim_matches('`').to_owned());
        let fields = fields.filter(|field| !field.is_empty()).collect();
        let before = messages.insert((message.to_owned(), level.to_owned()), fields);
        assert_eq!(before, None, "{message} stands there twice");
    }
    messages
}

#[test]
fn the_document_lists_every_event_and_no_other() {
    let (code, document) = (in_the_code(), in_the_document());
    assert!(code.len() > 50, "the source is read");
    let only_in = |one: &Messages, other: &Messages| -> Vec<_> {
        one.iter()
            .filter(|(message, fields)| other.get(*message) != Some(*fields))
            .map(|(message, fields)| (message.clone(), fields.clone()))
            .collect()
    };
    let (missing, gone) = (only_in(&code, &document), only_in(&document, &code));
    assert_eq!(missing, [], "in the code and not, or otherwise, in docs/logging.md");
    assert_eq!(gone, [], "in docs/logging.md and not in the code");
}

/// Strangers choose paths, names, headers and bodies. Whatever they choose, each line is a JSON
/// object of ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_write_no_lines() {
    let caresoft = CareSoft::start(Options::default());
    let folder = TempDir::new().unwrap();
    let store = format!("url = \"sqlite:{}\"", folder.path().join("leads.db").display());
    let more = "[log]\nlevel = \"debug\"";
    let served = Served::start(folder.path(), &toml_of(&store, caresoft.address, more)).await;
    let http = http_client();
    let forged = "%0A%7B%22level%22%3A%22ERROR%22%2C%22message%22%3A%22FORGED%22%7D%0D%1B%5B2J";
    for path in [format!("website{forged}"), format!("website?x={forged}"), forged.to_owned()] {
        let post = http
            .post(served.endpoint(&path))
            .header("traceparent", format!("00-{forged}-FORGED-01"))
            .header("User-Agent", format!("FORGED {forged}"))
            .header("Idempotency-Key", "FORGED")
            .body("{\"phone\": \"\u{1b}[2J\\n{\\\"message\\\":\\\"FORGED\\\"}\"}")
            .header("Content-Type", "application/json");
        let answer = post.send().await.unwrap();
        assert!(answer.status().is_client_error(), "{path}: {}", answer.status());
    }
    let answer = http.get(served.endpoint("website")).query(&[("FORGED", forged)]).send().await;
    assert_eq!(answer.unwrap().status(), 405);
    let answer = http.post(served.endpoint("website")).json(&json!({"phone": "1"})).send().await;
    assert_eq!(answer.unwrap().status(), 422);

    let (code, log) = served.terminate().await;
    assert_eq!(code, Some(0));
    assert!(!log.contains("FORGED"), "{log}");
    let refused = log.lines().filter(|line| line.contains("post refused")).count();
    assert_eq!(refused, 2, "{log}");
    for line in log.lines().filter(|line| !line.is_empty()) {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line:?}"));
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    }
}
