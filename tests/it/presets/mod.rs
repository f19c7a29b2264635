//! Every preset with real bodies: what is verified, extracted, marked as a test and answered; and
//! `leadgate presets`.

mod authentic;
mod bodies;
mod command;
mod events;
mod fixture;
mod handshakes;
mod repeated;
mod secrets;

use leadgate::config::Config;
use serde_json::Value;
use tempfile::TempDir;

use crate::gateway::{Backing, CareSoft, Gateway, parsed, toml_of};

/// A gateway whose source `website` is `source`.
async fn gateway(caresoft: &CareSoft, source: &str) -> Gateway {
    let folder = TempDir::new().unwrap();
    let config = configured(&Backing::Sqlite.toml(folder.path()), caresoft, source);
    Gateway::run(&config, folder).await
}

fn configured(store: &str, caresoft: &CareSoft, source: &str) -> Config {
    let text = toml_of(store, caresoft.address, "");
    let text = text.replace("preset = \"web-form\"\ndestination = \"main\"\n", "");
    let text = text.replace(
        "[sources.website]\n",
        &format!("[sources.website]\ndestination = \"main\"\n{source}\n"),
    );
    parsed(&text)
}

/// The records that the gateway has, the oldest first.
async fn records(gateway: &Gateway) -> Vec<Value> {
    let listed: Value = gateway.admin_get("/api/leads?limit=500").await.json().await.unwrap();
    let ids = listed["leads"].as_array().unwrap().iter().rev();
    let mut found = Vec::new();
    for id in ids {
        found.push(gateway.record(id["id"].as_str().unwrap()).await);
    }
    found
}
