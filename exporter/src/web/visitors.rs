//! The connections that are open: how many, what each is doing, and who has to go when there are too many.
//!
//! A connection that is being answered is never closed to make room. One that only dawdles is: the one that has
//! dawdled longest first. So clients that open connections and say nothing keep nobody else out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Agreeing on TLS.
    Handshake,
    /// Connected, and not a byte has come.
    Silent,
    /// Nothing: the next request may come or not.
    Idle,
    /// The client has begun to ask.
    Asking,
    /// We work on the answer.
    Answering,
    /// The client takes the answer.
    Taking,
    /// It has to go.
    Evicted,
}

impl Phase {
    /// How long it may last.
    fn limit(self) -> Option<Duration> {
        match self {
            Self::Handshake | Self::Silent | Self::Asking => Some(Duration::from_secs(10)),
            Self::Taking => Some(Duration::from_secs(30)),
            // Longer than any usual scrape interval, so that Prometheus' connection lasts.
            Self::Idle => Some(Duration::from_secs(300)),
            Self::Answering => None,
            Self::Evicted => Some(Duration::ZERO),
        }
    }
}

/// One connection, as the others see it.
#[derive(Debug)]
pub(super) struct Visitor {
    id: u64,
    phase: watch::Sender<(Phase, Instant)>,
    /// Answers under way: HTTP/2 has several in one connection.
    answers: AtomicUsize,
}

impl Visitor {
    fn new(id: u64) -> Self {
        let (phase, _) = watch::channel((Phase::Handshake, Instant::now()));
        Self { id, phase, answers: AtomicUsize::new(0) }
    }

    /// The number of the connection; later ones have higher numbers.
    pub(super) fn number(&self) -> u64 {
        self.id
    }

    fn now(&self) -> (Phase, Instant) {
        *self.phase.borrow()
    }

    /// Enters another phase, unless it is over.
    pub(super) fn enter(&self, phase: Phase) {
        self.phase.send_if_modified(|current| {
            let changes = current.0 != phase && current.0 != Phase::Evicted;
            if changes {
                *current = (phase, Instant::now());
            }
            changes
        });
    }

    /// Notes that bytes came: the client has begun to ask.
    pub(super) fn heard(&self) {
        if self.wants_nothing() {
            self.enter(Phase::Asking);
        }
    }

    /// Whether nothing was asked, or everything was answered.
    pub(super) fn wants_nothing(&self) -> bool {
        matches!(self.now().0, Phase::Handshake | Phase::Silent | Phase::Idle)
    }

    /// Notes that an answer is begun; it lasts until the guard is dropped.
    pub(super) fn answer(self: &Arc<Self>) -> Answering {
        self.answers.fetch_add(1, Ordering::Relaxed);
        self.enter(Phase::Answering);
        Answering { visitor: Arc::clone(self) }
    }

    /// Returns when the connection has dawdled too long, or has to make room.
    pub(super) async fn overdue(&self) {
        let mut phases = self.phase.subscribe();
        loop {
            let (phase, since) = *phases.borrow_and_update();
            let over = async {
                match phase.limit() {
                    Some(limit) => sleep_until(since + limit).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = over => return,
                changed = phases.changed() => if changed.is_err() { return },
            }
        }
    }
}

/// An answer under way.
#[derive(Debug)]
pub(super) struct Answering {
    visitor: Arc<Visitor>,
}

impl Answering {
    /// Notes that the answer is ready and only has to be taken.
    pub(super) fn ready(&self) {
        self.visitor.enter(Phase::Taking);
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if self.visitor.answers.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.visitor.enter(Phase::Idle);
        }
    }
}

/// Everybody who is connected.
#[derive(Debug)]
pub(super) struct Visitors {
    most: usize,
    state: Mutex<State>,
    left: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    present: BTreeMap<u64, Arc<Visitor>>,
}

/// A place among the visitors, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) visitor: Arc<Visitor>,
    visitors: Arc<Visitors>,
}

impl Visitors {
    /// Room for `most` connections.
    pub(super) fn new(most: usize) -> Self {
        Self { most, state: Mutex::default(), left: watch::channel(0).0 }
    }

