//! Basic auth: identifies users by passwords with bcrypt hashes.
//!
//! Bcrypt is slow on purpose, so one comparison runs at a time, and only few requests per address may wait for it: a
//! flood of guesses from one address does not lock out others. A correct password is remembered, so that a known
//! client never waits. Wrong ones are not, so that guesses cannot displace it. Unknown users take as much time as
//! known ones.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::config::PasswordHash;

/// The hash to compare an unknown user's password with. No known password matches it.
const NOBODY: &str = "ks8oSGYcuGv0S9Vn9XQm5.kK0cZUhqvO7FDmGB4p5aVyU2pZBFr8u";

/// Maximum number of requests per address whose password is being compared or waits for that.
const OF_ONE: usize = 4;

/// The result for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    Admitted,
    Refused,
    /// Not checked, because too many requests from its address are waiting.
    Busy,
}

/// Compares passwords.
#[derive(Debug)]
pub(super) struct Doorkeeper {
    /// Makes digests unpredictable outside of this process, which prevents timing attacks on comparisons.
    salt: [u64; 2],
    /// The last correct password of each user. The proof includes the hash that it was compared with, so a changed
    /// hash invalidates it.
    known: Mutex<BTreeMap<String, Proof>>,
    comparing: Arc<Semaphore>,
    waiting: Waiting,
}

type Proof = [u8; 32];

/// The addresses of requests whose password is being compared or waits for that.
type Waiting = Arc<Mutex<Vec<IpAddr>>>;

/// An entry in this list, removed on drop.
struct Place(Waiting, IpAddr);

impl Doorkeeper {
    pub(super) fn new() -> Self {
        let salt = [(); 2].map(|()| RandomState::new().hash_one(0));
        let (comparing, waiting) = (Arc::new(Semaphore::new(1)), Waiting::default());
        Self { salt, known: Mutex::default(), comparing, waiting }
    }

    /// Whether the `Authorization` header from `client` has one of `users` with the right password. Without users,
    /// every client is admitted.
    pub(super) async fn admits(
        &self,
        users: &BTreeMap<String, PasswordHash>,
        authorization: Option<&HeaderValue>,
        client: IpAddr,
    ) -> Admission {
        if users.is_empty() {
            return Admission::Admitted;
        }
        let Some((user, password)) = authorization.and_then(credentials) else { return Admission::Refused };
        let hash = users.get(&user).map(PasswordHash::expose);
        let proof = self.proof(hash.unwrap_or_default(), &user, &password);
        let is_known = || lock(&self.known).get(&user) == Some(&proof);
        if is_known() {
            return Admission::Admitted;
        }
        let Some(place) = Place::take(&self.waiting, client) else { return Admission::Busy };
        let Ok(turn) = Arc::clone(&self.comparing).acquire_owned().await else { return Admission::Busy };
        if is_known() {
            return Admission::Admitted;
        }
        let cost = users.values().map(PasswordHash::cost).max().unwrap_or(10);
        let compared_with = hash.map_or_else(|| format!("$2b${cost:02}${NOBODY}"), str::to_owned);
        let compared = tokio::task::spawn_blocking(move || {
            let right = bcrypt::verify(password, &compared_with).unwrap_or(false);
            // Not earlier: the comparison continues if the client disconnects.
            drop((place, turn));
            right
        });
        if !compared.await.unwrap_or(false) || hash.is_none() {
            return Admission::Refused;
        }
        let mut known = lock(&self.known);
        known.retain(|user, _| users.contains_key(user));
        known.insert(user, proof);
        Admission::Admitted
    }

    /// Combines a password with its user and the hash to compare with. A user's name contains no colon.
    fn proof(&self, hash: &str, user: &str, password: &[u8]) -> Proof {
        let salt = self.salt.map(u64::to_ne_bytes).concat();
        let text = [&salt, hash.as_bytes(), &[0], user.as_bytes(), b":", password].concat();
        Sha256::digest(text).into()
    }
}

