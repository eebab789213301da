//! Who waits for the one comparison of passwords: of each address one request, and of few addresses.
//!
//! Addresses take turns, so that one that guesses without end is no more than one among others. Within an address the
//! newest connection takes the place of the one that waits, so that who comes after a flood of guesses is not kept out by it.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::time::Instant;

/// Addresses that wait.
const ADDRESSES: usize = 16;

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client {
    pub(super) address: IpAddr,
    pub(super) since: Instant,
}

/// The queue. Only one has its turn at a time.
#[derive(Debug, Default, Clone)]
pub(super) struct Queue(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    taken: bool,
    /// The next one first, no two of one address.
    waiting: VecDeque<(Client, oneshot::Sender<Turn>)>,
}

/// A turn; the next one's when dropped.
#[derive(Debug)]
pub(super) struct Turn(Queue);

impl Queue {
    /// A turn for a request of `client`. None when too many wait, also when that turns out later.
    pub(super) async fn turn(&self, client: Client) -> Option<Turn> {
        let turn = {
            let mut state = self.lock();
            if !state.taken {
                state.taken = true;
                return Some(Turn(self.clone()));
            }
            state.wait(Client { address: household(client.address), ..client })?
        };
        turn.await.ok()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wait(&mut self, client: Client) -> Option<oneshot::Receiver<Turn>> {
        let (sender, receiver) = oneshot::channel();
        // Who hung up is gone already.
        self.waiting.retain(|(_, sender)| !sender.is_closed());
        match self.waiting.iter().position(|(other, _)| other.address == client.address) {
            Some(at) if self.waiting[at].0.since > client.since => return None,
            Some(at) => self.waiting[at] = (client, sender),
            None if self.waiting.len() >= ADDRESSES => return None,
            None => self.waiting.push_back((client, sender)),
        }
        Some(receiver)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut state = self.0.lock();
            let next = state.waiting.pop_front();
            state.taken = next.is_some();
            next
        };
        if let Some((_, next)) = next {
            // If the client hung up meanwhile, the turn comes back, is dropped, and is the next one's.
            drop(next.send(Self(self.0.clone())));
        }
    }
}

/// The address as one client: with IPv6, a household or a machine has all the addresses of a /64.
fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::task::JoinHandle;

    use super::*;

    /// What became of a request of the client that connected `since` seconds after the others, once it is in the queue.
    async fn ask(queue: &Queue, address: [u8; 4], since: u64) -> JoinHandle<Option<Turn>> {
        let client = Client { address: address.into(), since: Instant::now() + Duration::from_secs(since) };
        let queue = queue.clone();
        let asked = tokio::spawn(async move { queue.turn(client).await });
        // One thread runs these tests: whoever was spawned gets into the queue before we go on.
        tokio::task::yield_now().await;
        asked
    }

    const ONE: [u8; 4] = [192, 0, 2, 1];
    const OTHER: [u8; 4] = [192, 0, 2, 2];

    #[tokio::test(start_paused = true)]
    async fn addresses_take_turns_and_of_each_the_newest_connection_waits() {
        let queue = Queue::default();
        let first = ask(&queue, ONE, 0).await.await.unwrap();
        let older = ask(&queue, ONE, 1).await;
        let other = ask(&queue, OTHER, 2).await;
        let newest = ask(&queue, ONE, 9).await;
        assert!(older.await.unwrap().is_none(), "the newest has its place");
        // An older connection whose request comes later.
        assert!(ask(&queue, ONE, 3).await.await.unwrap().is_none());
        drop(first);
        let turn = newest.await.unwrap().expect("its address was first");
        assert!(!other.is_finished(), "one at a time");
        drop(turn);
        assert!(other.await.unwrap().is_some());
        assert!(ask(&queue, OTHER, 0).await.await.unwrap().is_some(), "everybody is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_an_end_to_the_addresses_and_who_hangs_up_takes_no_room() {
        let queue = Queue::default();
        let first = ask(&queue, ONE, 0).await.await.unwrap();
        for last in 0..100 {
            let asked = ask(&queue, [10, 0, 0, last], 0).await;
            assert_eq!(asked.is_finished(), usize::from(last) >= ADDRESSES);
            if last == 0 {
                asked.abort();
                assert!(asked.await.is_err());
                drop(ask(&queue, [10, 0, 0, last], 0).await);
            }
        }
        drop(first);
        assert!(ask(&queue, OTHER, 0).await.await.unwrap().is_some(), "nobody who left keeps the turn");
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