    /// A place for one more, at the cost of whoever has dawdled longest where there is no room. None when everybody
    /// is being answered.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Place> {
        let mut state = self.lock();
        if state.present.len() >= self.most {
            let longest = state
                .present
                .values()
                .filter(|visitor| visitor.now().0 != Phase::Answering)
                .min_by_key(|visitor| visitor.now().1)?;
            let id = longest.id;
            longest.enter(Phase::Evicted);
            state.present.remove(&id);
        }
        state.next_id += 1;
        let visitor = Arc::new(Visitor::new(state.next_id));
        state.present.insert(visitor.id, Arc::clone(&visitor));
        self.left.send_replace(state.present.len());
        Some(Place { visitor, visitors: Arc::clone(self) })
    }

    /// Closes the connection that has been taking its answer longest, if any has for more than a second. Its turn
    /// goes to somebody else.
    pub(super) fn evict_slowest(&self) {
        const PATIENCE: Duration = Duration::from_secs(1);
        let now = Instant::now();
        let state = self.lock();
        let slowest = state
            .present
            .values()
            .filter(|visitor| visitor.now().0 == Phase::Taking)
            .min_by_key(|visitor| visitor.now().1)
            .filter(|visitor| now.duration_since(visitor.now().1) > PATIENCE);
        if let Some(slowest) = slowest {
            slowest.enter(Phase::Evicted);
        }
    }

    /// Returns when nobody is connected.
    pub(super) async fn gone(&self) {
        let mut left = self.left.subscribe();
        // The sender is ours, so that it went away cannot be how the waiting ends.
        while *left.borrow_and_update() > 0 && left.changed().await.is_ok() {}
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.visitors.lock();
        state.present.remove(&self.visitor.id);
        self.visitors.left.send_replace(state.present.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn room_is_made_by_the_one_who_dawdled_longest_and_never_by_one_being_answered() {
        let visitors = Arc::new(Visitors::new(3));
        let answered = visitors.admit().unwrap();
        let _answering = answered.visitor.answer();
        let second = visitors.admit().unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        let third = visitors.admit().unwrap();
        let _fourth = visitors.admit().unwrap();
        assert_eq!(second.visitor.now().0, Phase::Evicted);
        assert_eq!(third.visitor.now().0, Phase::Handshake);
        assert_eq!(answered.visitor.now().0, Phase::Answering);
        tokio::time::timeout(Duration::from_millis(1), second.visitor.overdue()).await.unwrap();
        drop((second, third));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_admitted_while_everybody_is_being_answered() {
        let visitors = Arc::new(Visitors::new(1));
        let only = visitors.admit().unwrap();
        let answering = only.visitor.answer();
        assert!(visitors.admit().is_none());
        drop(answering);
        assert!(visitors.admit().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn each_phase_has_its_limit() {
        let visitors = Arc::new(Visitors::new(9));
        let seconds = |phase: Option<Phase>| {
            let place = visitors.admit().unwrap();
            async move {
                if let Some(phase) = phase {
                    place.visitor.enter(phase);
                }
                let began = Instant::now();
                let over = tokio::time::timeout(Duration::from_secs(1000), place.visitor.overdue()).await;
                over.ok().map(|()| began.elapsed().as_secs())
            }
        };
        assert_eq!(seconds(None).await, Some(10));
        assert_eq!(seconds(Some(Phase::Silent)).await, Some(10));
        assert_eq!(seconds(Some(Phase::Asking)).await, Some(10));
        assert_eq!(seconds(Some(Phase::Taking)).await, Some(30));
        assert_eq!(seconds(Some(Phase::Idle)).await, Some(300));
        assert_eq!(seconds(Some(Phase::Answering)).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_slowest_reader_goes_after_a_second() {
        let visitors = Arc::new(Visitors::new(9));
        let place = visitors.admit().unwrap();
        let answering = place.visitor.answer();
        answering.ready();
        visitors.evict_slowest();
        assert_eq!(place.visitor.now().0, Phase::Taking);
        tokio::time::advance(Duration::from_millis(1001)).await;
        visitors.evict_slowest();
        assert_eq!(place.visitor.now().0, Phase::Evicted);
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_in_an_idle_connection_begin_a_question() {
        let visitors = Arc::new(Visitors::new(9));
        let place = visitors.admit().unwrap();
        drop(place.visitor.answer());
        assert_eq!(place.visitor.now().0, Phase::Idle);
        place.visitor.heard();
        assert_eq!(place.visitor.now().0, Phase::Asking);
        drop(place);
        visitors.gone().await;
    }
}
