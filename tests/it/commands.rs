//! Commands over the admin API: `leads export`, `forget`; and `completions`, `man`.

use std::process::Stdio;

use leadgate::sandbox::Options;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::gateway::{Backing, CareSoft, toml_of};
use crate::served::{Served, leadgate, told};

async fn served(caresoft: &CareSoft) -> (TempDir, Served) {
    let folder = TempDir::new().unwrap();
    let store = Backing::Sqlite.toml(folder.path());
    let served = Served::start(folder.path(), &toml_of(&store, caresoft.address, "")).await;
    (folder, served)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_match_are_exported() {
    let caresoft = CareSoft::start(Options::default());
    let (folder, served) = served(&caresoft).await;
    let people = served.command_line(
        folder.path(),
        &["send", "website", "--count", "520", "--to", &served.endpoint("website")],
    );
    assert_eq!(people.await.0, Some(0));
    let path = folder.path().join("leads.jsonl");
    let file = path.to_str().unwrap();
    let (code, said) = served
        .command_line(folder.path(), &["leads", "export", "--source", "website", "--output", file])
        .await;
    assert_eq!((code, said.contains("520 exported")), (Some(0), true), "{said}");
    let text = std::fs::read_to_string(&path).unwrap();
    let leads: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: std::collections::BTreeSet<_> =
        leads.iter().map(|lead| lead["id"].to_string()).collect();
    assert_eq!((leads.len(), ids.len()), (520, 520), "more than a page, each once");
    let (code, csv) =
        served.command_line(folder.path(), &["leads", "export", "--format", "csv"]).await;
    assert_eq!((code, csv.matches("\r\n").count()), (Some(0), 521), "{csv}");
    assert!(csv.starts_with("id,state,source,destination,"), "{csv}");
    let nowhere = folder.path().join("no/such/folder/leads.csv");
    let (code, said) = served
        .command_line(folder.path(), &["leads", "export", "-o", nowhere.to_str().unwrap()])
        .await;
    assert_eq!((code, said.contains("No such file")), (Some(1), true), "{said}");
    let (code, said) =
        served.command_line(folder.path(), &["leads", "export", "--state", "x"]).await;
    assert_eq!((code, said.contains("expected pending")), (Some(2), true), "{said}");
    served.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_forgotten_and_a_script_is_not_asked() {
    let caresoft = CareSoft::start(Options::default());
    let (folder, served) = served(&caresoft).await;
    let http = crate::gateway::http_client();
    let person =
        json!({"name": "Nguyễn Thị Bí Mật", "phone": "0900000001", "email": "thu@example.vn"});
    let post = async || {
        let post = http.post(served.endpoint("website")).json(&person).send().await.unwrap();
        crate::gateway::id_of(post).await
    };
    let id = post().await;
    served.settled(&id, "created").await;
    let run = |arguments: &[&str]| served.command_line(folder.path(), arguments);
    for wrong in [&["forget", "--yes"][..], &["forget", "--phone", "1", "--email", "x", "--yes"]] {
        assert_eq!(run(wrong).await.0, Some(2));
    }
    let (code, said) = run(&["forget", "--yes", "--phone", "12"]).await;
    assert_eq!((code, said.contains("phone: expected a phone number")), (Some(1), true), "{said}");
    let (code, said) = run(&["--json", "forget", "--email", "Thu@Example.vn"]).await;
    let answer: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &answer["erased"]), (Some(0), &json!(1)));
    let receipt = &answer["receipt"];
    let said = (&receipt["submissions"], &receipt["spool"], &receipt["caresoft"]);
    assert_eq!(said, (&json!(1), &json!("none"), &json!("not_asked")));
    let (code, nobody) = run(&["forget", "--yes", "--email", "Thu@Example.vn"]).await;
    assert!(code == Some(0) && nobody.contains("receipt: erasure-"), "{nobody}");
    let record = served.settled(&id, "erased").await;
    assert_eq!(record["lead"], Value::Null);
    let again = post().await;
    assert_eq!(served.settled(&again, "created").await["state"], "created", "nobody is known");
    let log = served.log();
    assert!(log.contains(receipt["id"].as_str().unwrap()), "the log has the receipt: {log}");
    assert!(
        !log.contains("900000001") && !log.contains("thu@") && !log.contains("Bí Mật"),
        "{log}"
    );
    served.terminate().await;
    let (code, said) = {
        let mut command = leadgate(folder.path());
        command.args(["--config", "leadgate.toml", "forget", "--yes", "--phone", "0900000001"]);
        command.env("LEADGATE__SERVER__ADMIN_LISTEN", "127.0.0.1:9");
        let output = command.output().unwrap();
        (output.status.code(), told(&output))
    };
    assert_eq!((code, said.contains("leadgate serve")), (Some(1), true), "what to do next: {said}");
}

/// `leadgate … | head`, and a disk that is full.
#[test]
fn nobody_has_to_read_all_and_what_cannot_be_written_is_told() {
    let folder = TempDir::new().unwrap();
    for arguments in [&["presets", "list"][..], &["presets", "show", "wix"], &["man"], &["check"]] {
        let to = |stdout: Stdio| {
            let mut command = leadgate(folder.path());
            command.args(arguments).stdout(stdout).stderr(Stdio::piped());
            command.spawn().unwrap()
        };
        let mut child = to(Stdio::piped());
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), told(&output).as_str()), (Some(0), ""), "{arguments:?}");
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = to(full.into()).wait_with_output().unwrap();
        let said = told(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.starts_with("leadgate: standard output: No space left"), "{said}");
    }
}

#[test]
fn shells_and_man_are_told_of_every_command() {
    let folder = TempDir::new().unwrap();
    let run = |arguments: &[&str]| {
        let output = leadgate(folder.path()).args(arguments).output().unwrap();
        (output.status.code(), told(&output))
    };
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, script) = run(&["completions", shell]);
        assert_eq!(code, Some(0), "{script}");
        for word in ["export", "forget", "lanes", "--format"] {
            assert!(script.contains(word.trim_start_matches('-')), "{shell}: {word}");
        }
    }
    let (code, page) = run(&["man"]);
    assert_eq!((code, page.contains(".TH leadgate 1")), (Some(0), true), "{page}");
    let (code, page) = run(&["man", "leads", "export"]);
    assert_eq!((code, page.contains("\\-\\-format")), (Some(0), true), "{page}");
    let (code, said) = run(&["man", "leeds"]);
    assert_eq!((code, said.contains("leads")), (Some(2), true), "{said}");
}
