//! Which path is which route. Static paths come before `lead/{id}`, as they must.

use serde::{Deserialize, Serialize};

/// What a request asks for. Named in logs and faults as in `serde`: `create_lead`, ….
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// `POST lead`
    CreateLead,
    /// `PUT lead/{id}`
    UpdateLead,
    /// `GET lead/{id}`
    Lead,
    /// `GET leads`
    Leads,
    /// `GET lead/status`
    Statuses,
    /// `GET lead/unqualified-reason`
    UnqualifiedReasons,
    /// `GET lead/labels`, on either path
    Labels,
    /// `GET services`
    Services,
    /// `GET groups`
    Groups,
    /// `GET agents`
    Agents,
    /// `GET tickets/custom_fields`
    TicketCustomFields,
    /// `GET contacts/custom_fields`
    ContactCustomFields,
    /// `GET contactsByPhone`
    ContactByPhone,
    /// `POST contacts`
    CreateContact,
    /// `GET contacts`
    Contacts,
    /// `GET contacts/{id}`
    Contact,
    /// `PUT contacts/{id}`
    UpdateContact,
    /// A known path with a method that it has not.
    WrongMethod,
    /// Anything else.
    Nowhere,
}

/// A path taken apart: the domain as it came (decoded), what is asked for, and of which id.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub domain: String,
    pub route: Route,
    pub id: Option<u64>,
    /// Whether the path has `/api/v1`.
    pub under_api: bool,
}

/// Takes the raw path of a request apart.
pub(super) fn target(method: &str, path: &str) -> Target {
    let segments: Vec<String> = path
        .trim_start_matches('/')
        .split('/')
        .map(|raw| percent_encoding::percent_decode_str(raw).decode_utf8_lossy().into_owned())
        .collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let (domain, under_api, rest) = match segments.as_slice() {
        [domain, "api", "v1", rest @ ..] => (*domain, true, rest),
        [domain, rest @ ..] => (*domain, false, rest),
        [] => ("", false, [].as_slice()),
    };
    let (route, id) = match rest {
        ["lead", "labels"] => (one(method, Route::Labels), None),
        _ if !under_api => (Route::Nowhere, None),
        rest => under_api_v1(method, rest),
    };
    Target { domain: domain.to_owned(), route, id, under_api }
}

fn under_api_v1(method: &str, rest: &[&str]) -> (Route, Option<u64>) {
    let route = match rest {
        ["lead"] if method == "POST" => Route::CreateLead,
        ["contacts"] if method == "POST" => Route::CreateContact,
        ["lead"] => Route::WrongMethod,
        ["leads"] => one(method, Route::Leads),
        ["lead", "status"] => one(method, Route::Statuses),
        ["lead", "unqualified-reason"] => one(method, Route::UnqualifiedReasons),
        ["services"] => one(method, Route::Services),
        ["groups"] => one(method, Route::Groups),
        ["agents"] => one(method, Route::Agents),
        ["tickets", "custom_fields"] => one(method, Route::TicketCustomFields),
        ["contacts", "custom_fields"] => one(method, Route::ContactCustomFields),
        ["contactsByPhone"] => one(method, Route::ContactByPhone),
        ["contacts"] => one(method, Route::Contacts),
        ["lead", id] => return with_id(method, id, Route::Lead, Route::UpdateLead),
        ["contacts", id] => return with_id(method, id, Route::Contact, Route::UpdateContact),
        _ => Route::Nowhere,
    };
    (route, None)
}

fn one(method: &str, route: Route) -> Route {
    if method == "GET" { route } else { Route::WrongMethod }
}

fn with_id(method: &str, id: &str, get: Route, put: Route) -> (Route, Option<u64>) {
    let Ok(id) = id.parse() else { return (Route::Nowhere, None) };
    match method {
        "GET" => (get, Some(id)),
        "PUT" => (put, Some(id)),
        _ => (Route::WrongMethod, Some(id)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn static_paths_come_before_ids() {
        #[rustfmt::skip]
        let rows = [
            ("POST", "/vuon/api/v1/lead", Route::CreateLead, None),
            ("GET", "/vuon/api/v1/lead", Route::WrongMethod, None),
            ("GET", "/vuon/api/v1/lead/status", Route::Statuses, None),
            ("GET", "/vuon/api/v1/lead/unqualified-reason", Route::UnqualifiedReasons, None),
            ("GET", "/vuon/api/v1/lead/labels", Route::Labels, None),
            ("GET", "/vuon/lead/labels", Route::Labels, None),
            ("GET", "/vuon/api/v1/lead/17", Route::Lead, Some(17)),
            ("PUT", "/vuon/api/v1/lead/17", Route::UpdateLead, Some(17)),
            ("DELETE", "/vuon/api/v1/lead/17", Route::WrongMethod, Some(17)),
            ("GET", "/vuon/api/v1/lead/x", Route::Nowhere, None),
            ("GET", "/vuon/api/v1/leads", Route::Leads, None),
            ("GET", "/vuon/leads", Route::Nowhere, None),
            ("GET", "/vuon/api/v1/contacts/custom_fields", Route::ContactCustomFields, None),
            ("PUT", "/vuon/api/v1/contacts/5", Route::UpdateContact, Some(5)),
            ("GET", "/vuon/api/v2/leads", Route::Nowhere, None),
            ("GET", "/", Route::Nowhere, None),
        ];
        for (method, path, route, id) in rows {
            let target = target(method, path);
            assert_eq!((target.route, target.id), (route, id), "{method} {path}");
        }
        assert_eq!(target("GET", "/V%C6%B0%E1%BB%9Dn%2F1/api/v1/leads").domain, "Vườn/1");
    }
}
