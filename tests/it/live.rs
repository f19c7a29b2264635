//! The real binary against an account: `check --live` and `catalog`.

use std::path::Path;
use std::process::Output;

use leadgate::sandbox::{Fault, FaultKind, Options, Route};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::gateway::CareSoft;
use crate::served::{leadgate, told};

/// A configuration whose leads go to `caresoft`, fast enough for a test; `lead` is the
/// destination's.
fn configuration(caresoft: &CareSoft, lead: &str) -> String {
    format!(
        "[destinations.main]\nbase_url = \"http://{}\"\ndomain = \"sandbox\"\n\
         token = \"sandbox-token\"\nrate = {{ per_second = 15, per_hour = 54000 }}\n\
         lead = {{ {lead} }}\n[sources.website]\npreset = \"web-form\"\ndestination = \"main\"\n\
         secrets = {{ token = \"form-token-of-a-test\" }}\n",
        caresoft.address
    )
}

/// Runs the command line while the simulator, which is in this process, serves it.
async fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = leadgate(folder);
    command.args(arguments);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

async fn run_with(configuration: &str, arguments: &[&str]) -> Output {
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("config")).unwrap();
    std::fs::write(folder.path().join("config/leadgate.toml"), configuration).unwrap();
    run(folder.path(), arguments).await
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", told(output)))
}

