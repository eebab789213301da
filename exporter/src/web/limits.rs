//! What a client may take: a place, a turn, and time. It has less time while others wait.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::sleep;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The client connects, agrees on TLS, and sends the head of its first request.
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
    /// Rung while somebody waits for a turn.
    turn_wanted: Notify,
}

impl Limits {
    /// `most_places` connections, and `most_turns` requests that are answered at once; 0 is no limit on these.
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

    /// A place for a connection, as soon as there is one.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    /// Returns when there is no connection any more. There is no place from then on.
    pub(super) async fn all_gone(&self) {
        if let Ok(all) = self.places.acquire_many(self.most_places).await {
            all.forget();
        }
    }

    /// A turn for a request, within `patience`: a burst of strangers does not cost Prometheus a scrape.
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

    /// Returns when a connection has taken too long for one of its phases.
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
            // Longer than any usual scrape interval, so that Prometheus' connection lasts.
            Phase::Idle => 300,
            // Longer than the longest time-out that a client can ask for.
            Phase::Answering => 120,
            Phase::Taking => 30,
        })
    }

    /// Who is slow to take an answer gives up the turn when somebody else waits for one.
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
