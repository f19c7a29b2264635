//! `destinations.X.lead_url`: where CareSoft, or whatever stands for it, shows a lead to a person.

use url::Url;

/// Longer than any address of a page.
const LENGTH_MAX: usize = 1000;

/// What stands where the lead's id goes.
const ID: &str = "{id}";

/// A web address with `{id}` in it. CareSoft does not document the addresses of its pages, so there
/// is no default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeadUrl(String);

impl LeadUrl {
    /// Reads one: `https://crm.example.vn/leads/{id}`.
    ///
    /// # Errors
    /// What is wrong, without the address.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.chars().count() > LENGTH_MAX {
            return Err("this address is too long");
        }
        let filled = |id| Url::parse(&text.replace(ID, id)).map_err(|_| "this is no web address");
        let (one, other) = (filled("1")?, filled("2")?);
        if !matches!(one.scheme(), "http" | "https") {
            return Err("this is no web address: its scheme is neither http nor https");
        }
        if !one.username().is_empty() || one.password().is_some() {
            return Err("this address holds a user name or a password");
        }
        if !text.contains(ID) {
            return Err("this address has no {id}: every lead would have the same");
        }
        if one.origin() != other.origin() {
            return Err("the {id} stands in the host of this address");
        }
        Ok(Self(text.to_owned()))
    }

    /// The address of a lead, by CareSoft's id of it.
    pub fn of(&self, lead_id: u64) -> String {
        self.0.replace(ID, &lead_id.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_made_with_the_leads_id() {
        for (template, address) in [
            ("https://crm.example.vn/leads/{id}", "https://crm.example.vn/leads/17"),
            (" http://127.0.0.1:9090/#lead-{id} ", "http://127.0.0.1:9090/#lead-17"),
            ("https://crm.example.vn/?a={id}&b={id}", "https://crm.example.vn/?a=17&b=17"),
        ] {
            assert_eq!(LeadUrl::parse(template).unwrap().of(17), address);
        }
        for wrong in [
            "",
            "leads/{id}",
            "javascript:alert({id})",
            "https://crm.example.vn/leads",
            "https://lead-{id}.example.vn/",
            "https://a:b@crm.example.vn/{id}",
            &format!("https://crm.example.vn/{{id}}{}", "x".repeat(LENGTH_MAX)),
        ] {
            assert!(LeadUrl::parse(wrong).is_err(), "{wrong}");
        }
    }
}
