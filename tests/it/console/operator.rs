//! Somebody who looks at the console without a browser.

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{RequestBuilder, Response};

use crate::gateway::{ADMIN_TOKEN, Gateway};

/// Somebody who has signed in, without a browser.
pub(super) struct Operator<'a> {
    gateway: &'a Gateway,
    pub(super) cookie: String,
    pub(super) form_token: String,
}

impl<'a> Operator<'a> {
    pub(super) async fn sign_in(gateway: &'a Gateway) -> Self {
        let response = try_token(gateway, ADMIN_TOKEN).await;
        assert_eq!((response.status().as_u16(), location(&response)), (303, "/"));
        let set = response.headers()[SET_COOKIE].to_str().unwrap().to_owned();
        for said in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
            assert!(set.contains(said), "{said} in {set}");
        }
        assert!(!set.contains(ADMIN_TOKEN));
        let cookie = set.split(';').next().unwrap().to_owned();
        let page = get(gateway, "/").header(COOKIE, &cookie).send().await.unwrap();
        let page = page.text().await.unwrap();
        let (_, rest) = page.split_once("name=\"form_token\" value=\"").unwrap();
        let form_token = rest.split('"').next().unwrap().to_owned();
        assert!(form_token.len() == 64 && !cookie.contains(&form_token));
        Self { gateway, cookie, form_token }
    }

    pub(super) fn get(&self, path: &str) -> RequestBuilder {
        get(self.gateway, path).header(COOKIE, &self.cookie)
    }

    pub(super) async fn page(&self, path: &str) -> String {
        let response = self.get(path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.text().await.unwrap()
    }

    /// A post with what `fields` holds and nothing else.
    pub(super) fn bare_post(&self, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        post(self.gateway, path, fields).header(COOKIE, &self.cookie)
    }

    pub(super) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        let own = [("form_token", self.form_token.as_str())];
        let fields: Vec<_> = own.into_iter().chain(fields.iter().copied()).collect();
        self.bare_post(path, &fields).send().await.unwrap()
    }
}

pub(super) fn get(gateway: &Gateway, path: &str) -> RequestBuilder {
    gateway.http.get(format!("http://{}{path}", gateway.admin))
}

pub(super) fn post(gateway: &Gateway, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    let body = form.extend_pairs(fields).finish();
    let request = gateway.http.post(format!("http://{}{path}", gateway.admin));
    request.header("content-type", "application/x-www-form-urlencoded").body(body)
}

pub(super) async fn try_token(gateway: &Gateway, token: &str) -> Response {
    post(gateway, "/sign-in", &[("token", token)]).send().await.unwrap()
}

pub(super) fn location(response: &Response) -> &str {
    response.headers().get(LOCATION).map_or("", |value| value.to_str().unwrap())
}
