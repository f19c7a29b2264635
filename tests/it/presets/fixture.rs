//! The bodies in `tests/fixtures`, what is said of each, and the source that takes it.

use std::fs;
use std::path::PathBuf;

use reqwest::Response;
use serde_json::{Value, json};

use crate::checkout;
use crate::gateway::Gateway;

/// A folder of `tests/fixtures`, or one file of it, and the preset that it is for; with the name
/// of the secret and of the fields that a source needs.
pub(super) const CASES: &[Case] = &[
    case("calendly", "calendly", Some("secret")),
    case("formspree", "formspree", Some("secret")),
    case("framer", "framer", Some("secret")),
    case("google_ads", "google-lead-form", Some("google_key")),
    case("google_forms", "google-forms", Some("secret")),
    case("jotform", "jotform", None),
    case("ladipage", "ladipage", None),
    case("linkedin", "linkedin-lead-sync", Some("client_secret")),
    case("meta", "meta-lead-ads", Some("app_secret")),
    case("netlify", "netlify-forms", Some("secret")),
    case("shopify", "shopify-customer", Some("secret")),
    case("snapchat", "snapchat-lead", None),
    case("tally", "tally", Some("secret")),
    case("tiktok", "tiktok-lead", None),
    case("typeform", "typeform", Some("secret")),
    case("unbounce", "unbounce", None),
    case("webflow", "webflow", Some("secret")),
    case("wix", "wix", None),
    case("wordpress/cf7", "contact-form-7", None),
    case("wordpress/elementor", "elementor", None),
    case("wordpress/formidable", "formidable", None),
    case("wordpress/gravity", "gravity-forms", None),
    case("wordpress/metform", "metform", None),
    case("wordpress/ninja", "ninja-forms", None),
    case("wordpress/wpforms_json", "wpforms", Some("secret")),
    case("zalo", "zalo-oa", Some("oa_secret")),
    case("generic/standard", "standard-webhooks", Some("secret")),
    case("generic/github", "signed-json", Some("secret")),
    case("generic/hmac_sha1", "signed-json", Some("secret")),
];

pub(super) struct Case {
    pub(super) prefix: &'static str,
    pub(super) preset: &'static str,
    pub(super) secret: Option<&'static str>,
}

const fn case(prefix: &'static str, preset: &'static str, secret: Option<&'static str>) -> Case {
    Case { prefix, preset, secret }
}

/// A body and what is said of it.
pub(super) struct Fixture {
    /// `zalo/user_submit_info.json`
    pub(super) name: String,
    pub(super) body: Vec<u8>,
    pub(super) meta: Value,
}

pub(super) fn folder_of_all() -> PathBuf {
    checkout::at("tests/fixtures")
}

/// Every fixture that is a post, in order.
pub(super) fn fixtures() -> Vec<Fixture> {
    let mut found = Vec::new();
    for platform in fs::read_dir(folder_of_all()).unwrap() {
        let platform = platform.unwrap().path();
        for file in fs::read_dir(&platform).unwrap() {
            let file = file.unwrap().path();
            let name = file.strip_prefix(folder_of_all()).unwrap().to_str().unwrap().to_owned();
            if name.ends_with(".meta.json") {
                continue;
            }
            let meta = fs::read(format!("{}.meta.json", file.display())).unwrap();
            let meta: Value = serde_json::from_slice(&meta).unwrap();
            if meta["method"].as_str().is_some_and(|method| method != "POST") {
                continue; // a handshake, below, or what is fetched, beside the code
            }
            found.push(Fixture { name, body: fs::read(&file).unwrap(), meta });
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

impl Fixture {
    pub(super) fn case(&self) -> Option<&'static Case> {
        CASES.iter().find(|case| self.name.starts_with(case.prefix))
    }

    /// A source for this fixture alone.
    pub(super) fn source(&self, case: &Case, max_age: &str) -> String {
        let mut text = format!("preset = \"{}\"\n{max_age}\n", case.preset);
        if case.preset == "gravity-forms" {
            // What its numbers mean, only the site's owner knows.
            let names = &self.meta["requires"];
            assert!(names.is_string());
            text += "[sources.website.fields]\nphone = [\"3\"]\nemail = [\"4\"]\n\
                     first_name = [\"1.3\"]\nlast_name = [\"1.6\"]\n";
        }
        let fetched_with = match case.preset {
            "meta-lead-ads" => Some("page_token"),
            "linkedin-lead-sync" => Some("access_token"),
            _ => None,
        };
        text += fetched_with.map_or("", |_| NOWHERE);
        text += "[sources.website.secrets]\n";
        text += &fetched_with.map(|name| format!("{name} = \"t\"\n")).unwrap_or_default();
        if let (Some(secret), Some(value)) = (case.secret, self.meta["secret"].as_str()) {
            text += &format!("{secret} = [\"b2YgdG9tb3Jyb3c=\", {}]\n", json!(value));
        } else if fetched_with.is_some() {
            text += "token = \"t\"\n"; // not anybody may make it fetch
        }
        text
    }

    pub(super) async fn post(
        &self,
        gateway: &Gateway,
        body: Vec<u8>,
        change: Option<Change>,
    ) -> Response {
        let mut request = gateway.post().body(body);
        if self.meta["secret"].is_null() {
            request = request.header("X-Leadgate-Token", "t"); // where it is not signed
        }
        if let Some(content_type) = self.meta["content_type"].as_str() {
            request = request.header("Content-Type", content_type);
        }
        for (name, value) in self.meta["headers"].as_object().unwrap() {
            let value = value.as_str().unwrap();
            if value.contains('<') || change == Some(Change::WithoutHeaders) {
                continue; // something that the operator may type
            }
            request = request.header(name, value);
        }
        request.send().await.unwrap()
    }
}

/// What is to be fetched is not: no test asks a platform.
pub(super) const NOWHERE: &str = "api_base = \"http://127.0.0.1:9\"\n";

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Change {
    WithoutHeaders,
}
