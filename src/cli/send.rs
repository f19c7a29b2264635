//! `leadgate send SOURCE`

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::admin::http_client;
use super::{Failed, Invocation, block_on};
use crate::config::Config;
use crate::lead::SourceId;

/// The most samples that one call sends.
const COUNT_MAX: u32 = 100_000;

/// How often one post is sent again when the gateway asks to wait, and the longest wait.
const TRIES_MAX: u32 = 10;
const WAIT_MAX: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct Send {
    /// The source to post to
    source: String,
    /// Post this file's content instead of a sample
    #[arg(long)]
    file: Option<PathBuf>,
    /// Post this many, each another person
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(COUNT_MAX)))]
    count: u32,
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
        let token = source.secrets.get("token").and_then(|tokens| tokens.first()).cloned();
        let url = self.url(&id, &config)?;
        let from_file = self.file.as_ref().map(std::fs::read).transpose().context("--file")?;
        let poster = Poster { http: http_client()?, url, token, content_type: self.content_type() };
        let results = block_on(async {
            let mut results = Vec::new();
            for number in 0..self.count {
                let body = match &from_file {
                    Some(bytes) => bytes.clone(),
                    None => sample(number).to_string().into_bytes(),
                };
                results.push(poster.post(body).await?);
            }
            Ok(results)
        })?;
        report(&results, invocation.json);
        Ok(())
    }

    fn content_type(&self) -> &'static str {
        let extension = self.file.as_ref().and_then(|file| file.extension());
        match extension.and_then(|extension| extension.to_str()) {
            None | Some("json") => "application/json",
            Some(_) => "application/x-www-form-urlencoded",
        }
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

/// One source, and how it is posted to.
struct Poster {
    http: reqwest::Client,
    url: reqwest::Url,
    token: Option<SecretString>,
    content_type: &'static str,
}

impl Poster {
    /// Posts until it is accepted, as slowly as the gateway asks; answers what the gateway said.
    async fn post(&self, body: Vec<u8>) -> anyhow::Result<String> {
        let url = &self.url;
        for _ in 0..TRIES_MAX {
            let mut request = self.http.post(url.clone()).body(body.clone());
            request = request.header(CONTENT_TYPE, self.content_type);
            if let Some(token) = &self.token {
                request = request.header("X-Leadgate-Token", token.expose_secret());
            }
            let response = request.send().await.map_err(|error| match error.is_connect() {
                true => anyhow!("{url}: nothing listens there; is the gateway running?"),
                false => anyhow!("{url}: no answer"),
            })?;
            let status = response.status();
            let wait = response.headers().get(RETRY_AFTER).and_then(|wait| wait.to_str().ok());
            let wait = wait.and_then(|wait| wait.parse().ok()).map(Duration::from_secs);
            let answer = response.text().await.unwrap_or_default();
            match wait {
                _ if status.is_success() => return Ok(answer),
                Some(wait) => tokio::time::sleep(wait.min(WAIT_MAX)).await,
                None => bail!("{url} answered {status}: {answer}"),
            }
        }
        bail!("{url} still asks to wait after {TRIES_MAX} tries")
    }
}

/// A person who does not exist. Each number is another one.
fn sample(number: u32) -> Value {
    json!({
        "ho_ten": format!("Nguyễn Văn Thử {number}"),
        "so_dien_thoai": format!("0900 {:03} {:03}", number / 1000 % 1000, number % 1000),
        "noi_dung": "Gửi thử từ leadgate send",
        "utm_source": "leadgate",
        "utm_campaign": "send",
        "page_url": "https://shop.example.vn/?utm_source=leadgate",
    })
}

fn report(results: &[String], as_json: bool) {
    match results {
        [one] => println!("{one}"),
        many if as_json => println!("{}", json!({ "sent": many.len() })),
        many => println!("{} sent, all accepted", many.len()),
    }
}
