//! Faults, the requests they apply to, and the number of affected requests.

use std::mem::{Discriminant, discriminant};

use super::effect::{Answer, Effect};
use super::route::Endpoint;

/// An effect with a scope. Without limits it applies to every request that the effect is meaningful for, until the
/// faults are cleared.
#[derive(Clone, Debug)]
pub struct Fault {
    effect: Effect,
    endpoint: Option<Endpoint>,
    method: Option<String>,
    path: Option<String>,
    collection: Option<String>,
    shard: Option<u32>,
    skip: u64,
    remaining: Option<u64>,
    hits: u64,
}

impl Fault {
    /// This effect on all requests it applies to.
    pub fn new(effect: Effect) -> Fault {
        Fault {
            effect,
            endpoint: None,
            method: None,
            path: None,
            collection: None,
            shard: None,
            skip: 0,
            remaining: None,
            hits: 0,
        }
    }

    /// This answer instead of the server's.
    pub fn answer(answer: Answer) -> Fault {
        Fault::new(Effect::Answer(answer))
    }

    /// This status with an error body in Qdrant's form.
    pub fn status(status: u16) -> Fault {
        Fault::answer(Answer::status(status))
    }

    /// The connection closes without an answer.
    pub fn hang_up() -> Fault {
        Fault::new(Effect::HangUp)
    }

    /// Only requests to this endpoint.
    pub fn on(self, endpoint: Endpoint) -> Fault {
        Fault { endpoint: Some(endpoint), ..self }
    }

    /// Only requests with this method.
    pub fn method(self, method: &str) -> Fault {
        Fault { method: Some(method.to_owned()), ..self }
    }

    /// Only requests whose path (as sent, without prefix and query) matches. `*` matches anything, including slashes.
    pub fn path(self, pattern: &str) -> Fault {
        Fault { path: Some(pattern.to_owned()), ..self }
    }

    /// Only requests whose path names this collection (or alias).
    pub fn collection(self, name: &str) -> Fault {
        Fault { collection: Some(name.to_owned()), ..self }
    }

    /// Only requests about snapshots of this shard.
    pub fn shard(self, id: u32) -> Fault {
        Fault { shard: Some(id), ..self }
    }

    /// Skips this many matching requests first.
    pub fn after(self, requests: u64) -> Fault {
        Fault { skip: requests, ..self }
    }

    /// Only for this many matching requests.
    pub fn first(self, requests: u64) -> Fault {
        Fault { remaining: Some(requests), ..self }
    }

    fn matches(&self, request: &RequestScope<'_>) -> bool {
        self.remaining != Some(0)
            && self.effect.applies_to(request.endpoint)
            && self.endpoint.is_none_or(|endpoint| endpoint == request.endpoint)
            && self.method.as_deref().is_none_or(|method| method == request.method)
            && self.path.as_deref().is_none_or(|pattern| glob(pattern, request.path))
            && self.collection.as_deref().is_none_or(|name| Some(name) == request.collection)
            && self.shard.is_none_or(|id| Some(id) == request.shard)
    }

    fn consume(&mut self) -> Option<Effect> {
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        if let Some(remaining) = &mut self.remaining {
            *remaining -= 1;
        }
        self.hits += 1;
        Some(self.effect.clone())
    }
}

/// The properties of a request that decide whether a fault applies.
pub(crate) struct RequestScope<'a> {
    pub(crate) endpoint: Endpoint,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) collection: Option<&'a str>,
    pub(crate) shard: Option<u32>,
}

/// The faults of a stand-in. Of several with the same kind of effect, the first one that still applies is used. A
/// sequence of answers is therefore a list of faults with `.first(1)` each.
#[derive(Clone, Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Adds a fault.
    pub fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// Removes all faults.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The number of requests affected by a fault, so that tests can assert that their fault occurred.
    pub fn hits(&self) -> u64 {
        self.0.iter().map(|fault| fault.hits).sum()
    }

    /// The effects on this request. An effect that replaces the whole answer is used alone and does not use up the
    /// others.
    pub(crate) fn take(&mut self, request: &RequestScope<'_>) -> Vec<Effect> {
        let whole = self.take_where(request, Effect::is_whole_answer);
        if whole.is_empty() { self.take_where(request, |effect| !effect.is_whole_answer()) } else { whole }
    }

    fn take_where(&mut self, request: &RequestScope<'_>, wanted: fn(&Effect) -> bool) -> Vec<Effect> {
        let mut effects: Vec<Effect> = Vec::new();
        let mut seen: Vec<Discriminant<Effect>> = Vec::new();
        for fault in &mut self.0 {
            let kind = discriminant(&fault.effect);
            let first_of_kind = !seen.contains(&kind);
            let only_one = effects.first().is_some_and(Effect::is_whole_answer);
            let usable = first_of_kind && !only_one && wanted(&fault.effect) && fault.matches(request);
            if let Some(effect) = usable.then(|| fault.consume()).flatten() {
                seen.push(kind);
                effects.push(effect);
            }
        }
        effects
    }
}

fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|tail| {
            tail.char_indices().map(|(at, _)| at).chain([tail.len()]).any(|at| glob(rest, &tail[at..]))
        }),
    }
}
