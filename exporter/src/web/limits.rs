//! Limits for clients: connections, turns and time. Clients have less time while others wait.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::sleep;

/// The phase of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The client connects, negotiates TLS, and sends the head of its first request.
    Asking,
    Answering,
    Taking,
    Idle,
}

/// The limits that all connections share.
#[derive(Debug)]
pub(super) struct Limits {
    most_places: u32,
    places: Arc<Semaphore>,
    pub(super) most_turns: u32,
    turns: Arc<Semaphore>,
    /// Notified while a request waits for a turn.
    turn_wanted: Notify,
}

impl Limits {
    /// At most `most_places` connections, and at most `most_turns` requests at once; 0 means no limit on requests.
    pub(super) fn new(most_places: u32, most_turns: u32) -> Self {
        let turns = if most_turns == 0 { Semaphore::MAX_PERMITS } else { most_turns as usize };
        Self {
            most_places,
            places: Arc::new(Semaphore::new(most_places as usize)),
            most_turns,
            turns: Arc::new(Semaphore::new(turns)),
            turn_wanted: Notify::new(),
        }
    }

    /// Waits for a free place for a connection.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    /// Waits until all connections are closed. After that there are no free places.
    pub(super) async fn all_gone(&self) {
        if let Ok(all) = self.places.acquire_many(self.most_places).await {
            all.forget();
        }
    }

    /// A turn for a request, within `patience`: a short burst of other requests does not make a scrape fail.
    pub(super) async fn turn(&self, patience: Duration) -> Option<OwnedSemaphorePermit> {
        const STEP: Duration = Duration::from_millis(250);
        let ring = async {
            loop {
                sleep(STEP).await;
                self.turn_wanted.notify_waiters();
            }
        };
        tokio::select! {
            biased;
            turn = Arc::clone(&self.turns).acquire_owned() => turn.ok(),
            () = sleep(patience) => None,
            () = ring => None,
        }
    }

    /// Returns when a connection has exceeded the time for its phase.
    pub(super) async fn overdue(&self, mut phases: watch::Receiver<Phase>) {
        loop {
            let phase = *phases.borrow_and_update();
            tokio::select! {
                () = sleep(self.limit(phase)) => return,
                () = self.turn_needed(phase) => return,
                changed = phases.changed() => if changed.is_err() { return },
            }
        }
    }

    fn limit(&self, phase: Phase) -> Duration {
        let crowded = self.places.available_permits() < self.most_places as usize / 2;
        Duration::from_secs(match phase {
            Phase::Asking | Phase::Idle if crowded => 2,
            Phase::Asking => 10,
            // Longer than usual scrape intervals, so that Prometheus' connection stays open.
            Phase::Idle => 300,
            // Longer than the longest timeout that a client can request.
            Phase::Answering => 120,
            Phase::Taking => 30,
        })
    }

    /// Returns when a client is slow to receive its answer and another request waits for its turn.
    async fn turn_needed(&self, phase: Phase) {
        if phase != Phase::Taking {
            return std::future::pending().await;
        }
        sleep(Duration::from_secs(1)).await;
        self.turn_wanted.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_more_than_allowed_waits_and_is_refused() {
        let limits = Limits::new(9, 2);
        let held = (limits.turn(Duration::ZERO).await, limits.turn(Duration::ZERO).await);
        assert!(held.0.is_some() && held.1.is_some());
        let began = Instant::now();
        assert!(limits.turn(Duration::from_secs(3)).await.is_none());
        assert_eq!(began.elapsed().as_secs(), 3);
        drop(held);
        assert!(limits.turn(Duration::from_secs(3)).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn each_phase_has_its_limit_and_less_in_a_crowd() {
        let limits = Limits::new(4, 1);
        let seconds = async |phase| {
            let (_sender, phases) = watch::channel(phase);
            let began = Instant::now();
            limits.overdue(phases).await;
            began.elapsed().as_secs()
        };
        let of_all = async || {
            [
                seconds(Phase::Asking).await,
                seconds(Phase::Answering).await,
                seconds(Phase::Taking).await,
                seconds(Phase::Idle).await,
            ]
        };
        assert_eq!(of_all().await, [10, 120, 30, 300]);
        let _crowd = [limits.place().await, limits.place().await, limits.place().await];
        assert_eq!(of_all().await, [2, 120, 30, 2]);
    }
}
