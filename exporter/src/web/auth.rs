//! Basic auth: who is asking, by a password that bcrypt hashed.
//!
//! Bcrypt is slow on purpose, so one comparison runs at a time, and few wait for it: see `queue`. What was found once is
//! remembered, right or wrong, so that whoever is logged in waits for nobody. Only what was right is remembered by
//! user: whoever guesses cannot push Prometheus out of the memory. Unknown users cost as much time as known ones.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use sha2::{Digest, Sha256};

use super::config::PasswordHash;
use super::queue::{Client, Queue};

/// What a comparison with an unknown user's password is made with; no password is known to fit.
const NOBODY: &str = "ks8oSGYcuGv0S9Vn9XQm5.kK0cZUhqvO7FDmGB4p5aVyU2pZBFr8u";

/// Wrong passwords that are remembered.
const WRONG: usize = 256;

/// What the door says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    Admitted,
    Refused,
    /// It was not looked at: too many wait.
    Busy,
}

/// Compares passwords.
#[derive(Debug)]
pub(super) struct Doorkeeper {
    /// Makes digests mean nothing outside of this process, so that nobody can aim at one by how long comparing takes.
    salt: [u64; 2],
    memory: Mutex<Memory>,
    queue: Queue,
}

type Proof = [u8; 32];

/// What comparisons have found. Each proof holds the hash that was compared with, so that a changed one is another.
#[derive(Debug, Default)]
struct Memory {
    /// Per user, what was last right.
    right: BTreeMap<String, Proof>,
    /// What was last wrong, the oldest first.
    wrong: VecDeque<Proof>,
}

impl Memory {
    fn knows(&self, user: &str, proof: &Proof) -> Option<Admission> {
        if self.right.get(user) == Some(proof) {
            return Some(Admission::Admitted);
        }
        self.wrong.contains(proof).then_some(Admission::Refused)
    }
}

impl Doorkeeper {
    pub(super) fn new() -> Self {
        let salt = [(); 2].map(|()| RandomState::new().hash_one(0));
        Self { salt, memory: Mutex::default(), queue: Queue::default() }
    }

    /// Whether the `Authorization` header that `client` sent names one of `users` with the right password. Everybody is let in
    /// where there are no users.
    pub(super) async fn admits(
        &self,
        users: &BTreeMap<String, PasswordHash>,
        authorization: Option<&HeaderValue>,
        client: Client,
    ) -> Admission {
        if users.is_empty() {
            return Admission::Admitted;
        }
        let Some((user, password)) = authorization.and_then(credentials) else { return Admission::Refused };
        let hash = users.get(&user).map(PasswordHash::expose);
        let proof = self.proof(hash.unwrap_or_default(), &user, &password);
        if let Some(known) = self.memory().knows(&user, &proof) {
            return known;
        }
        let Some(one_at_a_time) = self.queue.turn(client).await else { return Admission::Busy };
        if let Some(known) = self.memory().knows(&user, &proof) {
            return known;
        }
        let cost = users.values().map(PasswordHash::cost).max().unwrap_or(10);
        let compared_with = hash.map_or_else(|| format!("$2b${cost:02}${NOBODY}"), str::to_owned);
        let compared = tokio::task::spawn_blocking(move || {
            let right = bcrypt::verify(password, &compared_with).unwrap_or(false);
            // Not before: the comparison goes on when the client hangs up meanwhile.
            drop(one_at_a_time);
            right
        });
        let right = compared.await.unwrap_or(false) && hash.is_some();
        let mut memory = self.memory();
        if right {
            memory.right.retain(|user, _| users.contains_key(user));
            memory.right.insert(user, proof);
            Admission::Admitted
        } else {
            memory.wrong.push_back(proof);
            if memory.wrong.len() > WRONG {
                memory.wrong.pop_front();
            }
            Admission::Refused
        }
    }

