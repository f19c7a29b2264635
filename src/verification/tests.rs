//! What is said of each kind of reference, against the simulator's own lists.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::*;
use crate::config::{self, MapEnvironment};
use crate::sandbox::{Fault as Trouble, FaultKind, Options, Route, Sandbox};

/// A simulator that serves until it is dropped.
struct CareSoft {
    sandbox: Sandbox,
    url: String,
    _stop: oneshot::Sender<()>,
}

impl CareSoft {
    fn start(options: Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let sandbox = Sandbox::new(options);
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(sandbox.clone().serve(listener, async move {
            let _ = stopped.await;
        }));
        Self { sandbox, url, _stop: stop }
    }

    /// `[destinations.main]` with a pace that a test can wait for, and `rest` beneath it.
    fn configured(&self, rest: &str) -> Loaded {
        let url = &self.url;
        let text = format!(
            "[destinations.main]\nbase_url = \"{url}\"\ndomain = \"sandbox\"\n\
             token = \"sandbox-token\"\nrate = {{ per_second = 400, per_hour = 50000 }}\n{rest}"
        );
        read(&text)
    }

    async fn verify(&self, rest: &str) -> Findings {
        verify(&self.configured(rest), &Clock::system()).await
    }

    fn routes(&self) -> Vec<Route> {
        self.sandbox.log().iter().map(|entry| entry.route).collect()
    }
}

fn read(text: &str) -> Loaded {
    let parsed = config::parse(text, "leadgate.toml", &MapEnvironment::default(), &["web-form"]);
    parsed.unwrap_or_else(|faults| panic!("{faults}"))
}

