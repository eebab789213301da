//! A dead man's switch: a service that gets a ping at start, success and failure, and alerts when none arrives.
//!
//! healthchecks.io and similar services have a path for each: `URL/start`, `URL`, `URL/fail`. Uptime Kuma has one URL with the
//! outcome in the query, and no ping for the start.

use std::path::PathBuf;
use std::time::Duration;

use qdrant_backup_shared::config_file::PingStyle;
use tokio::time::sleep;
use url::Url;

use crate::qdrant::{ClientOptions, http_client, without_tls_riddles};
use crate::settings::PingUrl;

/// Timeout of one call.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of attempts.
const TRIES: u32 = 3;
/// Pause between attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// The client for the service. Its URL is secret and appears in no message.
#[derive(Debug, Clone)]
pub struct Ping {
    http: reqwest::Client,
    url: PingUrl,
    style: PingStyle,
}

/// The event to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Start,
    Success,
    Failure,
}

impl Ping {
    /// A client for the service at `url`, whose certificate may be signed by an authority in `ca_file`.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn new(url: &PingUrl, style: PingStyle, ca_file: Option<PathBuf>) -> Result<Self, String> {
        let options = ClientOptions {
            url: url.expose().clone(),
            basic_auth: None,
            api_key: None,
            ca_file,
            identity: None,
            proxy: None,
            connect_timeout: TIMEOUT,
            stall_timeout: TIMEOUT,
            request_timeout: TIMEOUT,
            create_timeout: TIMEOUT,
            count_timeout: TIMEOUT,
            retries: 0,
        };
        let http = http_client(&options).map_err(|error| error.to_string())?;
        Ok(Self { http, url: url.clone(), style })
    }

    /// A run has started.
    pub async fn start(&self) {
        self.call("start", Event::Start).await;
    }

    /// A run has succeeded.
    pub async fn success(&self) {
        self.call("success", Event::Success).await;
    }

    /// A run has failed.
    pub async fn failure(&self) {
        self.call("failure", Event::Failure).await;
    }

    async fn call(&self, what: &str, event: Event) {
        let Some(url) = address(self.url.expose(), self.style, event) else { return };
        let mut problem = String::new();
        for attempt in 0..TRIES {
            if attempt > 0 {
                sleep(PAUSE).await;
            }
            match self.http.get(url.clone()).timeout(TIMEOUT).send().await {
                Ok(answer) if answer.status().is_success() => return,
                Ok(answer) => problem = format!("it answers {}", answer.status()),
                Err(error) => problem = without_tls_riddles(&error.without_url()),
            }
        }
        tracing::warn!(
            "cannot report the {what} to the dead man's switch at {}: {problem}; the backup itself is not affected",
            self.url
        );
    }
}

/// The URL to call for `event`. None if the service does not need it.
fn address(base: &Url, style: PingStyle, event: Event) -> Option<Url> {
    let mut url = base.clone();
    match (style, event) {
        (PingStyle::Healthchecks, Event::Success) => {}
        (PingStyle::Healthchecks, Event::Start | Event::Failure) => {
            let path = if event == Event::Start { "start" } else { "fail" };
            let below = format!("{}/{path}", url.path().trim_end_matches('/'));
            url.set_path(&below);
        }
        // It would count as a success.
        (PingStyle::UptimeKuma, Event::Start) => return None,
        (PingStyle::UptimeKuma, Event::Success) => say(&mut url, "up", "OK"),
        (PingStyle::UptimeKuma, Event::Failure) => say(&mut url, "down", "failed"),
    }
    Some(url)
}

/// Sets status and message in the query, and keeps the rest.
fn say(url: &mut Url, status: &str, message: &str) {
    let said = |name: &str| matches!(name, "status" | "msg");
    let others: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| !said(name))
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    url.query_pairs_mut().clear().extend_pairs([("status", status), ("msg", message)]).extend_pairs(others);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(base: &str, style: PingStyle, event: Event) -> Option<String> {
        address(&Url::parse(base).unwrap(), style, event).map(String::from)
    }

    #[test]
    fn start_and_failure_are_below_the_address_and_before_its_query() {
        let style = PingStyle::Healthchecks;
        for base in ["https://ping.example/uuid", "https://ping.example/uuid/"] {
            let fail = called(base, style, Event::Failure);
            assert_eq!(fail.as_deref(), Some("https://ping.example/uuid/fail"));
            assert_eq!(called(base, style, Event::Success).as_deref(), Some(base));
        }
        let start = called("https://ping.example/key/slug?create=1", style, Event::Start);
        assert_eq!(start.as_deref(), Some("https://ping.example/key/slug/start?create=1"));
    }

    #[test]
    fn uptime_kuma_is_told_in_the_query_and_not_of_the_start() {
        let style = PingStyle::UptimeKuma;
        for (base, rest) in [
            ("https://kuma.example/api/push/token?status=up&msg=OK&ping=", "&ping="),
            ("https://kuma.example/api/push/token", ""),
            ("https://kuma.example/api/push/token?msg=mine&status=down&a=b%26c", "&a=b%26c"),
        ] {
            let url = "https://kuma.example/api/push/token";
            assert_eq!(called(base, style, Event::Start), None);
            assert_eq!(called(base, style, Event::Success), Some(format!("{url}?status=up&msg=OK{rest}")));
            assert_eq!(
                called(base, style, Event::Failure),
                Some(format!("{url}?status=down&msg=failed{rest}"))
            );
        }
    }
}
