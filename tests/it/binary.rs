//! The real binary: zero setup, `check`, roles, and what it writes down.

use leadgate::preset::DEVELOPMENT_SECRET;
use leadgate::sandbox::Options;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::checkout;
use crate::gateway::{
    ADMIN_TOKEN, Backing, CareSoft, eventually, http_client, id_of, over_every_store, toml_of,
};
use crate::served::{Served, leadgate, told};

over_every_store!(invariant_9_no_person_in_a_log,);

#[tokio::test]
async fn zero_setup_takes_a_form_to_the_simulator_with_its_utm_values() {
    let folder = TempDir::new().unwrap();
    let mut command = leadgate(folder.path());
    command.arg("serve");
    let served = Served::spawn(command).await;
    let (public, admin) = (served.public(), served.admin);
    let welcome = eventually("the whole welcome", || async {
        Some(served.output()).filter(|output| output.contains(DEVELOPMENT_SECRET))
    })
    .await;
    for said in ["SANDBOX", "curl", &public.to_string(), &admin.to_string(), "/in/website"] {
        assert!(welcome.contains(said), "{said} in {welcome}");
    }
    let http = http_client();
    // Each preset is a source as well, by the secret that the welcome tells.
    for (token, expected) in [(DEVELOPMENT_SECRET, 202), ("another", 401)] {
        let url = format!("http://{public}/in/ladipage?token={token}");
        let body = json!({"phone": "0900000099"});
        assert_eq!(http.post(url).json(&body).send().await.unwrap().status(), expected);
    }
    let form = http
        .post(format!("http://{public}/in/website"))
        .header("Referer", format!("http://{public}/?utm_source=facebook&utm_campaign=tet"))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body("ho_ten=Th%E1%BB%AD&so_dien_thoai=0900+000+001");
    let id = id_of(form.send().await.unwrap()).await;

    let show = |id: &str| {
        let output = leadgate(folder.path())
            .args(["leads", "show", id, "--json"])
            .env("LEADGATE__SERVER__ADMIN_LISTEN", admin.to_string())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", told(&output));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let record = eventually("the lead is created", || async {
        Some(show(&id)).filter(|record| record["state"] == "created")
    })
    .await;
    let utm = json!({"campaign": "tet", "source": "facebook"});
    assert_eq!(record["lead"]["utm"], utm);

    let simulator = served.welcomed("simulator").unwrap();
    let leads: Value =
        http.get(format!("{simulator}sandbox/leads")).send().await.unwrap().json().await.unwrap();
    let told = leads.to_string();
    assert_eq!(told.matches("0900000001").count(), 1, "exactly once: {told}");
    assert!(told.contains("utm_source=facebook&utm_campaign=tet"), "{told}");

    let sent = leadgate(folder.path())
        .args(["send", "website", "--count", "45"])
        .env("LEADGATE__SERVER__LISTEN", public.to_string())
        .output()
        .unwrap();
    assert!(sent.status.success());
    let listed = leadgate(folder.path())
        .args(["leads", "list", "--json"])
        .env("LEADGATE__SERVER__ADMIN_LISTEN", admin.to_string())
        .output()
        .unwrap();
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let sent_and_posted = listed["leads"].as_array().unwrap().len();
    assert_eq!(sent_and_posted, 47, "more than the inbound limit takes at once");
    assert_eq!(served.terminate().await.0, Some(0), "SIGTERM drains and exits 0");
}

/// Invariant 9: a person is created, refused by us for unusable contacts, and refused by CareSoft;
/// each post carries the person in the body and in every other place that a browser or a form
/// puts one, and the source's token in the query. None of it is in any line that the process
/// writes from its start to its end, at the level that says most, nor in its metrics.
async fn invariant_9_no_person_in_a_log(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let folder = TempDir::new().unwrap();
    let more = r#"
[sources.website.secrets]
token = "SECRETTOKEN123"
[sources.unlucky]
preset = "web-form"
destination = "main"
secrets = { token = "SECRETTOKEN123" }
lead = { service_id = 999999 } # CareSoft knows no such service
[log]
level = "trace"
"#;
    let configuration = toml_of(&store.toml(folder.path()), caresoft.address, more)
        .replace("service_id = 1244", "service_id = 1244\ncomment = \"{{ message }}\"");
    let served = Served::start(folder.path(), &configuration).await;
    let http = http_client();
    let post = async |source: &str, body: Value| {
        let query = "token=SECRETTOKEN123&utm_source=fb&utm_term=bi.mat%40example.vn";
        http.post(format!("{}?{query}", served.endpoint(source)))
            .header("Referer", "https://shop.example.vn/?phone=0900000042&name=bi.mat")
            .json(&body)
            .send()
            .await
            .unwrap()
    };
    let person = |phone: &str| json!({"name": "Nguyễn Thị Bí Mật", "phone": phone, "email": format!("bi.mat.{phone}@example.vn"), "message": "điều riêng tư"});
    let created = id_of(post("website", person("0900000042")).await).await;
    served.settled(&created, "created").await;
    let dead = id_of(post("unlucky", person("0900000043")).await).await;
    served.settled(&dead, "dead").await;
    let refused = post("website", json!({"phone": "09000000", "email": "bi.mat@"})).await;
    assert_eq!(refused.status(), 422);
    let unauthorized = http.post(served.endpoint("website")).query(&[("token", "GUESSEDTOKEN")]);
    assert_eq!(unauthorized.json(&person("0900000044")).send().await.unwrap().status(), 401);

    let metrics = served.metrics().await;
    let (code, log) = served.terminate().await;
    assert_eq!(code, Some(0));
    for (said, when) in [("listening", "its start"), ("\"TRACE\"", "trace"), ("stopped", "its end")]
    {
        assert!(log.contains(said), "the log holds {when}");
    }
    for secret in [
        "900000042",
        "900000043",
        "900000044",
        "09000000",
        "bi.mat",
        "Bí Mật",
        "riêng tư",
        "SECRETTOKEN123",
        "GUESSEDTOKEN",
        ADMIN_TOKEN,
        &Options::default().token,
    ] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} is in the log");
        assert!(!metrics.contains(secret), "{secret} is in the metrics");
    }
}

