//! The request for an exact count. It reads every point, so it may take longer than other requests.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::client::{Answer, Client};
use super::error::Error;
use super::retry;

impl Client {
    /// Requests a count. Retries after temporary failures with pauses of at most `patience` in total, but not after a timeout,
    /// which would happen again.
    ///
    /// The server stops a count after a minute unless the request has a longer timeout. If its strict mode forbids that, its own
    /// timeout is used.
    pub(super) async fn ask_for_count(
        &self,
        what: &str,
        path: &[&str],
        body: &Value,
        mut patience: Duration,
    ) -> Result<Answer, Error> {
        let limit = self.limits.count;
        let own = self.path(what, path)?;
        let mut longer = own.clone();
        longer.query_pairs_mut().append_pair("timeout", &limit.duration.as_secs().max(1).to_string());
        let mut url = &longer;
        let mut retries = 0;
        loop {
            let error = match self.send_to(what, Method::POST, url.clone(), Some(body), limit).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let told = *url == longer;
            if told
                && matches!(&error, Error::Status { status: 400, message, .. } if says(message, "timeout"))
            {
                tracing::debug!("{error}; retrying with the server's own timeout");
                url = &own;
            } else if matches!(&error, Error::Status { status: 408, message, .. } if says(message, "timed out"))
            {
                return Err(if told { Error::Timeout { what: what.to_owned(), limit } } else { error });
            } else if error.is_transient()
                && !matches!(error, Error::Timeout { .. })
                && retries < self.limits.retries
            {
                let delay = retry::delay(retries, error.retry_after(), fastrand::f64());
                if delay > patience {
                    return Err(error);
                }
                patience -= delay;
                self.pause(delay).await?;
                retries += 1;
            } else {
                return Err(error);
            }
        }
    }
}

fn says(message: &str, text: &str) -> bool {
    message.to_ascii_lowercase().contains(text)
}
