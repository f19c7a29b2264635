//! Secrets: written out, in a variable, or in a file. Their text never enters a fault.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::field::Field;
use crate::config::document::{Kind, Value};
use crate::config::fault::quoted;

/// The longest secret in a file: a private key has less than a tenth.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// The old, the new, and some to spare: each one costs a comparison per request.
const ROTATION_MAX: usize = 10;

const NAME_MAX: usize = 1000;
const PATH_MAX: usize = 4096;

const FORMS: &str = r#"expected { env = "NAME" }, { file = "PATH" } or a text"#;

/// One secret.
pub(super) fn secret(field: Field<'_>) -> SecretString {
    let (mark, value) = field.resolved(&[Kind::Text, Kind::Table]);
    of_value(&mark, value).unwrap_or_default()
}

/// A secret that is sent in a header: it must not hold what no header can carry.
pub(super) fn header_secret(field: Field<'_>) -> SecretString {
    let mark = field.mark();
    let secret = secret(field);
    if !secret.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
        let problem = "the secret holds a space, a line break or a letter outside of ASCII";
        mark.fault(problem, "no HTTP header can carry it: look for what was copied along");
    }
    secret
}

/// One secret or a list of them, of which any verifies.
pub(super) fn secrets(field: Field<'_>) -> Vec<SecretString> {
    let (mark, value) = field.resolved(&[Kind::Text, Kind::Table, Kind::List]);
    let Value::List(_) = value else { return of_value(&mark, value).into_iter().collect() };
    let items = mark.with(value).list(ROTATION_MAX);
    if items.is_empty() {
        mark.fault("this list is empty", format!("{FORMS}, or leave the key out"));
    }
    items.into_iter().map(secret).collect()
}

/// The secret that a value stands for; none when the fault is reported.
fn of_value(mark: &Field<'_>, value: Value) -> Option<SecretString> {
    let text = match value {
        Value::Text(text) => text,
        Value::Table(_) => fetched(mark, mark.with(value))?,
        other => {
            mark.fault(format!("expected a secret, found {}", other.in_words()), FORMS);
            return None;
        }
    };
    if text.is_empty() {
        mark.fault("the secret is empty", "give it a value, or leave the key out");
        return None;
    }
    Some(SecretString::from(text))
}

/// What a variable or a file holds; none when the fault is reported.
fn fetched(mark: &Field<'_>, table: Field<'_>) -> Option<String> {
    let mut section = table.section();
    let (variable, file) = (section.take("env"), section.take("file"));
    section.finish();
    match (variable, file) {
        (Some(name), None) => {
            let name = name.short_text(NAME_MAX);
            let found = mark.reading().environment.get(&name);
            if found.is_none() {
                let problem = format!("the environment variable {} is not set", quoted(&name));
                mark.fault(problem, "set it where the gateway is started");
            }
            found
        }
        (None, Some(path)) => {
            let path = path.short_text(PATH_MAX);
            let unreadable = |error: &io::Error| {
                let problem = format!("the secret's file {path:?} cannot be read: {error}");
                mark.fault(problem, "put it there, and let the gateway's user read it");
            };
            mark.reading().named(Path::new(&path));
            read_secret(&path).inspect_err(unreadable).ok()
        }
        (Some(_), Some(_)) => {
            mark.fault("both a variable and a file are named", FORMS);
            None
        }
        (None, None) => {
            mark.fault("it is not said where this secret is", FORMS);
            None
        }
    }
}

/// A file's text without its last line break, which editors and `echo` add.
fn read_secret(path: &str) -> io::Result<String> {
    let mut text = String::new();
    // One byte more shows that there is more.
    let read = File::open(path)?.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text)?;
    if read as u64 > SECRET_BYTES_MAX {
        let problem = format!("it is longer than {SECRET_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
    }
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}