#[test]
fn check_names_every_fault_and_exits_2() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("wrong.toml");
    std::fs::write(&file, "[server]\nlisten = 5\nlisten_on = \"x\"\n[sources.a]\npreset = \"web-form\"\ndestination = \"nowhere\"\n").unwrap();
    for arguments in [["--config", "wrong.toml", "check"], ["check", "--config", "wrong.toml"]] {
        let output = leadgate(folder.path()).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let told = told(&output);
        for said in [
            "wrong.toml:2",
            "server.listen",
            "wrong.toml:3",
            "listen_on",
            "wrong.toml:6",
            "nowhere",
        ] {
            assert!(told.contains(said), "{said} in {told}");
        }
    }
    let redis = "[store]\nurl = \"redis://127.0.0.1\"\n[sources.a]\npreset = \"no-such.toml\"\ndestination = \"d\"\n[destinations.d]\ndomain = \"x\"\ntoken = \"t\"\nlead = { service_id = 1 }\n";
    std::fs::write(folder.path().join("no-such.toml"), "schema = 1\n").unwrap();
    std::fs::write(&file, redis).unwrap();
    let output =
        leadgate(folder.path()).args(["check", "--config", "wrong.toml"]).output().unwrap();
    let told_of_redis = told(&output);
    assert_eq!(output.status.code(), Some(2));
    for said in ["sources.a", "missing field"] {
        assert!(told_of_redis.contains(said), "{said} in {told_of_redis}");
    }
    let secrets = "[sources.a]\npreset = \"web-form\"\ndestination = \"d\"\nsecrets = { app_secret = \"s\" }\n[destinations.d]\ndomain = \"x\"\ntoken = \"t\"\nlead = { service_id = 1 }\n";
    std::fs::write(&file, secrets).unwrap();
    let output =
        leadgate(folder.path()).args(["check", "--config", "wrong.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "a secret that nothing asks for protects nothing");
    let said = told(&output);
    assert!(said.contains("wrong.toml:4: sources.a.secrets.app_secret: its preset"), "{said}");
    let example = checkout::at("config/leadgate.example.toml");
    let output = leadgate(folder.path())
        .arg("check")
        .env("LEADGATE_CONFIG", example)
        .envs([
            ("LEADGATE_ADMIN_TOKEN", "a"),
            ("LEADGATE_STORE_SECRET", "b"),
            ("CARESOFT_TOKEN", "c"),
        ])
        .envs([("FORM_TOKEN", "d"), ("FORM_TOKEN_OLD", "e")])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
}

#[tokio::test]
async fn a_role_runs_only_its_part() {
    let caresoft = CareSoft::start(Options::default());
    let folder = TempDir::new().unwrap();
    let configuration = toml_of(&Backing::Sqlite.toml(folder.path()), caresoft.address, "");
    let http = http_client();
    let with_role = |role: &'static str| {
        let mut command = leadgate(folder.path());
        command.args(["serve", "--config", "roles.toml", "--role", role]);
        Served::spawn(command)
    };
    std::fs::write(folder.path().join("roles.toml"), configuration).unwrap();
    let intake = with_role("intake").await;
    let post = http.post(intake.endpoint("website"));
    let id = id_of(post.json(&json!({"phone": "0900000001"})).send().await.unwrap()).await;
    assert_eq!(intake.terminate().await.0, Some(0));
    assert_eq!(caresoft.sandbox.log().len(), 0, "intake delivers nothing");
    let worker = with_role("worker").await;
    assert!(!worker.takes_submissions(), "a worker takes nothing");
    worker.settled(&id, "created").await;
    assert_eq!(worker.terminate().await.0, Some(0));
}

#[test]
fn bad_usage_exits_2_and_a_gateway_that_is_not_there_exits_1() {
    let folder = TempDir::new().unwrap();
    let code = |arguments: &[&str]| {
        leadgate(folder.path()).args(arguments).output().unwrap().status.code()
    };
    assert_eq!(code(&["nonsense"]), Some(2));
    assert_eq!(code(&["check"]), Some(0), "what serve would run without a configuration");
    assert_eq!(code(&["leads", "list", "--state", "dead,bogus"]), Some(2));
    assert_eq!(code(&["send", "nowhere"]), Some(2));
    assert_eq!(code(&["leads", "show", "not-an-id"]), Some(2));
    assert_eq!(code(&["leads", "list"]), Some(1));
    assert_eq!(code(&["--version"]), Some(0));
}
