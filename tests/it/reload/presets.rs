//! A preset of one's own that changes beside its configuration.

use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use super::{ends_with_nothing_lost, faults_told, paced, until_in_force};
use crate::fleet::fast;
use crate::gateway::{Backing, eventually, http_client, id_of, over_every_store};
use crate::load::Load;
use crate::served::Served;

over_every_store!(a_preset_that_changes_maps_anew_and_no_post_is_lost);

/// A preset whose forms have their names in this field.
fn preset(name: &str) -> String {
    format!(
        "schema = 1\nid = \"mine\"\ntitle = \"A form of ours\"\n[lead]\nunusable = \"reject\"\n\
         [map]\nname = [\"{name}\"]\n"
    )
}

/// As an editor that writes it whole.
fn put(file: &Path, text: &str) {
    let draft = file.with_extension("draft");
    std::fs::write(&draft, text).unwrap();
    std::fs::rename(&draft, file).unwrap();
}

/// The name that a form's two fields are read as.
async fn name_read(served: &Served, phone: u32) -> String {
    let body =
        json!({"phone": format!("09{phone:08}"), "truong_a": "Thử Một", "truong_b": "Thử Hai"});
    let id = id_of(http_client().post(served.endpoint("mine")).json(&body).send().await.unwrap());
    let record = served.record(&id.await).await.unwrap();
    record["lead"]["name"].as_str().unwrap_or_default().to_owned()
}

/// Nobody signals anything: the file that the configuration names has changed.
async fn a_preset_that_changes_maps_anew_and_no_post_is_lost(store: Backing) {
    let (caresoft, folder) = (fast(), TempDir::new().unwrap());
    let rate = "{ per_second = 500, per_hour = 1000000 }";
    let base = paced(&store, folder.path(), &caresoft, rate);
    let file = folder.path().join("mine.toml");
    put(&file, &preset("truong_a"));
    let text =
        format!("{base}[sources.mine]\npreset = \"{}\"\ndestination = \"main\"\n", file.display());
    let served = Served::start(folder.path(), &text).await;
    let load = Load::keep_on(&[served.endpoint("mine"), served.endpoint("website")], 0);
    load.has_accepted(100).await;
    assert_eq!(name_read(&served, 80_000_001).await, "Thử Một");

    let read = || served.log().matches("the configuration was").count();
    let before = read();
    put(&file, &preset("truong_b"));
    eventually("it is read", || async { (read() > before).then_some(()) }).await;
    assert_eq!(name_read(&served, 80_000_002).await, "Thử Hai");

    let faulty = preset("truong_a").replace("unusable", "unusabel");
    put(&file, &faulty);
    until_in_force(&served, false).await;
    let line_of = |text: &str, part: &str| text.lines().position(|line| line.contains(part));
    let told = faults_told(&served.log());
    let place = line_of(&text, "[sources.mine]").unwrap() as u64 + 2;
    assert_eq!(told, [(place, "sources.mine.preset".to_owned())]);
    let line = line_of(&faulty, "unusabel").unwrap() + 1;
    let log = served.log();
    let fault = log.lines().find(|line| line.contains("a fault in the configuration")).unwrap();
    assert!(fault.contains("mine.toml") && fault.contains("unusabel"), "{line}: {fault}");
    assert_eq!(name_read(&served, 80_000_003).await, "Thử Hai", "the one before stays");

    put(&file, &preset("truong_a"));
    until_in_force(&served, true).await;
    assert_eq!(name_read(&served, 80_000_004).await, "Thử Một");
    ends_with_nothing_lost(load, served, &caresoft).await;
}