#[tokio::test]
async fn check_live_is_content_with_what_caresoft_knows() {
    let caresoft = CareSoft::start(Options::default());
    let right = configuration(&caresoft, "service_id = 1244, group_id = 12153");
    let output = run_with(&right, &["check", "--live"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(told(&output).contains("known to CareSoft"), "{}", told(&output));
    let output = run_with(&right, &["check", "--live", "--json"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let expected = json!({"valid": true, "faults": [], "warnings": [], "unasked": []});
    assert_eq!(json_of(&output), expected);
    assert_eq!(caresoft.sandbox.log().len(), 4, "two lists, twice");
    let output = run_with(&right, &["check"]).await;
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(caresoft.sandbox.log().len(), 4, "without --live nobody is asked");
}

#[tokio::test]
async fn check_live_names_what_is_wrong_and_exits_2() {
    let caresoft = CareSoft::start(Options::default());
    let wrong = configuration(&caresoft, "service_id = 1234, lead_status_id = 528");
    let output = run_with(&wrong, &["check", "--live"]).await;
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    let said = told(&output);
    for line in [
        "config/leadgate.toml:6: destinations.main.lead.service_id: CareSoft has no service 1234; did you mean 1244 (Lead từ website)?",
        "warning: config/leadgate.toml:6: destinations.main.lead.lead_status_id: 528 (Lead Unqualified)",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
    let output = run_with(&wrong, &["check", "--live", "--json"]).await;
    assert_eq!(output.status.code(), Some(2));
    let answer = json_of(&output);
    assert_eq!(answer["valid"], false);
    assert_eq!(answer["faults"][0]["line"], 6);
    assert_eq!(answer["faults"][0]["key"], "destinations.main.lead.service_id");
    assert_eq!(answer["warnings"][0]["key"], "destinations.main.lead.lead_status_id");
    let faulty = wrong.replace("preset", "pre_set");
    let before = caresoft.sandbox.log().len();
    let output = run_with(&faulty, &["check", "--live", "--json"]).await;
    assert_eq!((output.status.code(), json_of(&output)["valid"].clone()), (Some(2), json!(false)));
    assert_eq!(caresoft.sandbox.log().len(), before, "a faulty file is mended first");
}

#[tokio::test]
async fn check_live_stops_at_the_first_refusal_of_an_account() {
    let caresoft = CareSoft::start(Options::default());
    let right = configuration(&caresoft, "service_id = 1244, group_id = 12153, lead_label = [10]");
    for (mistyped, key) in [
        (right.replace("\"sandbox\"", "\"sand-box\""), "destinations.main.domain"),
        (right.replace("sandbox-token", "secret-of-mine"), "destinations.main.token"),
    ] {
        let before = caresoft.sandbox.log().len();
        let output = run_with(&mistyped, &["check", "--live"]).await;
        assert_eq!(output.status.code(), Some(2), "{}", told(&output));
        assert!(told(&output).contains(key), "{}", told(&output));
        assert!(!told(&output).contains("secret-of-mine"), "{}", told(&output));
        assert_eq!(caresoft.sandbox.log().len(), before + 1, "{key}");
    }
    for kind in [FaultKind::TooManyRequests, FaultKind::LockOut] {
        let caresoft = CareSoft::start(Options::default());
        let right = configuration(&caresoft, "service_id = 1244, group_id = 12153");
        caresoft.sandbox.inject(Fault::once(Route::Services, kind));
        let output = run_with(&right, &["check", "--live", "--json"]).await;
        assert_eq!(output.status.code(), Some(1), "{kind}: {}", told(&output));
        let answer = json_of(&output);
        assert_eq!((&answer["valid"], &answer["faults"]), (&json!(false), &json!([])), "{kind}");
        assert_eq!(answer["unasked"][0]["destination"], "main", "{kind}");
        assert_eq!(caresoft.sandbox.log().len(), 1, "{kind}");
        assert_eq!(caresoft.sandbox.requests_during_lockout(), 0, "{kind}");
    }
    let nobody = right.replace(&caresoft.address.to_string(), "127.0.0.1:9");
    let output = run_with(&nobody, &["check", "--live"]).await;
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("destinations.main: could not be asked"), "{}", told(&output));
}

#[tokio::test]
async fn catalog_prints_every_list() {
    let caresoft = CareSoft::start(Options { labels_under_api: false, ..Options::default() });
    let right = configuration(&caresoft, "service_id = 1244");
    let output = run_with(&right, &["catalog"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    insta::assert_snapshot!(String::from_utf8_lossy(&output.stdout), @r"
    destinations.main

    services (service_id)
      ID       NAME               TYPE
      1244     Lead từ website    9 Api
      1245     Lead từ quảng cáo  9 Api
      2005289  Gọi ra             11 calls out

    groups (group_id)
      ID     NAME
      12153  Default Group
      12945  Kinh doanh

    agents (assignee_id, comment_author_id)
      ID         NAME             EXTENSION  GROUP  GROUP NAME
      124734559  Admin Thử        50024      12153  Default Group
      142928097  Tư vấn viên Thử  50007      12945  Kinh doanh

    statuses (lead_status_id)
      ID   NAME              TYPE
      525  Tương tác mới     1 first
      557  Đang liên hệ      0 between
      558  Comming           0 between
      643  Trạng thái demo   0 between
      527  Lead Converted1   2 converted
      528  Lead Unqualified  3 not qualified

    labels (lead_label)
      ID  NAME
      10  Hot
      11  Cold
      17  5
      22  Freezing@2

    custom fields (custom_fields: id; options: values, default)
      ID    NAME       TYPE                   OPTION  OPTION NAME
      5159  Thành phố  Text
      6068  Phân loại  Single drop-down list
                                              106902  Mua
                                              106903  Khác
      7001  Nguồn      Text
      7002  Ngày hẹn   Date

    unqualified reasons
      ID   NAME
      176  No need
      177  Not the decision maker
      182  No budget
      217  Lead unqualified
    ");
    let output = run_with(&right, &["catalog", "main", "--json"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let main = json_of(&output)["main"].clone();
    let first = json!({"id": 1244, "name": "Lead từ website", "channel": 9});
    assert_eq!(main["services"][0], first);
    assert_eq!(main["agents"][1]["extension"], "50007");
    assert_eq!(main["custom_fields"][1]["options"][0]["label"], "Mua");
    for list in ["groups", "statuses", "labels", "unqualified_reasons"] {
        assert!(main[list].as_array().is_some_and(|rows| !rows.is_empty()), "{list}");
    }
}

#[tokio::test]
async fn catalog_says_what_is_missing() {
    let nowhere = Options { labels_under_api: false, labels_at_root: false, ..Options::default() };
    let caresoft = CareSoft::start(nowhere);
    let right = configuration(&caresoft, "service_id = 1244");
    let output = run_with(&right, &["catalog"]).await;
    assert_eq!(output.status.code(), Some(0), "the other lists are there: {}", told(&output));
    assert!(told(&output).contains("labels\n  not to be had"), "{}", told(&output));
    let output = run_with(&right, &["catalog", "mian"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(told(&output).contains("did you mean \"main\"?"), "{}", told(&output));
    let output = run_with(&right.replace("sandbox-token", "x"), &["catalog"]).await;
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    let nobody = right.replace(&caresoft.address.to_string(), "127.0.0.1:9");
    let output = run_with(&nobody, &["catalog"]).await;
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
}
