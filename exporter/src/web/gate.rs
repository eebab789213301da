//! Who is answered at all: the configuration, the rate limit, the password and the turns, in exporter-toolkit's order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::header::{AUTHORIZATION, CONNECTION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use hyper::{HeaderMap, StatusCode};
use rustls::ServerConfig;

use super::answer::{Answer, plain, refusal};
use super::auth::{Admission, Doorkeeper};
use super::config::{InForce, Live, WebConfig};
use super::queue::Client;
use super::rate::Rate;
use super::routes::{Route, Routes};
use super::turns::{Turn, Turns};
use super::visitors::Visitors;

/// What Prometheus says of how long it waits.
const SCRAPE_TIMEOUT: &str = "x-prometheus-scrape-timeout-seconds";

/// How long anybody else is thought to wait.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Kept back of the time-out for the answer's way.
const MARGIN: Duration = Duration::from_millis(500);

/// Decides who is answered, and has them answered.
pub(super) struct Gate {
    live: Live,
    rate: Rate,
    door: Doorkeeper,
    turns: Turns,
    visitors: Arc<Visitors>,
    routes: Routes,
}

impl Gate {
    /// A gate before `routes`.
    pub(super) fn new(live: Live, turns: Turns, visitors: Arc<Visitors>, routes: Routes) -> Self {
        Self { live, rate: Rate::default(), door: Doorkeeper::new(), turns, visitors, routes }
    }

    /// What the next handshake needs; none where connections are plain.
    pub(super) async fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.live.now().await.tls
    }

    /// Answers one request of `client`, with the turn that it took.
    pub(super) async fn answer(&self, head: &Parts, client: Client) -> (Answer, Option<Turn>) {
        let InForce { config, current, .. } = self.live.now().await;
        if !self.rate.allows(config.rate_limit, Instant::now()) {
            return (refusal(StatusCode::TOO_MANY_REQUESTS), None);
        }
        let (mut answer, turn) = match self.admits(&config, &head.headers, client).await {
            Admission::Admitted => self.routed(head, current).await,
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

    async fn admits(&self, config: &WebConfig, headers: &HeaderMap, client: Client) -> Admission {
        if config.users.is_empty() {
            return Admission::Admitted;
        }
        self.door.admits(&config.users, headers.get(AUTHORIZATION), client).await
    }

    async fn routed(&self, head: &Parts, current: Option<bool>) -> (Answer, Option<Turn>) {
        let looks = match self.routes.find(head) {
            Route::Done(answer) => return (answer, None),
            Route::Looks(looks) => looks,
        };
        let until = Instant::now() + timeout(&head.headers);
        let patience = until.saturating_duration_since(Instant::now()) / 2;
        let Some(turn) = self.turns.take(&self.visitors, patience).await else {
            let text =
                format!("Limit of concurrent requests reached ({}), try again later.", self.turns.most());
            return (plain(StatusCode::SERVICE_UNAVAILABLE, &text), None);
        };
        let left = until.saturating_duration_since(Instant::now());
        (self.routes.answer(looks, left, current).await, Some(turn))
    }
}

/// How long a look may take for this request.
pub(super) fn timeout(headers: &HeaderMap) -> Duration {
    const LEAST: Duration = Duration::from_millis(100);
    const MOST: Duration = Duration::from_secs(60);
    let said = headers
        .get(SCRAPE_TIMEOUT)
        .and_then(|value| value.to_str().ok()?.parse::<f64>().ok())
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|timeout| !timeout.is_zero())
        .unwrap_or(DEFAULT_TIMEOUT);
    // A short time-out keeps half of itself.
    said.saturating_sub(MARGIN).max(said / 2).clamp(LEAST, MOST)
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
