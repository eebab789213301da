//! Who waits for the one comparison of passwords: few, and of one address fewer still.
//!
//! Addresses take turns, so that one that guesses without end is no more than one among others. Within an address the
//! newest connection is the first to go on, and the oldest makes room: who comes after a flood of guesses is not kept waiting
//! by it.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Addresses that wait.
const ADDRESSES: usize = 16;

/// Requests of one address that wait.
const OF_ONE_ADDRESS: usize = 4;

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client {
    /// Where from.
    pub(super) address: IpAddr,
    /// The number of the connection; newer ones have higher numbers.
    pub(super) number: u64,
}

/// The queue. Only one has its turn at a time.
#[derive(Debug, Default, Clone)]
pub(super) struct Queue {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    taken: bool,
    /// By address, the next one first; none is empty.
    waiting: VecDeque<(IpAddr, OfOneAddress)>,
}

/// Those of one address who wait, by the number of their connection.
type OfOneAddress = Vec<(u64, oneshot::Sender<Turn>)>;

/// A turn; the next one's when dropped.
#[derive(Debug)]
pub(super) struct Turn {
    queue: Queue,
}

impl Queue {
    /// A turn for a request of `client`. None when too many wait, also when that turns out later.
    pub(super) async fn turn(&self, client: Client) -> Option<Turn> {
        let turn = {
            let mut state = self.lock();
            if !state.taken {
                state.taken = true;
                return Some(Turn { queue: self.clone() });
            }
            state.wait(client)?
        };
        turn.await.ok()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wait(&mut self, client: Client) -> Option<oneshot::Receiver<Turn>> {
        let address = household(client.address);
        let (sender, receiver) = oneshot::channel();
        // Who hung up is gone already.
        self.waiting.retain_mut(|(_, same)| {
            same.retain(|(_, sender)| !sender.is_closed());
            !same.is_empty()
        });
        if let Some((_, same)) = self.waiting.iter_mut().find(|(other, _)| *other == address) {
            same.push((client.number, sender));
            same.sort_by_key(|(number, _)| *number);
            if same.len() > OF_ONE_ADDRESS {
                same.remove(0);
            }
        } else {
            if self.waiting.len() >= ADDRESSES {
                return None;
            }
            self.waiting.push_back((address, vec![(client.number, sender)]));
        }
        Some(receiver)
    }

    /// Whose turn is next. An address that has more who wait goes to the end.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let (address, mut same) = self.waiting.pop_front()?;
        let (_, next) = same.pop()?;
        if !same.is_empty() {
            self.waiting.push_back((address, same));
        }
        Some(next)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut state = self.queue.lock();
            let next = state.next();
            state.taken = next.is_some();
            next
        };
        if let Some(next) = next {
            // If the client hung up meanwhile, the turn comes back, is dropped, and is the next one's.
            drop(next.send(Self { queue: self.queue.clone() }));
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
    use tokio::task::JoinHandle;

    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn of(address: IpAddr, number: u64) -> Client {
        Client { address, number }
    }

    async fn ask(queue: &Queue, address: IpAddr, number: u64) -> JoinHandle<Option<Turn>> {
        let queue = queue.clone();
        let asked = tokio::spawn(async move { queue.turn(of(address, number)).await });
        // One thread runs these tests: whoever was spawned gets into the queue before we go on.
        tokio::task::yield_now().await;
        asked
    }

    #[tokio::test]
    async fn addresses_take_turns_and_the_newest_connection_goes_first() {
        let queue = Queue::default();
        let first = queue.turn(of(ONE, 0)).await.unwrap();
        let mut flood = Vec::new();
        for number in 0..200 {
            flood.push(ask(&queue, ONE, number).await);
        }
        let other = ask(&queue, OTHER, 1).await;
        let last = ask(&queue, ONE, 250).await;
        // Older connections whose requests come later.
        for number in 200..250 {
            flood.push(ask(&queue, ONE, number).await);
        }
        assert_eq!(flood.iter().filter(|asked| asked.is_finished()).count(), 250 - OF_ONE_ADDRESS + 1);
        drop(first);
        let turn = last.await.unwrap().expect("the newest");
        assert!(!other.is_finished(), "one at a time");
        drop(turn);
        drop(other.await.unwrap().expect("another address is next"));
        let mut served = 0;
        for asked in flood.into_iter().rev() {
            served += usize::from(asked.await.unwrap().is_some());
        }
        assert_eq!(served, OF_ONE_ADDRESS - 1);
        assert!(queue.turn(of(OTHER, 0)).await.is_some(), "everybody is gone");
    }

    #[tokio::test]
    async fn there_is_an_end_to_the_addresses() {
        let queue = Queue::default();
        let first = queue.turn(of(ONE, 0)).await.unwrap();
        let mut asked = Vec::new();
        for last in 0..100u8 {
            asked.push(ask(&queue, [10, 0, 0, last].into(), 0).await);
        }
        assert_eq!(asked.iter().filter(|asked| asked.is_finished()).count(), 100 - ADDRESSES);
        drop(first);
    }

    #[tokio::test]
    async fn who_hangs_up_takes_no_room_and_keeps_nobody_waiting() {
        let queue = Queue::default();
        let first = queue.turn(of(ONE, 0)).await.unwrap();
        for _ in 0..10 {
            let asked = ask(&queue, ONE, 1).await;
            asked.abort();
            assert!(asked.await.is_err());
        }
        let stays = ask(&queue, ONE, 1).await;
        let gone = ask(&queue, ONE, 1).await;
        gone.abort();
        assert!(gone.await.is_err());
        drop(first);
        assert!(stays.await.unwrap().is_some());
        assert!(queue.turn(of(ONE, 0)).await.is_some());
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
