//! `leadgate send`: a signed sample of every preset is taken, and becomes the person in it.

use leadgate::preset::{DEVELOPMENT_SECRET, Preset, built_in_names};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::gateway::{ADMIN_TOKEN, eventually};
use crate::served::{Served, leadgate, told};

/// A gateway without a configuration, and `leadgate send` to it.
struct Bed {
    folder: TempDir,
    served: Served,
}

impl Bed {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let mut command = leadgate(folder.path());
        command.arg("serve").env("LEADGATE__ADMIN__TOKEN", ADMIN_TOKEN);
        let served = Served::spawn(command).await;
        Self { folder, served }
    }

    /// Whether it was accepted, and everything that was said.
    async fn send(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = leadgate(self.folder.path());
        command.arg("send").args(arguments);
        command.env("LEADGATE__SERVER__LISTEN", self.served.public().to_string());
        let output = tokio::task::spawn_blocking(move || command.output()).await;
        let output = output.unwrap().unwrap();
        (output.status.success(), told(&output))
    }

    /// The source's records, the oldest first, once none of them waits any more.
    async fn records(&self, source: &str) -> Vec<Value> {
        eventually("every lead is settled", || async {
            let path = format!("/api/leads?source={source}&limit=100");
            let listed: Value = self.served.admin_get(&path).await?.json().await.ok()?;
            let mut found = Vec::new();
            for listed in listed["leads"].as_array()?.iter().rev() {
                found.push(self.served.record(listed["id"].as_str()?).await?);
            }
            found.iter().all(|record| record["state"] != "pending").then_some(found)
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_presets_sample_is_a_lead_on_the_first_post() {
    let bed = Bed::start().await;
    for (place, name) in built_in_names().into_iter().enumerate() {
        let source = if name == "web-form" { "website" } else { name };
        let first = 100 * place;
        let (accepted, said) = bed.send(&[source, "--json", "--from", &first.to_string()]).await;
        assert!(accepted, "{name}: {said}");
        let said: Value = serde_json::from_str(&said).unwrap();
        let preset = Preset::load(name, []).unwrap();
        let wanted = preset.respond.ok.as_ref().map_or(202, |ok| ok.status);
        assert_eq!(said["status"], wanted, "{name}: {said}");
        let next = (first + 1).to_string();
        let (accepted, said) = bed.send(&[source, "--count", "3", "--from", &next]).await;
        assert!(accepted && said.contains("3 sent"), "{name}: {said}");
        let found = bed.records(source).await;
        assert_eq!(found.len(), 4, "{name}: {found:#?}");
        for (number, record) in found.iter().enumerate() {
            let number = first + number;
            assert_eq!(record["state"], "created", "{name}: {record:#}");
            let lead = &record["lead"];
            assert_eq!(lead["name"], format!("Nguyễn Văn Thử {number}"), "{name}: {record:#}");
            assert_eq!(lead["phone"], format!("+84900{number:06}"), "{name}: {record:#}");
            let email = json!(format!("thu.{number}@example.vn"));
            let email = if name == "zalo-oa" { Value::Null } else { email }; // it asks for none
            assert_eq!(lead["email"], email, "{name}: {record:#}");
        }
    }
    assert_eq!(bed.served.terminate().await.0, Some(0));
}

/// A file is signed as a sample is, by the source's own secret; by another one it is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_signed_and_another_secret_is_refused() {
    let bed = Bed::start().await;
    let file = bed.folder.path().join("body.txt");
    let body = json!({"Name": "Thử", "Phone": "0900000077"}).to_string();
    std::fs::write(&file, body).unwrap();
    let file = file.to_str().unwrap();
    let arguments = ["framer", "--file", file, "--content-type", "application/json"];
    let (accepted, said) = bed.send(&arguments).await;
    assert!(accepted && said.contains("200"), "{said}");
    assert_eq!(bed.records("framer").await[0]["lead"]["phone"], "+84900000077");

    // As one who does not know the secret.
    let own = bed.folder.path().join("other.toml");
    let to = format!("http://{}", bed.served.public());
    let text = "[server]\npublic_url = \"https://leads.example.vn\"\n\
                [destinations.main]\nbase_url = \"http://127.0.0.1:1\"\ndomain = \"thu\"\ntoken = \"t\"\n\
                lead = { service_id = 1 }\n\
                [sources.framer]\npreset = \"framer\"\ndestination = \"main\"\n\
                secrets = { secret = \"another\" }\n\
                [sources.mine]\npreset = \"mine.toml\"\ndestination = \"main\"\n";
    std::fs::write(&own, text).unwrap();
    let mine = "schema = 1\nid = \"mine\"\ntitle = \"Mine\"\n";
    std::fs::write(bed.folder.path().join("mine.toml"), mine).unwrap();
    let own = own.to_str().unwrap();
    let (accepted, said) = bed.send(&["framer", "--config", own, "--to", &to]).await;
    assert!(!accepted && said.contains("401") && !said.contains(DEVELOPMENT_SECRET), "{said}");
    let (accepted, said) = bed.send(&["mine", "--config", own, "--to", &to]).await;
    assert!(!accepted && said.contains("[sample]"), "a preset without a sample: {said}");
    assert_eq!(bed.records("framer").await.len(), 1);
}
