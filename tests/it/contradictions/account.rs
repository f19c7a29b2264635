//! The simulator's account, a client of it, and what is sent to it.

use std::sync::Mutex;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use leadgate::caresoft::{
    Client, CreatedLead, CustomFieldValue, LeadUpdate, NewLead, UpdateComment,
};
use leadgate::config::Loaded;
use leadgate::sandbox::{Options, StoredLead};
use serde::Serialize;

use crate::gateway::{self, CareSoft, toml_of};
use crate::stub::{Stub, locked};

/// The ids of the simulator's account, which are those of the vendor's samples.
pub(super) const SERVICE: u64 = 1_244;
pub(super) const FIRST_STATUS: u64 = 525;
pub(super) const STATUS: u64 = 558;
pub(super) const CONVERTED: u64 = 527;
pub(super) const UNQUALIFIED: u64 = 528;
pub(super) const AGENT: u64 = 124_734_559;
pub(super) const DROP_DOWN: u64 = 6_068;
pub(super) const DATE_FIELD: u64 = 7_002;

/// A simulator with `options` whose list shows a lead at once, and a client of it.
pub(super) fn account(options: Options) -> (CareSoft, Client) {
    let caresoft = CareSoft::start(Options { list_lag: Duration::ZERO, ..options });
    let client = client(&caresoft.address.to_string());
    (caresoft, client)
}

pub(super) fn client(address: &str) -> Client {
    let config = loaded(address, "").config;
    Client::new(config.destinations.values().next().unwrap()).unwrap()
}

pub(super) fn loaded(address: &str, extra: &str) -> Loaded {
    let text = toml_of("url = \"sqlite:unused.db\"", address.parse().unwrap(), extra);
    gateway::loaded(&text).unwrap()
}

/// A lead with as few keys as CareSoft takes.
pub(super) fn lead() -> NewLead {
    NewLead {
        subject: "Thử".into(),
        phone: Some("0900000027".into()),
        service_id: Some(SERVICE),
        ..NewLead::default()
    }
}

/// A lead with every key there is.
pub(super) fn full_lead() -> NewLead {
    NewLead {
        username: Some("Nguyễn Văn Thử".into()),
        email: Some("thu@example.vn".into()),
        group_id: Some(12_153),
        assignee_id: Some(AGENT),
        lead_status_id: Some(STATUS),
        lead_label: vec![10, 11],
        custom_fields: vec![CustomFieldValue { id: DROP_DOWN, value: "106902".into() }],
        comment: Some("Xin chào".into()),
        estimated_closed_date: Some("2026-11-30 23:59:59".into()),
        ref_url: Some("https://shop.example.vn/?utm_source=fb".into()),
        ..lead()
    }
}

/// An update with every key there is.
pub(super) fn full_update() -> LeadUpdate {
    LeadUpdate {
        subject: Some("Thử".into()),
        assignee_id: Some(AGENT),
        lead_status_id: Some(STATUS),
        lead_label: vec![11, 22],
        custom_fields: vec![CustomFieldValue { id: DROP_DOWN, value: "106902".into() }],
        comment: Some(note()),
        estimated_closed_date: Some("2026-11-30 23:59:59".into()),
    }
}

pub(super) fn note() -> UpdateComment {
    UpdateComment { body: "Thêm lời nhắn".into(), is_public: false, author_id: Some(AGENT) }
}

pub(super) fn keys(body: &impl Serialize) -> Vec<String> {
    let body = serde_json::to_value(body).unwrap();
    body["lead"].as_object().unwrap().keys().cloned().collect()
}

/// Makes the lead; what the client was told and what CareSoft holds.
pub(super) async fn create(
    caresoft: &CareSoft,
    client: &Client,
    lead: &NewLead,
) -> (CreatedLead, StoredLead) {
    let created = client.create_lead(lead).await.result.unwrap();
    let stored = caresoft.sandbox.lead(created.id).unwrap();
    (created, stored)
}

/// A CareSoft that answers everything with one status and one body, as no simulator would, and a
/// client of it.
pub(super) fn saying(status: u16, body: &str) -> (Stub<Said>, Client) {
    let stub = Stub::start(Said { status, body: body.to_owned() }, |app| {
        app.default_service(web::to(say));
    });
    let client = client(&stub.address.to_string());
    (stub, client)
}

pub(super) struct Said {
    status: u16,
    body: String,
}

async fn say(said: web::Data<Mutex<Said>>) -> HttpResponse {
    let said = locked(&said);
    HttpResponse::build(StatusCode::from_u16(said.status).unwrap()).body(said.body.clone())
}