impl Place {
    /// An entry for a request of `client`, unless too many of its requests wait.
    fn take(waiting: &Waiting, client: IpAddr) -> Option<Self> {
        let (client, mut addresses) = (household(client), lock(waiting));
        let is_free = addresses.iter().filter(|other| **other == client).count() < OF_ONE;
        is_free.then(|| {
            addresses.push(client);
            Self(Arc::clone(waiting), client)
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut addresses = lock(&self.0);
        if let Some(at) = addresses.iter().position(|client| *client == self.1) {
            addresses.swap_remove(at);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The address that identifies a client. With IPv6, a household or a machine has a whole /64.
fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
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

    use super::super::config::WebConfig;
    use super::*;

    type Users = BTreeMap<String, PasswordHash>;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// Whether access is granted. Must not be busy.
    async fn admits(door: &Doorkeeper, users: &Users, authorization: &HeaderValue) -> bool {
        let admission = door.admits(users, Some(authorization), HERE).await;
        assert_ne!(admission, Admission::Busy);
        admission == Admission::Admitted
    }

    fn users(name: &str, password: &str) -> Users {
        let hash = bcrypt::hash(password, 4).unwrap();
        let text = format!("basic_auth_users:\n  {name}: {hash}\n");
        WebConfig::parse(Path::new("web.yml"), &text).unwrap().users
    }

    fn basic(user: &str, password: &str) -> HeaderValue {
        HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))).unwrap()
    }

    #[tokio::test]
    async fn guesses_of_one_address_keep_out_neither_who_is_known_nor_other_addresses() {
        let door = Arc::new(Doorkeeper::new());
        let users = Arc::new(users("alice", "right"));
        assert!(admits(&door, &users, &basic("alice", "right")).await);
        // Blocks all comparisons until it is dropped.
        let comparing = Arc::clone(&door.comparing).acquire_owned().await.unwrap();
        let ask = |client: &str, password: &str| {
            let (door, users, client) = (Arc::clone(&door), Arc::clone(&users), client.parse().unwrap());
            let guess = basic("alice", password);
            tokio::spawn(async move { door.admits(&users, Some(&guess), client).await })
        };
        let guesses: Vec<_> =
            (0..250).map(|number| ask(&format!("2001:db8::{number}"), &format!("guess {number}"))).collect();
        while guesses.iter().filter(|guess| guess.is_finished()).count() < 250 - OF_ONE {
            tokio::task::yield_now().await;
        }
        assert!(admits(&door, &users, &basic("alice", "right")).await, "who is known waits for nobody");
        let other = ask("2001:db8:0:1::1", "wrong");
        tokio::task::yield_now().await;
        // A client that disconnects frees its entry.
        let mut guesses = guesses.into_iter().filter(|guess| !guess.is_finished()).collect::<Vec<_>>();
        guesses[0].abort();
        assert!(guesses.remove(0).await.is_err());
        guesses.push(ask("2001:db8::1", "one more"));
        tokio::task::yield_now().await;
        assert_eq!(ask("2001:db8::2", "too many").await.unwrap(), Admission::Busy);
        drop(comparing);
        for waited in guesses.into_iter().chain([other]) {
            assert_eq!(waited.await.unwrap(), Admission::Refused);
        }
        assert!(lock(&door.waiting).is_empty());
    }

    #[test]
    fn the_addresses_of_one_client_are_one() {
        let one = |address: &str| household(address.parse().unwrap()).to_string();
        assert_eq!(one("::ffff:192.0.2.1"), one("192.0.2.1"));
        assert_ne!(one("192.0.2.1"), one("192.0.2.2"));
        assert_eq!(one("2001:db8::1"), one("2001:db8::ffff:1"));
        assert_ne!(one("2001:db8::1"), one("2001:db8:0:1::1"));
    }
}
