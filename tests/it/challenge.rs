//! Turnstile and reCAPTCHA: what a post with a good token becomes, with a bad one, and while nobody
//! can say.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use leadgate::sandbox::Options;
use reqwest::Response;
use serde_json::{Value, json};

use crate::gateway::{CareSoft, Gateway, id_of};
use crate::stub::{Stub, locked};

/// What a verify host was asked.
type Question = HashMap<String, String>;

/// A verify host. Of each token it answers what the token's name says, once; a token that it does not
/// know is never answered.
struct VerifyHost(Stub<Vec<Question>>);

impl VerifyHost {
    fn start() -> Self {
        Self(Stub::start(Vec::new(), |app| {
            app.route("/siteverify", web::post().to(verify));
        }))
    }

    fn questions(&self) -> Vec<Question> {
        self.0.noted().clone()
    }
}

async fn verify(
    question: web::Form<Question>,
    asked: web::Data<Mutex<Vec<Question>>>,
) -> HttpResponse {
    let question = question.into_inner();
    let token = question["response"].clone();
    let is_used_up = {
        let mut questions = locked(&asked);
        let is_used_up = questions.iter().any(|earlier| earlier["response"] == token);
        questions.push(question);
        is_used_up
    };
    if is_used_up {
        return HttpResponse::Ok()
            .json(json!({"success": false, "error-codes": ["timeout-or-duplicate"]}));
    }
    match &*token {
        "good" => HttpResponse::Ok().json(json!({"success": true, "hostname": "shop.example.vn"})),
        "human" => HttpResponse::Ok().json(json!({"success": true, "score": 0.9})),
        "robot" => HttpResponse::Ok().json(json!({"success": true, "score": 0.1})),
        "bad" => HttpResponse::Ok()
            .json(json!({"success": false, "error-codes": ["invalid-input-response"]})),
        "secret" => HttpResponse::BadRequest()
            .json(json!({"success": false, "error-codes": ["invalid-input-secret"]})),
        "broken" => HttpResponse::Ok().body("<html>"),
        "failing" => HttpResponse::InternalServerError().finish(),
        "endless" => HttpResponse::Ok().streaming(futures_util::stream::repeat_with(|| {
            Ok::<_, actix_web::Error>(web::Bytes::from_static(&[b' '; 1024]))
        })),
        _ => std::future::pending().await,
    }
}

/// A gateway with `challenge`'s lines under `[sources.website.challenge]`.
async fn gateway(caresoft: &CareSoft, host: &VerifyHost, challenge: &str) -> Gateway {
    let url = format!("verify_url = \"{}/siteverify\"", host.0.url());
    let section = "[sources.website.challenge]\nsecret = \"the-sites-secret\"";
    Gateway::start(caresoft, &format!("{section}\n{url}\n{challenge}")).await
}

const TURNSTILE: &str = "kind = \"turnstile\"";
const FIELD: &str = "cf-turnstile-response";

async fn post(gateway: &Gateway, fields: &[(&str, &str)]) -> Response {
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(fields);
    let request = gateway.post().header("Content-Type", "application/x-www-form-urlencoded");
    request.body(body.finish()).send().await.unwrap()
}

async fn records(gateway: &Gateway) -> usize {
    let listed: Value = gateway.admin_get("/api/leads").await.json().await.unwrap();
    listed["leads"].as_array().unwrap().len()
}

