//! A dead man's service: it is called at the start, at success and at failure, and complains when it is not.
//!
//! The convention of paths is that of healthchecks.io and its kin: `URL/start`, `URL`, `URL/fail`.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::sleep;
use url::Url;

use crate::qdrant::{ClientOptions, http_client, without_tls_riddles};
use crate::settings::PingUrl;

/// How long one call may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often a call is made until it succeeds.
const TRIES: u32 = 3;
/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// The way to the service. Its address is a secret, so it is in no message.
#[derive(Debug, Clone)]
pub struct Ping {
    http: reqwest::Client,
    url: PingUrl,
}

impl Ping {
    /// A way to the service at `url`, which may have a certificate of an authority in `ca_file`.
    ///
    /// # Errors
    /// Says why there is none.
    pub fn new(url: &PingUrl, ca_file: Option<PathBuf>) -> Result<Self, String> {
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
        Ok(Self { http, url: url.clone() })
    }

    /// A run has begun.
    pub async fn start(&self) {
        self.call("start", Some("start")).await;
    }

    /// A run has succeeded.
    pub async fn success(&self) {
        self.call("success", None).await;
    }

    /// A run has failed.
    pub async fn failure(&self) {
        self.call("failure", Some("fail")).await;
    }

    async fn call(&self, what: &str, path: Option<&str>) {
        let url = address(self.url.expose(), path);
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
            "the dead man's service at {} could not be told of the {what}: {problem}; the backup itself is not affected by that",
            self.url
        );
    }
}

/// The address below which `path` stands.
fn address(base: &Url, path: Option<&str>) -> Url {
    let mut url = base.clone();
    if let Some(path) = path {
        let below = format!("{}/{path}", url.path().trim_end_matches('/'));
        url.set_path(&below);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_and_failure_are_below_the_address() {
        for base in ["https://ping.example/uuid", "https://ping.example/uuid/"] {
            let base = Url::parse(base).unwrap();
            assert_eq!(address(&base, Some("fail")).as_str(), "https://ping.example/uuid/fail");
            assert_eq!(address(&base, None), base);
        }
    }
}
