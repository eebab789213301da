//! Which faults are applied to which requests of which job.

use std::collections::BTreeMap;
use std::fmt;

use e2e::campaign::Extent;
use e2e::proxy::{Fault, What};

use super::jobs::Job;
use super::template::Template;

/// Faults per request in a short campaign.
const FAULTS_EACH: usize = 1;
/// How many similar requests of a job are tested in a short and in a full campaign.
const ALIKE: [usize; 2] = [2, 1];
/// Lasting faults per request in a full campaign. Faults that do not last are all tested.
const LASTING_EACH: usize = 6;

/// Regression cases found by this campaign and the soak: a deletion answered with a web page, one answered with 404,
/// two creations that were both unanswered, and one that was refused after it was done.
fn found() -> Vec<(&'static str, &'static str, Fault)> {
    let before = |what| Fault { what, forwarded: false, lasting: false };
    let for_good = |what| Fault { what, forwarded: true, lasting: true };
    vec![
        ("backup", "DELETE /collections/docs/snapshots/*", before(What::WrongShape)),
        ("backup", "DELETE /collections/docs/snapshots/*", before(What::Html)),
        ("backup", "DELETE /collections/docs/snapshots/*", before(What::Status(404))),
        ("drill", "DELETE /collections/*/snapshots/*", before(What::Status(404))),
        ("backup", "POST /collections/docs/snapshots", for_good(What::Upgrade)),
        ("backup", "POST /collections/docs/snapshots", for_good(What::Status(403))),
    ]
}

/// A fault at a request.
#[derive(Debug, Clone)]
pub struct Case {
    /// Method and path of the request.
    pub request: String,
    /// How many alike come before it.
    pub nth: usize,
    /// The fault.
    pub fault: Fault,
}

impl fmt::Display for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { what, forwarded, lasting } = &self.fault;
        let when = if *forwarded { "after" } else { "before" };
        let lasting = if *lasting { " for good" } else { "" };
        write!(formatter, "{} {}: {what:?} {when}{lasting}", self.request, self.nth + 1)
    }
}

/// The cases, each with the index of its job.
pub fn of(extent: Extent, templates: &[(Job, Template)]) -> Vec<(usize, Case)> {
    let mut faults: Vec<Fault> = Fault::shapes();
    faults.extend(Fault::statuses());
    let every = faults.clone();
    // The program waits ten minutes for a server that stays busy.
    let may_last = |fault: &&Fault| !fault.what.is_of_body() && fault.what != What::Status(429);
    let lasting: Vec<Fault> = every.iter().filter(may_last).cloned().map(Fault::lasting).collect();
    faults.extend(lasting.iter().cloned());
    let (mut turn, mut lasting) = (faults.iter().cycle(), lasting.iter().cycle());
    let alike_most = if extent == Extent::Short { ALIKE[0] } else { ALIKE[1] };
    let mut cases = Vec::new();
    for (number, (_, template)) in templates.iter().enumerate() {
        let mut alike: BTreeMap<String, usize> = BTreeMap::new();
        for request in &template.requests {
            let kind = request.kind();
            let seen = alike.entry(kind.clone()).or_default();
            let nth = *seen;
            *seen += 1;
            if nth >= alike_most {
                continue;
            }
            let fits = |fault: &&Fault| {
                !fault.what.is_of_body() || request.method == "POST" || request.method == "PUT"
            };
            let chosen: Vec<&Fault> = match extent {
                Extent::Full => {
                    every.iter().chain(lasting.by_ref().take(LASTING_EACH)).filter(fits).collect()
                }
                Extent::Short => turn.by_ref().filter(fits).take(FAULTS_EACH).collect(),
            };
            for fault in chosen {
                cases.push((number, Case { request: kind.clone(), nth, fault: fault.clone() }));
            }
        }
    }
    if extent == Extent::Short {
        for (job, request, fault) in found() {
            let (number, template) = templates
                .iter()
                .enumerate()
                .find_map(|(number, (other, template))| (other.name == job).then_some((number, template)))
                .expect("a job");
            let is_made = template.requests.iter().any(|seen| seen.kind() == request);
            assert!(is_made, "{job} makes no request {request}");
            cases.push((number, Case { request: request.to_owned(), nth: 0, fault }));
        }
    }
    cases
}
