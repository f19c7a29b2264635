//! Looks whether a lead that may have been made is there; see `reconcile.rs`.

use super::super::reconcile::{DETAILS_MAX, PAGES_MAX, ROWS, Sight, Sought};
use super::Lane;
use super::asking::{Asking, Ended};
use crate::caresoft::{Blame, Failure, LeadRow, LeadsQuery};
use crate::config::Marker;
use crate::lead::Upstream;
use crate::store::{Match, Query, StoreError};

/// Why a look came to no end.
pub(super) enum Broken {
    /// It may not go on now; it counts for nothing.
    Stopped,
    /// CareSoft could not be reached, or did not answer sensibly.
    Failed(String),
}

impl From<Ended> for Broken {
    fn from(ended: Ended) -> Self {
        let Ended::Failed(failure) = ended else { return Self::Stopped };
        match failure.blame() {
            Blame::Pace | Blame::Configuration => Self::Stopped,
            Blame::Upstream | Blame::Lead | Blame::Us => Self::Failed(failure.to_string()),
        }
    }
}

impl From<StoreError> for Broken {
    fn from(_: StoreError) -> Self {
        Self::Stopped
    }
}

impl Lane {
    /// One look.
    pub(super) async fn look(
        &self,
        asking: &mut Asking<'_>,
        sought: &Sought,
    ) -> Result<Sight, Broken> {
        if let Some(phone) = &sought.phone {
            let contact =
                asking.ask(|client| async move { client.contact_by_phone(phone).await }).await?;
            if let Some(contact) = contact {
                let query = sought.of_person(contact.id, self.clock.now());
                let sight = self.look_through(asking, sought, query, true).await?;
                if sight != Sight::Absent {
                    return Ok(sight);
                }
            }
            // A person may be known by the e-mail address alone, and then by no phone.
            if !sought.has_email {
                return Ok(Sight::Absent);
            }
        }
        let query = sought.of_service(self.clock.now());
        self.look_through(asking, sought, query, false).await
    }

    /// Looks through the leads that a query finds.
    async fn look_through(
        &self,
        asking: &mut Asking<'_>,
        sought: &Sought,
        query: LeadsQuery,
        is_of_person: bool,
    ) -> Result<Sight, Broken> {
        let (rows, is_whole) = self.rows(asking, query).await?;
        let candidates = sought.candidates(rows, is_of_person, self.clock.now());
        let (mut details, mut is_thorough) = (0, is_whole);
        for row in candidates {
            if self.is_anothers(sought, row.id).await? {
                continue;
            }
            let found = match sought.marker {
                Marker::Subject | Marker::None => true,
                Marker::Comment if details == DETAILS_MAX => {
                    is_thorough = false;
                    break;
                }
                Marker::Comment => {
                    details += 1;
                    self.has_marker(asking, sought, row.id).await?
                }
            };
            if found {
                let requester_id = row.requester_id;
                return Ok(Sight::Found(Upstream { lead_id: row.id, requester_id }));
            }
        }
        Ok(match is_thorough {
            true => Sight::Absent,
            false => Sight::Unclear("not every lead could be looked through".to_owned()),
        })
    }

    /// Every row of a list, and whether that is all of them.
    async fn rows(
        &self,
        asking: &mut Asking<'_>,
        query: LeadsQuery,
    ) -> Result<(Vec<LeadRow>, bool), Broken> {
        let mut rows = Vec::new();
        for page in 1..=PAGES_MAX {
            let query = LeadsQuery { page: Some(page), ..query.clone() };
            let query = &query;
            let found = asking.ask(|client| async move { client.leads(query).await }).await?;
            let count = found.leads.len();
            rows.extend(found.leads);
            // Without a count a short page is the last; with one, an empty page is no end.
            let is_all = match found.num_found {
                Some(all) => rows.len() as u64 >= all,
                None => count < ROWS as usize,
            };
            if is_all || count == 0 {
                return Ok((rows, is_all));
            }
        }
        Ok((rows, false))
    }

    /// Whether a lead is known to be another submission's.
    async fn is_anothers(&self, sought: &Sought, lead_id: u64) -> Result<bool, StoreError> {
        let query = Query {
            matching: vec![Match::UpstreamLead(lead_id)],
            destination: Some(self.id.clone()),
            limit: 1,
            ..Query::default()
        };
        let found = self.store.list(query).await?;
        Ok(found.records.iter().any(|record| record.id != sought.id))
    }

    /// Whether the gateway's own reference is in a lead's comments.
    async fn has_marker(
        &self,
        asking: &mut Asking<'_>,
        sought: &Sought,
        lead_id: u64,
    ) -> Result<bool, Broken> {
        match asking.ask(|client| async move { client.lead(lead_id).await }).await {
            Ok(lead) => {
                let marker = super::super::compose::comment_marker(sought.id);
                Ok(lead.comments.iter().any(|comment| comment.body.contains(&marker)))
            }
            Err(Ended::Failed(Failure::Rejected { .. })) => Ok(false), // gone since it was listed
            Err(ended) => Err(ended.into()),
        }
    }
}
