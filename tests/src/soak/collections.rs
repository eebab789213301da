//! The collections of a soak: they are created, written to and dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use crate::nodes::Nodes;
use crate::random::Random;

/// The minimum and the maximum number of collections.
const FEWEST: usize = 2;
const MOST: usize = 5;
/// The names that collections reuse.
const NAMES: u64 = 8;

/// The collections that exist now.
pub struct Collections {
    stem: String,
    next_point: u64,
    there: BTreeSet<String>,
}

impl Collections {
    /// No collections yet.
    pub fn none() -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let stem = format!("qb-soak-{}-{}-", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        Self { stem, next_point: 1, there: BTreeSet::new() }
    }

    /// The common prefix of all names.
    pub fn stem(&self) -> &str {
        &self.stem
    }

    /// A name to restore to, which no collection has.
    pub fn beside(&self) -> String {
        format!("{}restored", self.stem.replace("soak", "beside"))
    }

    /// The names of all collections.
    pub fn names(&self) -> Vec<String> {
        self.there.iter().cloned().collect()
    }

    /// Creates a collection unless there are too many. Its name may have been used before.
    pub fn make(&mut self, nodes: &Nodes, random: &mut Random) {
        if self.there.len() >= MOST {
            return;
        }
        let name = format!("{}{}", self.stem, random.below(NAMES));
        if self.there.contains(&name) {
            return;
        }
        let body = json!({ "vectors": { "size": 8, "distance": "Cosine" } });
        nodes.ask(0, Method::PUT, &format!("/collections/{name}"), Some(&body));
        self.there.insert(name.clone());
        self.write_to(nodes, &name, 20 + random.below(40));
    }

    /// Drops a collection if there are enough.
    pub fn drop_one(&mut self, nodes: &Nodes, random: &mut Random) {
        if self.there.len() > FEWEST {
            let name = random.pick(&self.names()).clone();
            self.there.remove(&name);
            nodes.ask(0, Method::DELETE, &format!("/collections/{name}"), None);
        }
    }

    /// Writes points to one collection and deletes a few.
    pub fn write(&mut self, nodes: &Nodes, random: &mut Random) {
        let name = random.pick(&self.names()).clone();
        self.write_to(nodes, &name, 1 + random.below(30));
        let ids: Vec<Value> = nodes.points(0, &name).iter().map(|point| point["id"].clone()).collect();
        // Limits the size of each collection.
        let delete: Vec<&Value> = ids.iter().step_by(if ids.len() > 150 { 2 } else { 9 }).collect();
        let body = json!({ "points": delete });
        nodes.ask(0, Method::POST, &format!("/collections/{name}/points/delete?wait=true"), Some(&body));
    }

    fn write_to(&mut self, nodes: &Nodes, name: &str, number: u64) {
        let first = self.next_point;
        self.next_point += number;
        let point = |id: u64| json!({ "id": id, "vector": [1, id % 91, 2, 3, id % 7, 5, 6, 7], "payload": { "n": id } });
        let body = json!({ "points": (first..self.next_point).map(point).collect::<Vec<_>>() });
        nodes.ask(0, Method::PUT, &format!("/collections/{name}/points?wait=true"), Some(&body));
    }

    /// Every snapshot of these collections on the server, as `collection: name`.
    pub fn snapshots(&self, nodes: &Nodes) -> Vec<String> {
        let of = |name: &String| {
            let list = nodes.snapshots(0, &format!("/collections/{name}"));
            list.into_iter().map(|snapshot| format!("{name}: {snapshot}")).collect::<Vec<_>>()
        };
        self.there.iter().flat_map(of).collect()
    }

    /// Their points.
    pub fn points(&self, nodes: &Nodes) -> BTreeMap<String, Vec<Value>> {
        self.there.iter().map(|name| (name.clone(), nodes.points(0, name))).collect()
    }

    /// Collections with the soak's prefix that the soak did not create.
    pub fn strangers(&self, nodes: &Nodes) -> Vec<String> {
        let ours = |name: &String| name.starts_with(&self.stem) || *name == self.beside();
        nodes.collections().into_iter().filter(|name| ours(name) && !self.there.contains(name)).collect()
    }

    /// Removes the leftovers from a real server.
    pub fn remove_all(&self, nodes: &Nodes) {
        let strangers = self.strangers(nodes);
        for name in self.there.iter().chain(&strangers) {
            for snapshot in nodes.snapshots(0, &format!("/collections/{name}")) {
                nodes.ask(0, Method::DELETE, &format!("/collections/{name}/snapshots/{snapshot}"), None);
            }
            nodes.ask(0, Method::DELETE, &format!("/collections/{name}"), None);
        }
    }
}