    /// Ties a password to its user and to the hash that it is compared with; a user's name has no colon.
    fn proof(&self, hash: &str, user: &str, password: &[u8]) -> Proof {
        let salt = self.salt.map(u64::to_ne_bytes).concat();
        let text = [&salt, hash.as_bytes(), &[0], user.as_bytes(), b":", password].concat();
        Sha256::digest(text).into()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// User and password of a `Basic` header.
pub(super) fn credentials(header: &HeaderValue) -> Option<(String, Vec<u8>)> {
    let (scheme, encoded) = header.as_bytes().split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let decoded = STANDARD.decode(encoded.trim_ascii()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let user = String::from_utf8(decoded[..colon].to_vec()).ok()?;
    Some((user, decoded[colon + 1..].to_vec()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use tokio::time::Instant;

    use super::super::config::WebConfig;
    use super::*;

    type Users = BTreeMap<String, PasswordHash>;

    fn here() -> Client {
        Client { address: std::net::Ipv4Addr::LOCALHOST.into(), since: Instant::now() }
    }

    /// Whether the door opens; it is not busy.
    async fn admits(door: &Doorkeeper, users: &Users, authorization: &HeaderValue) -> bool {
        let admission = door.admits(users, Some(authorization), here()).await;
        assert_ne!(admission, Admission::Busy);
        admission == Admission::Admitted
    }

    fn users_at(cost: u32, name: &str, password: &str) -> Users {
        let hash = bcrypt::hash(password, cost).unwrap();
        let text = format!("basic_auth_users:\n  {name}: {hash}\n");
        WebConfig::parse(Path::new("web.yml"), &text).unwrap().users
    }

    fn users(name: &str, password: &str) -> Users {
        users_at(4, name, password)
    }

    fn basic(user: &str, password: &str) -> HeaderValue {
        HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))).unwrap()
    }

    #[tokio::test]
    async fn only_the_right_password_of_a_known_user_opens() {
        let door = Doorkeeper::new();
        let users = users("alice", "s3cret:with colon");
        for _ in 0..2 {
            assert!(admits(&door, &users, &basic("alice", "s3cret:with colon")).await);
        }
        for wrong in [
            basic("alice", "s3cret"),
            basic("alice", ""),
            basic("bob", "s3cret:with colon"),
            basic("", ""),
            HeaderValue::from_static("Bearer abc"),
            HeaderValue::from_static("Basic"),
            HeaderValue::from_static("Basic !!!"),
            HeaderValue::from_static(""),
        ] {
            assert!(!admits(&door, &users, &wrong).await, "{wrong:?}");
        }
        assert_eq!(door.admits(&users, None, here()).await, Admission::Refused);
        assert_eq!(door.admits(&Users::new(), None, here()).await, Admission::Admitted);
    }

    #[tokio::test]
    async fn a_changed_password_and_a_removed_user_are_forgotten() {
        let door = Doorkeeper::new();
        assert!(admits(&door, &users("alice", "old"), &basic("alice", "old")).await);
        let changed = users("alice", "new");
        assert!(!admits(&door, &changed, &basic("alice", "old")).await);
        assert!(admits(&door, &changed, &basic("alice", "new")).await);
        assert!(!admits(&door, &users("bob", "x"), &basic("alice", "new")).await);
    }

    #[tokio::test]
    async fn who_is_logged_in_waits_for_nobody_and_who_guesses_is_told_quickly() {
        let door = Arc::new(Doorkeeper::new());
        let users = Arc::new(users("alice", "right"));
        assert!(admits(&door, &users, &basic("alice", "right")).await);
        // Nothing is compared any more until this is given back.
        let comparing = door.queue.turn(here()).await.unwrap();
        let guesses: Vec<_> = (0..250)
            .map(|number| {
                let (door, users) = (Arc::clone(&door), Arc::clone(&users));
                let guess = basic("alice", &format!("guess {number}"));
                tokio::spawn(async move { door.admits(&users, Some(&guess), here()).await })
            })
            .collect();
        while guesses.iter().filter(|guess| guess.is_finished()).count() < 249 {
            tokio::task::yield_now().await;
        }
        assert!(admits(&door, &users, &basic("alice", "right")).await);
        drop(comparing);
        let mut refused = 0;
        for guess in guesses {
            match guess.await.unwrap() {
                Admission::Busy => {}
                Admission::Refused => refused += 1,
                Admission::Admitted => panic!("a guess is right"),
            }
        }
        assert_eq!(refused, 1);
    }

    #[tokio::test]
    async fn what_was_wrong_is_not_compared_again_until_the_password_changes() {
        let door = Doorkeeper::new();
        let old = users("alice", "old");
        assert!(!admits(&door, &old, &basic("alice", "new")).await);
        let comparing = door.queue.turn(here()).await.unwrap();
        assert!(!admits(&door, &old, &basic("alice", "new")).await);
        drop(comparing);
        assert!(admits(&door, &users("alice", "new"), &basic("alice", "new")).await);
        for number in 0..2 * WRONG {
            assert!(!admits(&door, &old, &basic("alice", &number.to_string())).await);
        }
        assert_eq!(door.memory().wrong.len(), WRONG);
    }

    #[tokio::test]
    async fn an_unknown_user_costs_a_comparison_too() {
        let door = Doorkeeper::new();
        let users = users_at(10, "alice", "x");
        let began = Instant::now();
        assert!(!admits(&door, &users, &basic("bob", "x")).await);
        assert!(began.elapsed().as_millis() > 5, "the dummy hash was not even compared");
    }
}
