//! Secrets that are of no use are told at the start.

use leadgate::sandbox::Options;

use super::configured;
use crate::gateway::CareSoft;

/// A secret that could verify nothing is told at the start, not by refusals.
#[tokio::test]
async fn a_secret_that_is_no_key_is_a_fault() {
    let caresoft = CareSoft::start(Options::default());
    let source = "preset = \"standard-webhooks\"\nsecrets = { secret = \"whsec_!\" }";
    let config = configured("url = \"sqlite:x.db\"\nspool = \"\"", &caresoft, source);
    let faults = leadgate::app::App::preflight(&config);
    let [(key, problem)] = &faults[..] else { panic!("{faults:?}") };
    assert_eq!(key, "sources.website.secrets.secret");
    assert!(problem.contains("whsec_ and base64") && !problem.contains('!'), "{problem}");
}

/// Nor is a token that no request could carry.
#[tokio::test]
async fn what_would_fail_at_the_start_is_told_before() {
    let caresoft = CareSoft::start(Options::default());
    let source = "preset = \"meta-lead-ads\"\n\
                  secrets = { app_secret = \"s\", page_token = \"in two\" }";
    let config = configured("url = \"sqlite:x.db\"\nspool = \"\"", &caresoft, source);
    let faults = leadgate::app::App::preflight(&config);
    let [(key, problem)] = &faults[..] else { panic!("{faults:?}") };
    assert_eq!(key, "sources.website");
    assert!(problem.contains("page_token") && !problem.contains("in two"), "{problem}");
}
