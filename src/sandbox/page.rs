//! The page a salesperson would look at: the newest leads, in plain HTML without any script.

use std::fmt::Write;

use super::leads::StoredLead;
use super::{Sandbox, State};
use crate::caresoft::plain_clock;

const PAGE: &str = include_str!("page.html");

/// The page with the newest `max` leads.
pub(super) fn render(sandbox: &Sandbox, max: usize) -> String {
    let state = sandbox.state();
    let rows: String =
        state.account.leads().rev().take(max).map(|lead| row(lead, &state)).collect();
    let count = match state.account.leads().len() {
        0 => "No lead yet.".to_owned(),
        1 => "1 lead.".to_owned(),
        many => format!("{many} leads."),
    };
    PAGE.replace("<!--count-->", &count).replace("<!--rows-->", &rows)
}

fn row(lead: &StoredLead, state: &State) -> String {
    let (name, phone) = state.account.person_of(lead);
    let contact = phone.or(lead.received_text("email"));
    let cell = |text: Option<&str>| escaped(text.unwrap_or("–"));
    let comments: Vec<&str> = lead.comments.iter().map(|comment| comment.body.as_str()).collect();
    let id = lead.id;
    let mut row = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        row,
        "<tr id=lead-{id}><td class=id>{id}</td><td class=time>{}</td><td>{}</td><td>{}</td>\
         <td class=contact>{}</td><td>{}</td><td class=comment>{}</td></tr>",
        plain_clock(lead.created_at),
        escaped(&lead.subject),
        cell(name),
        cell(contact),
        origin(lead.ref_url.as_deref()),
        escaped(&comments.join("\n\n")),
    );
    row
}

/// The address as text (never as a link: it is a stranger's), and its UTM values.
fn origin(ref_url: Option<&str>) -> String {
    let Some(text) = ref_url else { return "–".to_owned() };
    let mut shown = escaped(text);
    if let Ok(url) = url::Url::parse(text) {
        for (key, value) in url.query_pairs().filter(|(key, _)| key.starts_with("utm_")) {
            let _ = write!(shown, " <span class=utm>{}: {}</span>", escaped(&key), escaped(&value));
        }
    }
    shown
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