fn lines(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn what_caresoft_knows_is_fine_and_each_list_is_asked_once() {
    let caresoft = CareSoft::start(Options { labels_under_api: false, ..Options::default() });
    let findings = caresoft
        .verify(
            r#"comment_author_id = 124734559
[destinations.main.lead]
service_id = 1244
group_id = 12153
assignee_id = 142928097
lead_status_id = 558
lead_label = [10, 11]
[sources.website]
preset = "web-form"
destination = "main"
[sources.website.lead]
service_id = 1245
custom_fields = [
  { id = 5159, from = "thanh_pho", values = { "hn" = "Hà Nội" } },
  { id = 6068, from = "loai", values = { "mua" = "106902", "ban" = "KHÁC" }, default = "khac" },
]
"#,
        )
        .await;
    assert_eq!((lines(&findings.faults), lines(&findings.warnings)), Default::default());
    assert_eq!(findings.unasked, []);
    let expected = [
        Route::Services,
        Route::Groups,
        Route::Agents,
        Route::Statuses,
        Route::TicketCustomFields,
        Route::Labels,
        Route::Labels, // the path that the vendor's page prints
    ];
    assert_eq!(caresoft.routes(), expected);
}

#[tokio::test]
async fn what_caresoft_does_not_know_is_named_with_its_line_and_what_was_meant() {
    let caresoft = CareSoft::start(Options::default());
    let findings = caresoft
        .verify(
            r#"comment_author_id = 124734595
[destinations.main.lead]
service_id = 1234
group_id = 7
assignee_id = 999
lead_status_id = 1
lead_label = [10, 12]
[sources.website]
preset = "web-form"
destination = "main"
[sources.website.lead]
custom_fields = [
  { id = 5195, from = "thanh_pho" },
  { id = 6068, from = "loai", values = { "mua" = "Muá!", "bán lại" = "106920" }, default = "Bán" },
]
"#,
        )
        .await;
    insta::assert_snapshot!(lines(&findings.faults), @r#"
    leadgate.toml:6: destinations.main.comment_author_id: CareSoft has no agent 124734595; did you mean 124734559 (Admin Thử)?
    leadgate.toml:8: destinations.main.lead.service_id: CareSoft has no service 1234; did you mean 1244 (Lead từ website)?
    leadgate.toml:9: destinations.main.lead.group_id: CareSoft has no group 7; there are 12153 (Default Group), 12945 (Kinh doanh)
    leadgate.toml:10: destinations.main.lead.assignee_id: CareSoft has no agent 999; `leadgate catalog main` lists what there is
    leadgate.toml:11: destinations.main.lead.lead_status_id: CareSoft has no status 1; there are 525 (Tương tác mới), 557 (Đang liên hệ), 558 (Comming), 643 (Trạng thái demo), 527 (Lead Converted1), 528 (Lead Unqualified)
    leadgate.toml:12: destinations.main.lead.lead_label[1]: CareSoft has no label 12; did you mean 10 (Hot)?
    leadgate.toml:18: sources.website.lead.custom_fields[0].id: CareSoft has no custom field 5195; did you mean 5159 (Thành phố)?
    leadgate.toml:19: sources.website.lead.custom_fields[1].values."bán lại": "106920" is the id of no option of 6068 (Phân loại); did you mean 106902 (Mua)?
    leadgate.toml:19: sources.website.lead.custom_fields[1].default: "Bán" is the name of no option of 6068 (Phân loại); there are 106902 (Mua), 106903 (Khác)
    "#);
    assert_eq!(lines(&findings.warnings), "");
    assert_eq!(findings.unasked, []);
}

#[tokio::test]
async fn what_is_known_and_perhaps_not_meant_is_a_warning() {
    let caresoft = CareSoft::start(Options::default());
    let findings = caresoft
        .verify(
            r#"[destinations.main.lead]
service_id = 2005289
assignee_id = 50007
lead_status_id = 528
custom_fields = [{ id = 6068, from = "loai" }]
"#,
        )
        .await;
    assert_eq!(lines(&findings.faults), "");
    insta::assert_snapshot!(lines(&findings.warnings), @r#"
    leadgate.toml:7: destinations.main.lead.service_id: 2005289 (Gọi ra) is a service of type 11: leads that come by the API may not be routed; name a service of type 9 (Api)
    leadgate.toml:8: destinations.main.lead.assignee_id: 50007 is an agent's extension (agent_id), and no agent's id; did you mean 142928097 (Tư vấn viên Thử)?
    leadgate.toml:9: destinations.main.lead.lead_status_id: 528 (Lead Unqualified) means not qualified: new leads begin closed; name an open one
    leadgate.toml:10: destinations.main.lead.custom_fields[0].id: 6068 (Phân loại) is a drop-down list, and answers go as they are; say in values which answer is which option, and in default what any other is
    "#);
}

#[tokio::test]
async fn options_of_one_name_are_told_apart_by_id_only() {
    let mut options = Options::default();
    options.catalog.ticket_fields[1].values =
        vec![(1, "Khác".into()), (2, "Khác".into()), (7, "5".into())];
    let caresoft = CareSoft::start(options);
    let findings = caresoft
        .verify(
            r#"[destinations.main.lead]
group_id = 12153
custom_fields = [{ id = 6068, from = "loai", values = { a = "1", b = "khác", c = "5" } }]
"#,
        )
        .await;
    insta::assert_snapshot!(lines(&findings.faults), @r#"
    leadgate.toml:8: destinations.main.lead.custom_fields[0].values.b: "khác" is the name of more than one option of 6068 (Phân loại); write the id of the one that is meant
    leadgate.toml:8: destinations.main.lead.custom_fields[0].values.c: "5" is the id of no option of 6068 (Phân loại); did you mean 7 (5)?
    "#);
}

#[tokio::test]
async fn a_refused_account_is_a_fault_and_is_asked_once() {
    for (right, mistyped, place) in [
        ("\"sandbox\"", "\"sandbax\"", "leadgate.toml:3: destinations.main.domain: "),
        ("\"sandbox-token\"", "\"x\"", "leadgate.toml:4: destinations.main.token: "),
    ] {
        let caresoft = CareSoft::start(Options::default());
        let account = format!(
            "base_url = \"{}\"\ndomain = \"sandbox\"\ntoken = \"sandbox-token\"\n\
             lead = {{ service_id = 1244, group_id = 12153 }}\n",
            caresoft.url
        );
        let text = format!("[destinations.main]\n{account}[destinations.other]\n{account}");
        let findings = verify(&read(&text.replace(right, mistyped)), &Clock::system()).await;
        let told = lines(&findings.faults);
        assert!(told.starts_with(place) && findings.faults.len() == 1, "{told}");
        assert_eq!(caresoft.sandbox.log().len(), 1, "one request, though two name the account");
        assert_eq!(findings.unasked.len(), 1);
        assert_eq!(findings.unasked[0].destination.as_str(), "other");
    }
}

#[tokio::test]
async fn an_account_that_cannot_answer_is_left_alone() {
    for (kind, said) in [
        (FaultKind::TooManyRequests, "too many requests"),
        (FaultKind::LockOut, "locked out"),
        (FaultKind::Unavailable, "HTTP 503"),
        (FaultKind::Reset, "outcome not known"),
    ] {
        let caresoft = CareSoft::start(Options::default());
        caresoft.sandbox.inject(Trouble::once(Route::Groups, kind));
        let settings = "service_id = 9, group_id = 9, assignee_id = 9, lead_label = [9]";
        let findings = caresoft.verify(&format!("lead = {{ {settings} }}\n")).await;
        assert_eq!(caresoft.routes(), [Route::Services, Route::Groups], "{kind}");
        assert_eq!(lines(&findings.faults), "", "{kind}: what is half known is not judged");
        assert_eq!(findings.unasked.len(), 1, "{kind}");
        let problem = &findings.unasked[0].problem;
        assert!(problem.contains("groups") && problem.contains(said), "{kind}: {problem}");
    }
    // Nothing listens on port 9 of loopback.
    let nowhere = "[destinations.main]\nbase_url = \"http://127.0.0.1:9\"\ndomain = \"sandbox\"\n\
                   token = \"t\"\nlead = { service_id = 1 }\n";
    let findings = verify(&read(nowhere), &Clock::system()).await;
    let problem = &findings.unasked[0].problem;
    assert!(findings.faults.is_empty() && problem.contains("services"), "{problem}");
}

#[tokio::test]
async fn a_list_that_is_nowhere_hides_no_other() {
    let nowhere = Options { labels_under_api: false, labels_at_root: false, ..Options::default() };
    let caresoft = CareSoft::start(nowhere);
    let findings = caresoft.verify("lead = { service_id = 9, lead_label = [9] }\n").await;
    assert_eq!(findings.faults.len(), 1, "{}", lines(&findings.faults));
    assert_eq!(findings.faults[0].key, "destinations.main.lead.service_id");
    assert!(findings.unasked[0].problem.contains("labels"), "{:?}", findings.unasked);
}

#[tokio::test]
async fn lists_are_asked_for_slowly() {
    let caresoft = CareSoft::start(Options::default());
    let began = Instant::now();
    let settings = "service_id = 1244, group_id = 12153, assignee_id = 142928097";
    caresoft.verify(&format!("lead = {{ {settings} }}\n")).await;
    // 400 a second: 10 ms between two lists.
    assert!(began.elapsed() >= Duration::from_millis(20), "{:?}", began.elapsed());
    assert_eq!(caresoft.routes().len(), 3);
}
