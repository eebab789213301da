//! `--web.max-requests`: how many requests are answered at once.
//!
//! A request beyond that waits a moment instead of being refused at once, so that a burst of strangers does not cost
//! Prometheus a scrape. Clients that are slow to take their answers lose their turn to those who wait.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::visitors::Visitors;

/// A request's turn, given back when dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
}

/// The turns there are.
#[derive(Debug)]
pub(super) struct Turns {
    most: u32,
    free: Arc<Semaphore>,
}

impl Turns {
    /// `most` turns; as many as there are connections when 0.
    pub(super) fn new(most: u32) -> Self {
        let permits = if most == 0 { Semaphore::MAX_PERMITS } else { most as usize };
        Self { most, free: Arc::new(Semaphore::new(permits)) }
    }

    /// The number that was configured.
    pub(super) fn most(&self) -> u32 {
        self.most
    }

    /// A turn, within `patience`.
    pub(super) async fn take(&self, visitors: &Visitors, patience: Duration) -> Option<Turn> {
        /// How often slow clients are looked for meanwhile.
        const STEP: Duration = Duration::from_millis(250);
        let until = Instant::now() + patience;
        let acquire = Arc::clone(&self.free).acquire_owned();
        tokio::pin!(acquire);
        loop {
            let step = (Instant::now() + STEP).min(until);
            match timeout_at(step, &mut acquire).await {
                Ok(permit) => return permit.ok().map(|permit| Turn { _permit: permit }),
                Err(_) if Instant::now() >= until => return None,
                Err(_) => visitors.evict_slowest(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_more_than_allowed_waits_and_is_refused() {
        let visitors = Visitors::new(9);
        let turns = Turns::new(2);
        let first = turns.take(&visitors, Duration::ZERO).await;
        let second = turns.take(&visitors, Duration::ZERO).await;
        assert!(first.is_some() && second.is_some());
        let began = Instant::now();
        assert!(turns.take(&visitors, Duration::from_secs(3)).await.is_none());
        assert_eq!(began.elapsed().as_secs(), 3);
        drop(first);
        assert!(turns.take(&visitors, Duration::from_secs(3)).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_take_its_answer_loses_its_turn() {
        let visitors = Arc::new(Visitors::new(9));
        let turns = Turns::new(1);
        let place = visitors.admit().unwrap();
        let held = turns.take(&visitors, Duration::ZERO).await.unwrap();
        let answering = place.visitor.answer();
        answering.ready();
        let slow = tokio::spawn(async move {
            place.visitor.overdue().await;
            drop((held, answering, place));
        });
        let began = Instant::now();
        assert!(turns.take(&visitors, Duration::from_secs(5)).await.is_some());
        assert!(began.elapsed() < Duration::from_secs(2));
        slow.await.unwrap();
    }
}