async fn outcome(gateway: &Gateway, word: &str) -> f64 {
    let line = format!("leadgate_submissions_total{{source=\"website\",outcome=\"{word}\"}}");
    gateway.metric(&line).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_passed_the_challenge_is_taken_and_the_token_is_kept_nowhere() {
    let (caresoft, host) = (CareSoft::start(Options::default()), VerifyHost::start());
    let gateway = gateway(&caresoft, &host, TURNSTILE).await;
    let response = post(&gateway, &[("phone", "0900000001"), (FIELD, "good")]).await;
    assert_eq!(response.status(), 202);
    let record = gateway.settled(&id_of(response).await, &["created"]).await;
    assert_eq!(record["lead"]["answers"], json!([]));
    let asked: Vec<_> = host.questions();
    let expected = [("secret", "the-sites-secret"), ("response", "good")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(asked, [HashMap::from(expected)], "and nothing about the visitor");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_did_not_is_told_so_and_nothing_is_stored() {
    let (caresoft, host) = (CareSoft::start(Options::default()), VerifyHost::start());
    let gateway = gateway(&caresoft, &host, TURNSTILE).await;
    let long = "t".repeat(10_000);
    for (token, code) in [
        (None, "missing"),
        (Some(" "), "missing"),
        (Some("bad"), "not_passed"),
        (Some("bad"), "not_passed"),
        (Some(&*long), "not_passed"),
    ] {
        let mut fields = vec![("phone", "0900000001")];
        fields.extend(token.map(|token| (FIELD, token)));
        let response = post(&gateway, &fields).await;
        assert_eq!(response.status(), 422, "{code}");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["type"], "urn:leadgate:problem:challenge");
        assert_eq!(problem["errors"][0]["field"], FIELD);
        assert_eq!(problem["errors"][0]["code"], code);
    }
    assert_eq!(host.questions().len(), 2, "no answer is worth asking where there is no token");
    let browser = gateway.post().header("Accept", "text/html").body("phone=0900000001");
    let browser = browser.header("Content-Type", "application/x-www-form-urlencoded");
    let response = browser.send().await.unwrap();
    assert_eq!(response.status(), 422);
    assert!(response.text().await.unwrap().contains("robot"));
    assert_eq!((records(&gateway).await, outcome(&gateway, "challenge").await), (0, 6.0));
    gateway.stop().await;
}

/// A token is used up by being asked about: not for a post that is refused anyway.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitor_who_mistyped_keeps_the_token() {
    let (caresoft, host) = (CareSoft::start(Options::default()), VerifyHost::start());
    let gateway = gateway(&caresoft, &host, TURNSTILE).await;
    let response = post(&gateway, &[("phone", "0900"), (FIELD, "good")]).await;
    assert_eq!(response.status(), 422);
    assert!(host.questions().is_empty());
    let response = post(&gateway, &[("phone", "0900000001"), (FIELD, "good")]).await;
    assert_eq!(response.status(), 202);
    gateway.stop().await;
}

/// A form whose answer was lost is sent again as it was: with a token that is used up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submission_that_comes_again_passes_again_and_another_does_not() {
    let (caresoft, host) = (CareSoft::start(Options::default()), VerifyHost::start());
    let gateway = gateway(&caresoft, &host, TURNSTILE).await;
    let submit = async |id: &'static str, phone: &'static str| {
        post(&gateway, &[("phone", phone), ("leadgate_id", id), (FIELD, "good")]).await
    };
    let first = id_of(submit("1111111111-2222222222", "0900000001").await).await;
    let again = id_of(submit("1111111111-2222222222", "0900000001").await).await;
    assert_eq!(first, again);
    assert!(
        host.questions()[0].contains_key("idempotency_key"),
        "for a gateway that was restarted"
    );
    let other = submit("3333333333-4444444444", "0900000002").await;
    assert_eq!(other.status(), 422, "one token is one submission");
    let known =
        json!({"phone": "0900000001", "leadgate_id": "1111111111-2222222222", FIELD: "good"});
    let several = json!([known, {"phone": "0900000003"}]);
    let several = gateway.post().json(&several).send().await.unwrap();
    assert_eq!(several.status(), 422, "nothing new comes in beside what is known");
    assert_eq!(records(&gateway).await, 1);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_robots_score_is_too_low() {
    let (caresoft, host) = (CareSoft::start(Options::default()), VerifyHost::start());
    let gateway = gateway(&caresoft, &host, "kind = \"recaptcha\"\nmin_score = 0.5").await;
    for (token, status) in [("human", 202), ("robot", 422), ("good", 422)] {
        let fields = [("phone", "0900000001"), ("g-recaptcha-response", token)];
        assert_eq!(post(&gateway, &fields).await.status(), status, "{token}");
    }
    assert!(host.questions().iter().all(|asked| asked.len() == 2), "{:?}", host.questions());
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_nobody_can_say_posts_are_taken_or_not_as_configured() {
    let troubles = ["secret", "broken", "failing", "endless", "never"];
    let (caresoft, host) = (CareSoft::start(Options::default()), VerifyHost::start());
    for (choice, status) in [("open", 202), ("closed", 503)] {
        let lines = format!("{TURNSTILE}\non_failure = \"{choice}\"\ntimeout = \"300ms\"");
        let gateway = gateway(&caresoft, &host, &lines).await;
        host.0.noted().clear();
        for token in troubles {
            let began = std::time::Instant::now();
            let response = post(&gateway, &[("phone", "0900000001"), (FIELD, token)]).await;
            assert_eq!(response.status(), status, "{choice}: {token}");
            assert_eq!(response.headers().contains_key("Retry-After"), choice == "closed");
            assert!(began.elapsed() < Duration::from_secs(10), "{token}: it waits no longer");
        }
        let word = if choice == "open" { "unchecked" } else { "unverified" };
        assert_eq!(outcome(&gateway, word).await, 5.0);
        assert_eq!(records(&gateway).await, if choice == "open" { 5 } else { 0 });
        gateway.stop().await;
    }
}
