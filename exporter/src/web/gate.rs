//! Who is answered at all: the configuration, the rate limit, the password and the turns, in exporter-toolkit's order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::header::{AUTHORIZATION, CONNECTION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use hyper::{HeaderMap, StatusCode};
use rustls::ServerConfig;
use tokio::sync::OwnedSemaphorePermit;

use super::answer::{Answer, plain, refusal};
use super::auth::{Admission, Doorkeeper};
use super::config::Live;
use super::limits::Limits;
use super::queue::Client;
use super::rate::Rate;
use super::routes::{Route, Routes};

/// What Prometheus says of how long it waits.
const SCRAPE_TIMEOUT: &str = "x-prometheus-scrape-timeout-seconds";

/// Decides who is answered, and has them answered.
pub(super) struct Gate {
    live: Live,
    limits: Limits,
    rate: Rate,
    door: Doorkeeper,
    routes: Routes,
}

impl Gate {
    pub(super) fn new(live: Live, limits: Limits, routes: Routes) -> Self {
        Self { live, limits, rate: Rate::default(), door: Doorkeeper::new(), routes }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What the next handshake needs; none where connections are plain.
    pub(super) async fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.live.now().await.tls
    }

    /// Answers one request of `client`, with the turn that it took.
    pub(super) async fn answer(
        &self,
        head: &Parts,
        client: Client,
    ) -> (Answer, Option<OwnedSemaphorePermit>) {
        let in_force = self.live.now().await;
        let config = &in_force.config;
        if !self.rate.allows(config.rate_limit, Instant::now()) {
            return (refusal(StatusCode::TOO_MANY_REQUESTS), None);
        }
        let authorization = head.headers.get(AUTHORIZATION);
        let (mut answer, turn) = match self.door.admits(&config.users, authorization, client).await {
            Admission::Admitted => self.routed(head, in_force.current).await,
            Admission::Refused => {
                let mut answer = refusal(StatusCode::UNAUTHORIZED);
                answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
                (answer, None)
            }
            Admission::Busy => {
                let text = "Too many passwords are being checked, try again later.";
                let mut answer = plain(StatusCode::TOO_MANY_REQUESTS, text);
                answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
                // The next try is a new connection's, which goes before those that are waiting.
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                (answer, None)
            }
        };
        for (name, value) in &config.headers {
            answer.headers_mut().insert(name, value.clone());
        }
        (answer, turn)
    }

    async fn routed(&self, head: &Parts, current: Option<bool>) -> (Answer, Option<OwnedSemaphorePermit>) {
        let looks = match self.routes.find(head) {
            Route::Done(answer) => return (answer, None),
            Route::Looks(looks) => looks,
        };
        let (began, timeout) = (Instant::now(), timeout(&head.headers));
        let Some(turn) = self.limits.turn(timeout / 2).await else {
            let most = self.limits.most_turns();
            let text = format!("Limit of concurrent requests reached ({most}), try again later.");
            return (plain(StatusCode::SERVICE_UNAVAILABLE, &text), None);
        };
        let left = timeout.saturating_sub(began.elapsed());
        // In a box, so that what waits for its turn stays small.
        (Box::pin(self.routes.answer(looks, left, current)).await, Some(turn))
    }
}

/// How long a look may take for this request.
pub(super) fn timeout(headers: &HeaderMap) -> Duration {
    /// How long anybody but Prometheus is thought to wait.
    const DEFAULT: Duration = Duration::from_secs(10);
    /// Kept back for the answer's way; a short time-out keeps half of itself.
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
