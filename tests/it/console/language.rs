//! Pages are in the reader's language.

use std::collections::BTreeSet;

use leadgate::sandbox::Options;
use reqwest::header::{ACCEPT_LANGUAGE, COOKIE, SET_COOKIE};
use serde_json::json;

use super::PAGES;
use super::operator::{Operator, get, location};
use crate::gateway::{CareSoft, Gateway};

#[tokio::test]
async fn every_page_speaks_both_languages() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let operator = Operator::sign_in(&gateway).await;
    let mut titles = BTreeSet::new();
    for path in PAGES {
        for (language, said) in [("vi-VN,vi;q=0.9", "lang=\"vi\""), ("en", "lang=\"en\"")] {
            let request = operator.get(path).header(ACCEPT_LANGUAGE, language);
            let page = request.send().await.unwrap().text().await.unwrap();
            assert!(page.contains(&format!("<html {said}>")), "{path}");
            let title = page.split_once("<title>").unwrap().1.split_once('<').unwrap().0;
            titles.insert(title.to_owned());
        }
    }
    assert_eq!(titles.len(), 2 * PAGES.len(), "{titles:?}");
    let chosen = operator.get("/language/vi?next=//evil.example").send().await.unwrap();
    assert_eq!(location(&chosen), "/");
    let chosen = operator.get("/language/vi?next=/leads").send().await.unwrap();
    assert_eq!(location(&chosen), "/leads");
    assert!(chosen.headers()[SET_COOKIE].to_str().unwrap().starts_with("leadgate_language=vi;"));
    gateway.stop().await;
}

/// The switch of the language leads back to the guide of the same source.
#[tokio::test]
async fn a_guide_is_in_the_language_of_the_pages() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let operator = Operator::sign_in(&gateway).await;
    let english = operator.page("/guides/web-form?source=website").await;
    let switch = "/language/vi?next=/guides/web-form%3Fsource%3Dwebsite";
    assert!(english.contains(&format!("href=\"{switch}\"")), "{english}");
    let chosen = operator.get(switch).send().await.unwrap();
    let request = get(&gateway, location(&chosen));
    let cookie = chosen.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap();
    let cookie = format!("{}; {cookie}", operator.cookie);
    let vietnamese = request.header(COOKIE, cookie).send().await.unwrap().text().await.unwrap();
    for (page, own, others) in [
        (&english, "<h2>Set it up</h2>", "<h2>Thiết lập</h2>"),
        (&vietnamese, "<h2>Thiết lập</h2>", "<h2>Set it up</h2>"),
    ] {
        assert!(page.contains(own) && !page.contains(others), "{page}");
        assert!(page.contains("leadgate send website"), "{page}");
    }
    gateway.stop().await;
}

/// The gateway's own words are the reader's; a source is silent when its notice would say so.
#[tokio::test]
async fn reasons_are_told_in_vietnamese() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "invalid = \"quarantine\"").await;
    let id = gateway.submit(json!({"name": "Thử"})).await;
    let operator = Operator::sign_in(&gateway).await;
    for path in ["/leads".to_owned(), format!("/leads/{id}"), "/trouble".to_owned()] {
        let request = operator.get(&path).header(ACCEPT_LANGUAGE, "vi");
        let page = request.send().await.unwrap().text().await.unwrap();
        assert!(page.contains("không có số điện thoại hay e-mail nào dùng được"), "{path}");
        assert!(!page.contains("neither a phone number"), "{path}");
        let english = operator.page(&path).await;
        assert!(english.contains("neither a phone number"), "{path}");
    }
    gateway.stop().await;
}
