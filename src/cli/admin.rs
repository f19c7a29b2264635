//! The admin API of a running gateway, as the commands reach it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};
use reqwest::{RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::{Failed, Invocation};
use crate::config::{Config, StoreUrl};

/// A local API answers at once, or something is wrong.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What goes through the ledger takes its time: a hundred thousand replays.
const LONG_TIMEOUT: Duration = Duration::from_secs(600);

/// Where `serve` leaves the token that it made up, when the configuration names none.
pub(super) fn token_file(config: &Config) -> Option<PathBuf> {
    match &config.store.url {
        StoreUrl::Sqlite(path) => Some(path.with_file_name("admin.token")),
        StoreUrl::Redis(_) => None,
    }
}

/// The admin API of the gateway that this configuration describes.
pub(super) struct AdminApi {
    http: reqwest::Client,
    base: Url,
    token: SecretString,
}

impl AdminApi {
    /// Finds the gateway and its token.
    pub(super) fn of(invocation: &Invocation) -> Result<Self, Failed> {
        let config = invocation.configuration_or_zero_setup()?;
        let token = match (&config.admin.token, token_file(&config)) {
            (Some(token), _) => token.clone(),
            (None, Some(file)) => {
                let text = std::fs::read_to_string(&file).with_context(|| {
                    format!("no admin.token is configured, and {} cannot be read; is the gateway running in this folder?", file.display())
                })?;
                SecretString::from(text.trim())
            }
            (None, None) => {
                return Err(Failed::Usage("set admin.token in the configuration".to_owned()));
            }
        };
        let base = Url::parse(&format!("http://{}", config.server.admin_listen))
            .context("server.admin_listen is no address")?;
        Ok(Self { http: http_client()?, base, token })
    }

    /// `GET` of a path with a query; the answer's JSON.
    pub(super) async fn get(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<Value> {
        let url = self.base.join(path)?;
        let answered = self.answered(self.http.get(url).query(query)).await?;
        answered.map_err(|refusal| refusal.into_error())
    }

    /// `POST` of a body to a path; the answer's JSON, or what it says against it.
    pub(super) async fn post(
        &self,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<Result<Value, Refusal>> {
        let url = self.base.join(path)?;
        self.answered(self.http.post(url).json(body).timeout(LONG_TIMEOUT)).await
    }

    async fn answered(&self, request: RequestBuilder) -> anyhow::Result<Result<Value, Refusal>> {
        let request = request.bearer_auth(self.token.expose_secret());
        let response = request.send().await.map_err(|error| {
            let base = &self.base;
            if error.is_connect() {
                anyhow!("nothing listens at {base}: start the gateway (`leadgate serve`), or name its address in server.admin_listen or LEADGATE__SERVER__ADMIN_LISTEN")
            } else {
                anyhow!("the gateway's admin API at {base} gave no answer: look at its log and its /readyz")
            }
        })?;
        let status = response.status();
        let body: Value = response.json().await.context("the admin API's answer is no JSON")?;
        Ok(if status.is_success() { Ok(body) } else { Err(Refusal { status, problem: body }) })
    }
}

/// The admin API does not do what it was asked.
pub(super) struct Refusal {
    status: StatusCode,
    /// Its problem document.
    pub(super) problem: Value,
}

impl Refusal {
    /// Whether the gateway understood, and the ledger is against it: others may still be done.
    pub(super) fn is_about_one(&self) -> bool {
        matches!(self.status, StatusCode::NOT_FOUND | StatusCode::CONFLICT)
    }

    /// Why, in words.
    pub(super) fn detail(&self) -> String {
        let detail = self.problem["detail"].as_str().unwrap_or("no detail").to_owned();
        let errors = self.problem["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let error =
            |error: &Value| format!("{}: {}", text(&error["field"]), text(&error["message"]));
        std::iter::once(detail).chain(errors.iter().map(error)).collect::<Vec<_>>().join("; ")
    }

    /// For who can do nothing else.
    pub(super) fn into_error(self) -> anyhow::Error {
        let next = match self.status {
            StatusCode::UNAUTHORIZED => {
                "; the token here is not that gateway's: use the same configuration, and set what its admin.token names"
            }
            StatusCode::SERVICE_UNAVAILABLE => "; its /readyz and its log say more",
            _ => "",
        };
        anyhow!("the admin API answered {}: {}{next}", self.status, self.detail())
    }
}

/// A client for addresses of our own.
pub(super) fn http_client() -> anyhow::Result<reqwest::Client> {
    crate::http_client::builder()?
        .timeout(TIMEOUT)
        .build()
        .context("the HTTP client could not be made")
}

impl Invocation {
    /// The configuration, or what `serve` would run without one.
    pub(super) fn configuration_or_zero_setup(&self) -> Result<Config, Failed> {
        if let Some(loaded) = self.configured()? {
            return Ok(loaded.config);
        }
        let nowhere = Url::parse("http://127.0.0.1:8082").context("a URL")?;
        let no_token = SecretString::from("none");
        Ok(super::zero_setup(&nowhere, &no_token)?)
    }
}
