//! Checks a request before it is answered: configuration, password and turns, in exporter-toolkit's order.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use hyper::{HeaderMap, StatusCode};
use rustls::ServerConfig;
use tokio::sync::OwnedSemaphorePermit;

use super::answer::{Answer, plain, refusal};
use super::auth::{Admission, Doorkeeper};
use super::config::Live;
use super::limits::Limits;
use super::routes::Routes;

/// The header with Prometheus' scrape timeout.
const SCRAPE_TIMEOUT: &str = "x-prometheus-scrape-timeout-seconds";

/// Checks requests and passes them on.
pub(super) struct Gate {
    live: Live,
    pub(super) limits: Limits,
    door: Doorkeeper,
    pub(super) routes: Routes,
}

impl Gate {
    pub(super) fn new(live: Live, limits: Limits, routes: Routes) -> Self {
        Self { live, limits, door: Doorkeeper::new(), routes }
    }

    /// The settings for the next handshake. None for plain connections.
    pub(super) async fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.live.now().await.tls
    }

    /// Answers a request from `client`, together with the turn it holds.
    pub(super) async fn answer(
        &self,
        head: &Parts,
        client: IpAddr,
    ) -> (Answer, Option<OwnedSemaphorePermit>) {
        let in_force = self.live.now().await;
        let config = &in_force.config;
        let authorization = head.headers.get(AUTHORIZATION);
        let (mut answer, turn) = match self.door.admits(&config.users, authorization, client).await {
            Admission::Admitted => self.routed(head, in_force.current).await,
            Admission::Refused => (refusal(StatusCode::UNAUTHORIZED, &[(WWW_AUTHENTICATE, "Basic")]), None),
            // Too many passwords from this address are being compared.
            Admission::Busy => (refusal(StatusCode::TOO_MANY_REQUESTS, &[(RETRY_AFTER, "1")]), None),
        };
        for (name, value) in &config.headers {
            answer.headers_mut().insert(name, value.clone());
        }
        (answer, turn)
    }

    async fn routed(&self, head: &Parts, current: Option<bool>) -> (Answer, Option<OwnedSemaphorePermit>) {
        let looks = match self.routes.find(head) {
            ControlFlow::Continue(looks) => looks,
            ControlFlow::Break(answer) => return (answer, None),
        };
        let (began, timeout) = (Instant::now(), timeout(&head.headers));
        let Some(turn) = self.limits.turn(timeout / 2).await else {
            let most = self.limits.most_turns;
            let text = format!("Limit of concurrent requests reached ({most}), try again later.");
            return (plain(StatusCode::SERVICE_UNAVAILABLE, &text), None);
        };
        let left = timeout.saturating_sub(began.elapsed());
        // Boxed, so that a waiting request stays small.
        let answer = Box::pin(self.routes.answer(looks, left, current)).await;
        (answer.unwrap_or_else(|| refusal(StatusCode::INTERNAL_SERVER_ERROR, &[])), Some(turn))
    }
}

/// The maximum duration of an observation for this request.
pub(super) fn timeout(headers: &HeaderMap) -> Duration {
    /// The assumed timeout of clients other than Prometheus.
    const DEFAULT: Duration = Duration::from_secs(10);
    /// Reserved for sending the answer. With a short timeout, half of it is reserved.
    const MARGIN: Duration = Duration::from_millis(500);
    let said = headers
        .get(SCRAPE_TIMEOUT)
        .and_then(|value| value.to_str().ok()?.parse::<f64>().ok())
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|timeout| !timeout.is_zero())
        .unwrap_or(DEFAULT);
    said.saturating_sub(MARGIN).max(said / 2).clamp(Duration::from_millis(100), Duration::from_secs(60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_time_out_is_kept_with_a_margin() {
        let milliseconds = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(SCRAPE_TIMEOUT, value.parse().unwrap());
            timeout(&headers).as_millis()
        };
        assert_eq!(timeout(&HeaderMap::new()).as_millis(), 9500);
        assert_eq!(milliseconds("10"), 9500);
        assert_eq!(milliseconds("2.5"), 2000);
        assert_eq!(milliseconds("0.4"), 200);
        assert_eq!(milliseconds("1e9"), 60_000);
        for bad in ["0", "-1", "NaN", "inf", "soon"] {
            assert_eq!(milliseconds(bad), 9500, "{bad}");
        }
    }
}
