//! What an account has set up, asked for list by list: everything that a configuration's ids can
//! mean.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::client::Client;
use super::failure::Failure;
use super::lists::{
    Agent, CustomFieldDefinition, Group, Label, LeadStatus, Service, UnqualifiedReason,
};
use crate::config::Pace;
use crate::lead::Clock;

/// One list of an account, in the order in which they are asked for. Labels come last: where they
/// stand at the path that the vendor's page prints, asking for them takes two requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum List {
    /// `GET services`
    Services,
    /// `GET groups`
    Groups,
    /// `GET agents`
    Agents,
    /// `GET lead/status`
    Statuses,
    /// `GET tickets/custom_fields`, which leads share.
    CustomFields,
    /// `GET lead/unqualified-reason`
    UnqualifiedReasons,
    /// `GET lead/labels`
    Labels,
}

impl List {
    /// All there are.
    pub const ALL: [Self; 7] = [
        Self::Services,
        Self::Groups,
        Self::Agents,
        Self::Statuses,
        Self::CustomFields,
        Self::UnqualifiedReasons,
        Self::Labels,
    ];
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Services => "services",
            Self::Groups => "groups",
            Self::Agents => "agents",
            Self::Statuses => "statuses",
            Self::CustomFields => "custom fields",
            Self::UnqualifiedReasons => "unqualified reasons",
            Self::Labels => "labels",
        })
    }
}

/// The lists of one account; one that was not asked for is empty.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Catalog {
    /// What takes leads.
    pub services: Vec<Service>,
    /// Departments.
    pub groups: Vec<Group>,
    /// The customer's staff: persons, so nothing of it belongs in a log.
    pub agents: Vec<Agent>,
    /// What a lead can be.
    pub statuses: Vec<LeadStatus>,
    /// The additional fields of tickets and leads.
    pub custom_fields: Vec<CustomFieldDefinition>,
    /// Why a lead may not qualify.
    pub unqualified_reasons: Vec<UnqualifiedReason>,
    /// Labels of leads.
    pub labels: Vec<Label>,
    /// Lists that CareSoft refused to give, though it answers: the account may lack them.
    #[serde(skip)]
    pub refused: Vec<(List, Failure)>,
}

/// Why an account could not be asked. No further list was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("asked for its {list}: {failure}")]
pub struct Unasked {
    /// What was asked for.
    pub list: List,
    /// What became of it.
    pub failure: Failure,
}

impl Catalog {
    /// Asks for `lists`, one after another with `between` from one to the next.
    ///
    /// # Errors
    /// The first failure that is not about one list alone ends it: an account that is mistyped,
    /// locked out or in trouble is not asked again.
    pub async fn fetch(
        client: &Client,
        lists: &BTreeSet<List>,
        between: Duration,
        clock: &Clock,
    ) -> Result<Self, Unasked> {
        let mut catalog = Self::default();
        let mut has_answered = false;
        for (place, list) in lists.iter().copied().enumerate() {
            if place > 0 {
                clock.sleep(between).await;
            }
            match catalog.ask(client, list).await {
                Ok(()) => has_answered = true,
                Err(failure) if is_about_one_list(&failure, has_answered) => {
                    catalog.refused.push((list, failure));
                }
                Err(failure) => return Err(Unasked { list, failure }),
            }
        }
        Ok(catalog)
    }

    async fn ask(&mut self, client: &Client, list: List) -> Result<(), Failure> {
        match list {
            List::Services => self.services = client.services().await.result?,
            List::Groups => self.groups = client.groups().await.result?,
            List::Agents => self.agents = client.agents().await.result?,
            List::Statuses => self.statuses = client.statuses().await.result?,
            List::CustomFields => self.custom_fields = client.ticket_custom_fields().await.result?,
            List::UnqualifiedReasons => {
                self.unqualified_reasons = client.unqualified_reasons().await.result?;
            }
            List::Labels => self.labels = client.labels().await.result?,
        }
        Ok(())
    }

    /// Id and name of everything in a list.
    pub fn named(&self, list: List) -> Vec<(u64, &str)> {
        fn pairs<T>(rows: &[T], pair: impl Fn(&T) -> (u64, &str)) -> Vec<(u64, &str)> {
            rows.iter().map(pair).collect()
        }
        match list {
            List::Services => pairs(&self.services, |one| (one.id, &one.name)),
            List::Groups => pairs(&self.groups, |one| (one.id, &one.name)),
            List::Agents => pairs(&self.agents, |one| (one.id, &one.username)),
            List::Statuses => pairs(&self.statuses, |one| (one.id, &one.label)),
            List::CustomFields => pairs(&self.custom_fields, |one| (one.id, &one.label)),
            List::UnqualifiedReasons => {
                pairs(&self.unqualified_reasons, |one| (one.id, &one.label))
            }
            List::Labels => pairs(&self.labels, |one| (one.id, &one.label)),
        }
    }
}

/// Whether the account answers and only does not give this list. A path that is missing or closed
/// is about the list where another one was given, unless the words are about the account.
fn is_about_one_list(failure: &Failure, has_answered: bool) -> bool {
    match failure {
        Failure::Rejected { .. } => true,
        Failure::Configuration { status: 403..=405, message } => {
            has_answered && !message.to_lowercase().contains("domain")
        }
        _ => false,
    }
}

/// How long to wait between two lists: four steps of the account's pace, so that a gateway that
/// sends at its full rate meanwhile, and whatever else uses the account, are not in the way.
/// Eight requests at most are nothing to the hour's allowance.
pub fn between_lists(pace: Pace) -> Duration {
    Duration::from_secs(4) / pace.per_second.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_path_is_about_its_list_and_a_refused_account_about_all() {
        let refused =
            |status, message: &str| Failure::Configuration { status, message: message.to_owned() };
        let rejected = Failure::Rejected { status: 400, message: "no".to_owned() };
        for (failure, first, later) in [
            (rejected, true, true),
            (refused(404, "Not found"), false, true),
            (refused(403, "no words"), false, true),
            (refused(404, "Domain incorrect"), false, false),
            (refused(401, "Unauthorized"), false, false),
            (Failure::Ambiguous { message: "HTTP 500".to_owned() }, false, false),
        ] {
            let judged = [false, true].map(|answered| is_about_one_list(&failure, answered));
            assert_eq!(judged, [first, later], "{failure}");
        }
    }
}
