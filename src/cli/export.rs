//! `leadgate leads export`

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Write, stdout};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::admin::AdminApi;
use super::leads::Filters;
use super::progress::Progress;
use super::{Failed, block_on};

/// Records that one request asks for: as many as the API gives.
const PAGE: usize = 500;

/// `leadgate leads export`: everything that matches, newest first.
#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    filters: Filters,
    /// How it is written
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Format,
    /// Write to this file, which is there once all of it is [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object a line
    Jsonl,
    /// Comma-separated values, for a spreadsheet
    Csv,
}

impl Export {
    pub(super) fn run(self, api: &AdminApi) -> Result<(), Failed> {
        let Self { filters, format, output } = self;
        let query = filters.query();
        let Some(path) = output else {
            let written = block_on(export(api, query, format, stdout().lock()));
            return Ok(written.map(drop).or_else(closed_early)?);
        };
        let partial = partial(&path)?;
        let done = create(&partial).and_then(|file| {
            let count = block_on(export(api, query, format, BufWriter::new(file)))?;
            fs::rename(&partial, &path).with_context(|| path.display().to_string())?;
            Ok(count)
        });
        if done.is_err() {
            let _ = fs::remove_file(&partial); // half an export looks like a whole one
        }
        let count = done?;
        eprintln!("{count} exported to {}", path.display());
        Ok(())
    }
}

/// Where a file grows until it is whole: beside its place.
fn partial(path: &Path) -> Result<PathBuf, Failed> {
    let name = path.file_name();
    let name = name.ok_or_else(|| Failed::Usage(format!("{} is no file", path.display())))?;
    let mut name = name.to_os_string();
    name.push(".part");
    Ok(path.with_file_name(name))
}

/// A file for its owner alone: it holds people.
fn create(path: &Path) -> anyhow::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path).with_context(|| path.display().to_string())
}

/// Who has read enough closes the pipe; that is no failure.
fn closed_early(error: anyhow::Error) -> anyhow::Result<()> {
    let is_closed = |error: &std::io::Error| error.kind() == ErrorKind::BrokenPipe;
    match error.downcast_ref::<std::io::Error>().is_some_and(is_closed) {
        true => Ok(()),
        false => Err(error),
    }
}

/// Writes page after page; answers how many records that were.
async fn export(
    api: &AdminApi,
    query: Vec<(&'static str, String)>,
    format: Format,
    mut to: impl Write,
) -> anyhow::Result<usize> {
    let mut progress = Progress::new("exported", None);
    let mut count = 0;
    let mut cursor: Option<String> = None;
    if format == Format::Csv {
        to.write_all(line(COLUMNS.map(|(name, _)| name.to_owned())).as_bytes())?;
    }
    loop {
        let mut asked = query.clone();
        asked.push(("limit", PAGE.to_string()));
        asked.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let page = api.get("/api/leads", &asked).await?;
        let leads = page["leads"].as_array().ok_or_else(|| anyhow!("a page without leads"))?;
        for lead in leads {
            let text = match format {
                Format::Jsonl => format!("{lead}\n"),
                Format::Csv => line(COLUMNS.map(|(_, value)| value(lead))),
            };
            to.write_all(text.as_bytes())?;
        }
        count += leads.len();
        progress.add(leads.len());
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    to.flush()?;
    progress.end();
    Ok(count)
}

/// What a column is called, and its cell of a record.
type Column = (&'static str, fn(&Value) -> String);

const COLUMNS: [Column; 26] = [
    ("id", |lead| cell(&lead["id"])),
    ("state", |lead| cell(&lead["state"])),
    ("source", |lead| cell(&lead["source"])),
    ("destination", |lead| cell(&lead["destination"])),
    ("external_id", |lead| typed(&lead["external_id"])),
    ("received_at", |lead| cell(&lead["received_at"])),
    ("settled_at", |lead| cell(&lead["settled_at"])),
    ("name", |lead| typed(&lead["lead"]["name"])),
    ("phone", |lead| cell(&lead["lead"]["phone"])),
    ("email", |lead| typed(&lead["lead"]["email"])),
    ("message", |lead| typed(&lead["lead"]["message"])),
    ("utm_source", |lead| typed(&lead["lead"]["utm"]["source"])),
    ("utm_medium", |lead| typed(&lead["lead"]["utm"]["medium"])),
    ("utm_campaign", |lead| typed(&lead["lead"]["utm"]["campaign"])),
    ("utm_term", |lead| typed(&lead["lead"]["utm"]["term"])),
    ("utm_content", |lead| typed(&lead["lead"]["utm"]["content"])),
    ("utm", |lead| cell(&lead["lead"]["utm"])),
    ("click_ids", |lead| cell(&lead["lead"]["click_ids"])),
    ("page_url", |lead| typed(&lead["lead"]["page_url"])),
    ("referrer", |lead| typed(&lead["lead"]["referrer"])),
    ("ref_url", |lead| typed(&lead["lead"]["ref_url"])),
    ("answers", |lead| cell(&lead["lead"]["answers"])),
    ("upstream_lead_id", |lead| cell(&lead["upstream"]["lead_id"])),
    ("upstream_requester_id", |lead| cell(&lead["upstream"]["requester_id"])),
    ("duplicate_of", |lead| cell(&lead["duplicate_of"])),
    ("reason", |lead| typed(&lead["reason"])),
];

/// A value as a cell; what is no plain value is JSON.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What a stranger typed. A spreadsheet runs what begins like a formula; with an apostrophe before
/// it, it shows it.
fn typed(value: &Value) -> String {
    let text = cell(value);
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text,
    }
}

/// RFC 4180.
fn line<const N: usize>(cells: [String; N]) -> String {
    let quoted = |cell: String| match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell,
    };
    let mut line = cells.map(quoted).join(",");
    line.push_str("\r\n");
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cell_is_quoted_and_runs_nothing() {
        let cells = [typed(&json!("=1+1")), cell(&json!("a,\"b\"\nc")), cell(&Value::Null)];
        assert_eq!(line(cells), "'=1+1,\"a,\"\"b\"\"\nc\",\r\n");
        let lead = json!({"lead": {"phone": "+84900000001", "utm": {"source": "fb"}}});
        let row = line(COLUMNS.map(|(_, value)| value(&lead)));
        assert!(row.contains(",+84900000001,"), "{row}");
        assert!(row.contains(",fb,,,,,\"{\"\"source\"\":\"\"fb\"\"}\","), "{row}");
    }
}
