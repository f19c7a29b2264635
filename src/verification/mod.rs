//! The configuration held against CareSoft's own lists: every id in it, and every name of an
//! option. What reading a file cannot find: an id that is well formed and means nothing.
//!
//! A destination is asked list by list, slowly, and no further once its answer says that asking
//! on is useless or would do harm: a domain that is mistyped may be a neighbour's.

mod compare;
mod references;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::Serialize;

use self::compare::{Remark, remark};
use self::references::{Reference, references};
use crate::caresoft::{Catalog, Client, Failure, List, Unasked, between_lists};
use crate::config::{Destination, Fault, Loaded, dotted, sort_faults};
use crate::lead::{Clock, DestinationId};

/// What became of it.
#[derive(Debug, Default)]
pub struct Findings {
    /// What is wrong, in the file's order.
    pub faults: Vec<Fault>,
    /// What is doubtful, in the file's order.
    pub warnings: Vec<Fault>,
    /// What could not be looked up, and why.
    pub unasked: Vec<NotAsked>,
}

/// A destination that could not be asked, or not for everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotAsked {
    /// Which.
    pub destination: DestinationId,
    /// Why: CareSoft's words, with nothing of a person in them.
    pub problem: String,
}

/// Compares what a configuration refers to with CareSoft's lists: one call for each list that
/// something refers to, one destination after the other. A destination to whose leads nothing
/// refers by an id is asked for its services, to see that it answers.
pub async fn verify(loaded: &Loaded, clock: &Clock) -> Findings {
    let mut findings = Findings::default();
    // The accounts that did not answer, and the destinations by which they were asked.
    let mut silent: Vec<(&Destination, &DestinationId)> = Vec::new();
    for (id, destination) in &loaded.config.destinations {
        let same =
            |(other, _): &&(&Destination, &DestinationId)| is_same_account(other, destination);
        if let Some((_, asked)) = silent.iter().find(same) {
            let problem =
                format!("it is the account of destinations.{asked}, which did not answer");
            findings.unasked.push(NotAsked { destination: id.clone(), problem });
            continue;
        }
        let references = references(&loaded.config, id, destination);
        let mut lists: BTreeSet<List> = references.iter().map(Reference::list).collect();
        if lists.is_empty() {
            lists.insert(List::Services);
        }
        match ask(destination, &lists, clock).await {
            Ok(catalog) => findings.compare(loaded, id, &references, &catalog),
            Err(problem) => {
                silent.push((destination, id));
                findings.not_answered(loaded, id, problem);
            }
        }
    }
    sort_faults(&mut findings.faults);
    sort_faults(&mut findings.warnings);
    findings
}

/// Why an account has no catalog.
enum Problem {
    /// No client can be made of what is configured.
    Unfit(String),
    /// It was asked.
    Unasked(Unasked),
}

async fn ask(
    destination: &Destination,
    lists: &BTreeSet<List>,
    clock: &Clock,
) -> Result<Catalog, Problem> {
    let client = Client::new(destination).map_err(|error| Problem::Unfit(error.to_string()))?;
    let between = between_lists(destination.rate);
    Catalog::fetch(&client, lists, between, clock).await.map_err(Problem::Unasked)
}

fn is_same_account(one: &Destination, other: &Destination) -> bool {
    one.base_url == other.base_url && one.domain == other.domain
}

impl Findings {
    fn compare(
        &mut self,
        loaded: &Loaded,
        id: &DestinationId,
        references: &[Reference],
        catalog: &Catalog,
    ) {
        let refused = |list: List| catalog.refused.iter().any(|(refused, _)| *refused == list);
        for (list, failure) in &catalog.refused {
            let problem = format!("asked for its {list}: {failure}");
            self.unasked.push(NotAsked { destination: id.clone(), problem });
        }
        for reference in references.iter().filter(|reference| !refused(reference.list())) {
            match remark(reference, catalog, id) {
                None => {}
                Some(Remark::Wrong { problem, advice }) => {
                    self.faults.push(loaded.places.fault(&reference.key, problem, advice));
                }
                Some(Remark::Doubtful { problem, advice }) => {
                    self.warnings.push(loaded.places.fault(&reference.key, problem, advice));
                }
            }
        }
    }

    /// A token, a domain or an address that CareSoft refuses is the configuration's fault; all
    /// else only means that nothing was learnt.
    fn not_answered(&mut self, loaded: &Loaded, id: &DestinationId, problem: Problem) {
        let at = dotted("destinations", id.as_str());
        let fault = match problem {
            Problem::Unfit(problem) => loaded.places.fault(at, problem, ""),
            Problem::Unasked(Unasked {
                failure: Failure::Configuration { status, message },
                ..
            }) => {
                let (key, advice) = refused_setting(status, &message);
                let problem = format!("CareSoft refuses it (HTTP {status}): {message}");
                loaded.places.fault(dotted(&at, key), problem, advice)
            }
            Problem::Unasked(unasked) => {
                let problem = unasked.to_string();
                self.unasked.push(NotAsked { destination: id.clone(), problem });
                return;
            }
        };
        self.faults.push(fault);
    }
}

/// Which key a refusal is about, and what to do.
fn refused_setting(status: u16, message: &str) -> (&'static str, &'static str) {
    const DOMAIN: (&str, &str) =
        ("domain", "expected the path in the account's login URL; it is asked nothing more");
    match status {
        404 => DOMAIN,
        200..=299 | 400 if message.to_lowercase().starts_with("domain") => DOMAIN,
        300..=399 | 405 | 407 => ("base_url", "expected https://api.caresoft.vn"),
        _ => ("token", "expected the token that CareSoft's administration shows under Api"),
    }
}
