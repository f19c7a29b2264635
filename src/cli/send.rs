//! `leadgate send SOURCE`

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use serde_json::{Value, json};

use super::admin::http_client;
use super::progress::Progress;
use super::said::say;
use super::{Failed, Invocation, block_on};
use crate::config::{Config, Source};
use crate::lead::{Clock, SourceId};
use crate::preset::{FakePerson, Outgoing, Preset};

/// The most samples that one call sends.
const COUNT_MAX: u32 = 100_000;

/// Fake people have numbers below this: each has a phone number of his own.
const PEOPLE: u32 = 1_000_000;

/// How often one post is sent again when the gateway asks to wait, and the longest wait.
const TRIES_MAX: u32 = 10;
const WAIT_MAX: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct Send {
    /// The source to post to
    source: String,
    /// Post this file's content, signed the same way, instead of a sample
    #[arg(long)]
    file: Option<PathBuf>,
    /// The file's content type [default: JSON for .json, else a urlencoded form]
    #[arg(long, value_name = "TYPE", requires = "file")]
    content_type: Option<String>,
    /// Post this many, each another person
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(COUNT_MAX)))]
    count: u32,
    /// The number of the first person; the same number is the same person
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..i64::from(PEOPLE)))]
    from: u32,
    /// Post to this address [default: the configured listener]
    #[arg(long)]
    to: Option<reqwest::Url>,
}

impl Send {
    pub(super) fn run(self, invocation: &Invocation) -> Result<(), Failed> {
        let config = invocation.configuration_or_zero_setup()?;
        let id: SourceId = self
            .source
            .parse()
            .map_err(|_| Failed::Usage(format!("no source {:?}", self.source)))?;
        let Some(source) = config.sources.get(&id) else {
            let known: Vec<_> = config.sources.keys().map(ToString::to_string).collect();
            let known = known.join(", ");
            return Err(Failed::Usage(format!("no source {id} is configured; there are: {known}")));
        };
        let sender = Sender {
            preset: Preset::load(&source.preset, &source.fields)
                .map_err(|error| Failed::Usage(error.to_string()))?,
            source,
            file: self.file()?,
            clock: Clock::system(),
            address: config.server.endpoint(&id).context("server.public_url")?.into(),
        };
        if sender.file.is_none() && sender.preset.sample.is_none() {
            let preset = &source.preset;
            return Err(Failed::Usage(format!("{preset} has no [sample]: give a --file")));
        }
        let poster = Poster { http: http_client()?, url: self.url(&id, &config)? };
        let answers = block_on(async {
            let mut answers = Vec::new();
            let mut progress = Progress::new("sent", usize::try_from(self.count).ok());
            for number in 0..self.count {
                let post = sender.post((self.from + number) % PEOPLE)?;
                answers.push(poster.post(&post).await?);
                progress.add(1);
            }
            progress.end();
            Ok(answers)
        })?;
        report(&answers, invocation.json);
        Ok(())
    }

    /// The file's content and its type.
    fn file(&self) -> Result<Option<(String, Vec<u8>)>, Failed> {
        let Some(file) = &self.file else { return Ok(None) };
        let body = std::fs::read(file).with_context(|| file.display().to_string())?;
        let by_name = match file.extension().and_then(|extension| extension.to_str()) {
            None | Some("json") => "application/json",
            Some(_) => "application/x-www-form-urlencoded",
        };
        let content_type = self.content_type.as_deref().unwrap_or(by_name);
        Ok(Some((content_type.to_owned(), body)))
    }

    fn url(&self, id: &SourceId, config: &Config) -> Result<reqwest::Url, Failed> {
        if let Some(url) = &self.to {
            let mut url = url.clone();
            if url.path() == "/" {
                url.set_path(&format!("/in/{id}")); // a gateway was named, not a source
            }
            return Ok(url);
        }
        let url = format!("http://{}/in/{id}", config.server.listen);
        Ok(reqwest::Url::parse(&url).context("server.listen is no address")?)
    }
}

/// What a source's platform would post.
struct Sender<'a> {
    source: &'a Source,
    preset: Preset,
    file: Option<(String, Vec<u8>)>,
    clock: Clock,
    /// The source's address as the public sees it: some platforms sign it.
    address: String,
}

impl Sender<'_> {
    /// The post of a person, signed with the source's secrets, and with its token.
    fn post(&self, number: u32) -> anyhow::Result<Outgoing> {
        let now = self.clock.now();
        let sample = self.preset.sample.as_ref();
        let sample = sample.map(|sample| sample.post(&FakePerson::new(number, now)));
        let mut post = match (&self.file, sample) {
            (Some((content_type, body)), sample) => {
                let mut post = sample.unwrap_or_else(|| Outgoing::new("", Vec::new()));
                (post.content_type, post.body) = (content_type.clone(), body.clone());
                post
            }
            (None, Some(sample)) => sample,
            (None, None) => bail!("nothing to post"),
        };
        self.preset.sign(&mut post, &self.address, &self.source.secrets, now)?;
        Ok(post)
    }
}

/// What the gateway said.
struct Answered {
    status: StatusCode,
    body: String,
}

/// One source, and how it is posted to.
struct Poster {
    http: reqwest::Client,
    url: reqwest::Url,
}

impl Poster {
    /// Posts until it is accepted, as slowly as the gateway asks.
    async fn post(&self, post: &Outgoing) -> anyhow::Result<Answered> {
        let url = &self.url; // without the sample's query, which may hold a secret
        for _ in 0..TRIES_MAX {
            let request = self.http.post(url.clone()).query(&post.query).body(post.body.clone());
            let request = request.header(CONTENT_TYPE, &post.content_type);
            let headers = post.headers.iter();
            let request =
                headers.fold(request, |request, (name, value)| request.header(name, value));
            let response = request.send().await.map_err(|error| match error.is_connect() {
                true => anyhow!("{url}: nothing listens there; is the gateway running?"),
                false => anyhow!("{url}: no answer"),
            })?;
            let status = response.status();
            let wait = response.headers().get(RETRY_AFTER).and_then(|wait| wait.to_str().ok());
            let wait = wait.and_then(|wait| wait.parse().ok()).map(Duration::from_secs);
            let body = response.text().await.unwrap_or_default();
            match wait {
                _ if status.is_success() => return Ok(Answered { status, body }),
                Some(wait) => tokio::time::sleep(wait.min(WAIT_MAX)).await,
                None => bail!("{url} answered {status}: {body}"),
            }
        }
        bail!("{url} still asks to wait after {TRIES_MAX} tries")
    }
}

fn report(answers: &[Answered], as_json: bool) {
    match answers {
        [Answered { status, body }] if as_json => {
            let body = serde_json::from_str(body).unwrap_or_else(|_| Value::from(body.as_str()));
            say!("{}", json!({ "sent": 1, "status": status.as_u16(), "answer": body }));
        }
        many if as_json => say!("{}", json!({ "sent": many.len() })),
        [Answered { status, body }] if body.is_empty() => say!("answered {status}"),
        [one] => say!("{}", one.body),
        many => say!("{} sent, all accepted", many.len()),
    }
}
