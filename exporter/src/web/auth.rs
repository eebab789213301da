//! Basic auth: who is asking, by a password that bcrypt hashed.
//!
//! Bcrypt is slow on purpose, so one comparison runs at a time and what was right once is remembered. Only what was
//! right is: whoever guesses cannot push Prometheus out of the memory. Unknown users cost as much time as known ones.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::config::PasswordHash;

/// What a comparison with an unknown user's password is made with; no password is known to fit.
const NOBODY: &str = "ks8oSGYcuGv0S9Vn9XQm5.kK0cZUhqvO7FDmGB4p5aVyU2pZBFr8u";

/// Compares passwords.
#[derive(Debug)]
pub(super) struct Doorkeeper {
    /// Per user, what was last right: a digest of hash and password.
    proven: Mutex<BTreeMap<String, [u8; 32]>>,
    comparing: Semaphore,
}

impl Doorkeeper {
    pub(super) fn new() -> Self {
        Self { proven: Mutex::default(), comparing: Semaphore::new(1) }
    }

    /// Whether the `Authorization` header names one of `users` with the right password.
    pub(super) async fn admits(
        &self,
        users: &BTreeMap<String, PasswordHash>,
        authorization: Option<&HeaderValue>,
    ) -> bool {
        let Some((user, password)) = authorization.and_then(credentials) else { return false };
        let hash = users.get(&user).map(PasswordHash::expose);
        let proof = hash.map(|hash| proof(hash, &password));
        if proof.is_some() && self.remembered(&user) == proof {
            return true;
        }
        let cost = users.values().map(PasswordHash::cost).max().unwrap_or(10);
        let compared_with = hash.map_or_else(|| format!("$2b${cost:02}${NOBODY}"), str::to_owned);
        // The semaphore is never closed.
        let Ok(_one_at_a_time) = self.comparing.acquire().await else { return false };
        if proof.is_some() && self.remembered(&user) == proof {
            return true;
        }
        let compared =
            tokio::task::spawn_blocking(move || bcrypt::verify(password, &compared_with).unwrap_or(false));
        let right = compared.await.unwrap_or(false) && hash.is_some();
        if let (true, Some(proof)) = (right, proof) {
            let mut proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
            proven.retain(|user, _| users.contains_key(user));
            proven.insert(user, proof);
        }
        right
    }

    fn remembered(&self, user: &str) -> Option<[u8; 32]> {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner).get(user).copied()
    }
}

/// Ties a password to the hash that it was right for, so that a changed hash forgets it.
fn proof(hash: &str, password: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(hash).chain_update([0]).chain_update(password).finalize().into()
}

/// User and password of a `Basic` header.
fn credentials(header: &HeaderValue) -> Option<(String, Vec<u8>)> {
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
    use std::time::{Duration, Instant};

    use super::super::config::WebConfig;
    use super::*;

    fn users(name: &str, password: &str) -> BTreeMap<String, PasswordHash> {
        let hash = bcrypt::hash(password, 4).unwrap();
        let text = format!("basic_auth_users:\n  {name}: {hash}\n");
        WebConfig::parse(Path::new("web.yml"), &text).unwrap().users
    }

    fn basic(user: &str, password: &str) -> HeaderValue {
        HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))).unwrap()
    }

    #[tokio::test]
    async fn only_the_right_password_of_a_known_user_opens() {
        let door = Doorkeeper::new();
        let users = users("alice", "s3cret:with colon");
        assert!(door.admits(&users, Some(&basic("alice", "s3cret:with colon"))).await);
        assert!(door.admits(&users, Some(&basic("alice", "s3cret:with colon"))).await);
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
            assert!(!door.admits(&users, Some(&wrong)).await, "{wrong:?}");
        }
        assert!(!door.admits(&users, None).await);
    }

    #[tokio::test]
    async fn a_changed_password_and_a_removed_user_are_forgotten() {
        let door = Doorkeeper::new();
        assert!(door.admits(&users("alice", "old"), Some(&basic("alice", "old"))).await);
        let changed = users("alice", "new");
        assert!(!door.admits(&changed, Some(&basic("alice", "old"))).await);
        assert!(door.admits(&changed, Some(&basic("alice", "new"))).await);
        assert!(!door.admits(&users("bob", "x"), Some(&basic("alice", "new"))).await);
    }

    #[tokio::test]
    async fn an_unknown_user_costs_a_comparison_too() {
        let door = Doorkeeper::new();
        let hash = bcrypt::hash("x", 10).unwrap();
        let text = format!("basic_auth_users:\n  alice: {hash}\n");
        let users = WebConfig::parse(Path::new("web.yml"), &text).unwrap().users;
        let began = Instant::now();
        assert!(!door.admits(&users, Some(&basic("bob", "x"))).await);
        assert!(began.elapsed() > Duration::from_millis(5), "the dummy hash was not even compared");
    }
}
