//! One node's REST API, as far as backups need it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::collection_name::ImpossibleName;
use qdrant_backup_shared::text::{one_line, shortened};
use reqwest::header::{DATE, LOCATION, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::answers::{
    Alias, Aliases, CollectionCluster, CollectionInfo, Collections, Envelope, RawSnapshot, Root, Snapshot,
    SnapshotList,
};
use super::error::Error;
use super::limit::Limit;
use super::protocol;
use super::retry;
use super::snapshot_name::SnapshotName;
use super::subject::Subject;
use super::tls;
use super::transport::{ClientOptions, http_client, root_cause, without_credentials};
use super::transport_error::TransportError;

/// Maximum size of an answer that is read completely.
pub(super) const ANSWER_MAX_BYTES: usize = 64 << 20;
/// Maximum length of an error's text.
const ERROR_TEXT_MAX_BYTES: usize = 16 << 10;
const ERROR_TEXT_MAX_CHARS: usize = 400;
/// Encoded characters in a name: all except those without a meaning in URLs. The URL library would drop tabs and newlines, and so
/// request another collection.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The problem with an answer that something was not done.
pub(super) const SAYS_FALSE: &str = "it answered false, without a reason";

/// Limit for the number of collections or aliases. Each one needs requests while the lock is held.
const LISTED_MAX: usize = 10_000;

/// The list of collections of a server.
#[derive(Debug, Default)]
pub struct Listing {
    /// Those with valid names, sorted.
    pub names: Vec<CollectionName>,
    /// Invalid names.
    pub impossible: Vec<ImpossibleName>,
}

/// A client for one Qdrant node. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    display_url: String,
    basic_auth: Option<(String, SecretString)>,
    has_identity: bool,
    /// The option or setting of the API key.
    key_option: &'static str,
    /// Whether there was ever an HTTP answer. If not, the URL's scheme may be wrong.
    heard: Arc<AtomicBool>,
    pub(super) limits: Limits,
    pub(super) interrupt: CancellationToken,
}

/// Timeouts and number of retries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    connect: Limit,
    pub(super) stall: Limit,
    pub(super) request: Limit,
    pub(super) create: Limit,
    pub(super) count: Limit,
    pub(super) retries: u32,
}

/// Why a request for a snapshot failed.
#[derive(Debug)]
pub enum CreateError {
    /// The request never reached the server.
    NotSent(Error),
    /// The answer contains no snapshot, and may be from a proxy. It is unknown whether there is one.
    Answered(Error),
    /// The request was sent but got no answer; the server may still be creating the snapshot.
    Cut(Error),
}

/// An answer read whole.
pub(super) struct Answer {
    pub(super) body: Vec<u8>,
    server_time: Option<DateTime<Utc>>,
}

impl Client {
    /// A client. All its requests end when `interrupt` is canceled.
    ///
    /// # Errors
    /// When the options cannot be used, as [`TransportError`] says.
    pub fn new(options: &ClientOptions, interrupt: CancellationToken) -> Result<Self, TransportError> {
        let limits = Limits {
            connect: Limit::set_by("qdrant.connect_timeout", options.connect_timeout),
            stall: Limit::set_by("qdrant.stall_timeout", options.stall_timeout),
            request: Limit::set_by("qdrant.request_timeout", options.request_timeout),
            create: Limit::set_by("qdrant.create_timeout", options.create_timeout),
            count: Limit::set_by("qdrant.count_timeout", options.count_timeout),
            retries: options.retries,
        };
        let http = http_client(options)?;
        Ok(Self {
            http,
            base: options.url.clone(),
            display_url: without_credentials(&options.url),
            basic_auth: options.basic_auth.clone(),
            has_identity: options.identity.is_some(),
            key_option: "qdrant.api_key_file or --api-key-file; `config show` prints its source",
            heard: Arc::default(),
            limits,
            interrupt,
        })
    }

    /// The same client, whose API key another option or setting gives.
    #[must_use]
    pub fn with_key_of(self, key_option: &'static str) -> Self {
        Self { key_option, ..self }
    }

    /// The same client for cleanup after an interruption: it is not interrupted, does not retry, and waits at most `limit`.
    #[must_use]
    pub fn for_cleanup(&self, limit: Duration) -> Self {
        let limits = Limits { request: self.limits.request.at_most(limit), retries: 0, ..self.limits };
        Self { limits, interrupt: CancellationToken::new(), ..self.clone() }
    }

    /// The same client without retries.
    #[must_use]
    pub fn asking_once(&self) -> Self {
        Self { limits: Limits { retries: 0, ..self.limits }, ..self.clone() }
    }

    /// The same client for another node of the cluster, with the same API key, password and certificate.
    #[must_use]
    pub fn at(&self, url: Url) -> Self {
        Self { display_url: without_credentials(&url), base: url, heard: Arc::default(), ..self.clone() }
    }

    /// The node's URL, without its credentials.
    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    /// The node's URL, without credentials.
    pub fn url(&self) -> &str {
        &self.display_url
    }

    /// Longest wait for a snapshot to be made.
    pub fn create_timeout(&self) -> Duration {
        self.limits.create.duration
    }

    /// Number of retries after temporary failures.
    pub fn retries(&self) -> u32 {
        self.limits.retries
    }

    /// Whether the run was interrupted.
    pub fn is_interrupted(&self) -> bool {
        self.interrupt.is_cancelled()
    }

    /// The token that cancels every request.
    pub fn interrupt(&self) -> &CancellationToken {
        &self.interrupt
    }

    /// Waits, but not beyond an interruption.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub async fn pause(&self, duration: Duration) -> Result<(), Error> {
        self.interrupt.run_until_cancelled(sleep(duration)).await.ok_or(Error::Interrupted)
    }

    /// Waits before the retry number `retry` (from 0) after `error`.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub async fn pause_before_retry(&self, retry: u32, error: &Error) -> Result<(), Error> {
        self.pause(retry::delay(retry, error.retry_after(), fastrand::f64())).await
    }

    /// The server's version, as in `1.18.3`. Needs no API key.
    ///
    /// # Errors
    /// As every request: see [`Error`].
    pub async fn version(&self) -> Result<String, Error> {
        let what = "reading the version";
        // With its slash: below a prefix, proxies redirect the path without one.
        let answer = self.get(what, &[""]).await.map_err(|error| {
            let Error::Status { status: 404, what, message, .. } = error else { return error };
            Error::Unexpected { what, problem: format!("{} answered 404: {message}", self.display_url) }
        })?;
        let root: Root = decode(what, &answer.body)?;
        Ok(shortened(&root.version, 40))
    }

    /// Whether it is ready: it has loaded its data, and in a cluster has caught up. Needs no API key.
    ///
    /// # Errors
    /// 503 while it is not ready, and as every request: see [`Error`].
    pub async fn ready(&self) -> Result<(), Error> {
        self.get("checking whether it is ready", &["readyz"]).await?;
        Ok(())
    }

    /// All collections, sorted by name, and separately the invalid names.
    ///
    /// # Errors
    /// When it lists more than any server has, and as every request: see [`Error`].
    pub async fn listing(&self) -> Result<Listing, Error> {
        let what = "listing collections";
        let answer: Envelope<Collections> = decode(what, &self.get(what, &["collections"]).await?.body)?;
        let entries = answer.result.collections;
        check_number(what, "collections", entries.len())?;
        let mut listing = Listing::default();
        for entry in entries {
            match CollectionName::listed(entry.name) {
                Ok(name) => listing.names.push(name),
                Err(impossible) => listing.impossible.push(impossible),
            }
        }
        listing.names.sort();
        listing.names.dedup();
        Ok(listing)
    }

    /// All collections, sorted by name, without invalid names.
    ///
    /// # Errors
    /// As [`Client::listing`].
    pub async fn collections(&self) -> Result<Vec<CollectionName>, Error> {
        Ok(self.listing().await?.names)
    }

    /// All aliases of all collections. Invalid ones are skipped with a warning.
    ///
    /// # Errors
    /// When it lists more than any server has, and as every request: see [`Error`].
    pub async fn aliases(&self) -> Result<Vec<Alias>, Error> {
        let what = "listing aliases";
        let answer: Envelope<Aliases> = decode(what, &self.get(what, &["aliases"]).await?.body)?;
        let mut aliases = answer.result.aliases;
        check_number(what, "aliases", aliases.len())?;
        let mut impossible = Vec::new();
        aliases.retain(|alias| {
            let names = [&alias.alias_name, &alias.collection_name];
            let problem = names.into_iter().find_map(|name| CollectionName::listed(name.clone()).err());
            impossible.extend(problem.iter().map(ToString::to_string));
            problem.is_none()
        });
        if let Some(first) = impossible.first() {
            tracing::warn!("ignoring {} aliases that the server lists: {first}", impossible.len());
        }
        Ok(aliases)
    }

    /// A collection's configuration.
    ///
    /// # Errors
    /// As every request: see [`Error`].
    pub async fn collection_info(&self, collection: &CollectionName) -> Result<CollectionInfo, Error> {
        let what = format!("reading the configuration of \"{collection}\"");
        let answer: Envelope<CollectionInfo> =
            decode(&what, &self.get(&what, &["collections", collection.as_str()]).await?.body)?;
        Ok(answer.result)
    }

    /// The locations of a collection's shards.
    ///
    /// # Errors
    /// As every request: see [`Error`].
    pub async fn collection_cluster(&self, collection: &CollectionName) -> Result<CollectionCluster, Error> {
        let what = format!("reading the shard locations of \"{collection}\"");
        let answer: Envelope<CollectionCluster> =
            decode(&what, &self.get(&what, &["collections", collection.as_str(), "cluster"]).await?.body)?;
        Ok(answer.result)
    }

    /// The snapshots of a collection or a shard on the node.
    ///
    /// # Errors
    /// As every request: see [`Error`].
    pub async fn snapshots(&self, subject: &Subject) -> Result<SnapshotList, Error> {
        let what = format!("listing the snapshots of {subject}");
        let answer = self.get(&what, &subject.path(&[])).await?;
        let list: Envelope<Vec<RawSnapshot>> = decode(&what, &answer.body)?;
        // Snapshots with invalid names cannot be ours and are ignored.
        let snapshots = list.result.into_iter().filter_map(|raw| raw.check().ok()).collect();
        Ok(SnapshotList { snapshots, server_time: answer.server_time })
    }

    /// Makes the server create a snapshot, and waits until it is complete. Only retried while the server cannot be reached.
    ///
    /// # Errors
    /// See [`CreateError`]. An answer may come from a proxy, so even after an error the server may have created one.
    pub async fn create_snapshot(&self, subject: &Subject) -> Result<Snapshot, CreateError> {
        let what = format!("creating a snapshot of {subject}");
        let path = subject.path(&[]);
        let mut retries = 0;
        loop {
            let error = match self.send(&what, Method::POST, &path, None, self.limits.create).await {
                Ok(answer) => {
                    let decoded = decode::<Envelope<RawSnapshot>>(&what, &answer.body).and_then(|raw| {
                        raw.result
                            .check()
                            .map_err(|problem| Error::Unexpected { what: what.clone(), problem })
                    });
                    return decoded.map_err(CreateError::Answered);
                }
                Err(error) => error,
            };
            let is_unreachable = matches!(error, Error::Unreachable { .. });
            if is_unreachable && retries < self.limits.retries {
                tracing::debug!("{error}; trying again");
                self.pause_before_retry(retries, &error).await.map_err(CreateError::NotSent)?;
                retries += 1;
                continue;
            }
            return Err(
                if is_unreachable || matches!(error, Error::Tls { .. } | Error::AnotherProtocol { .. }) {
                    CreateError::NotSent(error)
                } else if error.is_answered() {
                    CreateError::Answered(error)
                } else {
                    CreateError::Cut(error)
                },
            );
        }
    }

    /// Deletes a snapshot on the server. Not retried: the caller must check the list before each attempt.
    ///
    /// # Errors
    /// As every request: see [`Error`].
    pub async fn delete_snapshot(&self, subject: &Subject, name: &SnapshotName) -> Result<(), Error> {
        let what = format!("deleting snapshot {name} of {subject} on the server");
        let path = subject.path(&[name.as_str()]);
        let answer = self.send(&what, Method::DELETE, &path, None, self.limits.request).await?;
        // A page that a proxy answers with deletes nothing.
        let done: Envelope<bool> = decode(&what, &answer.body)?;
        if done.result { Ok(()) } else { Err(Error::Unexpected { what, problem: SAYS_FALSE.to_owned() }) }
    }

    pub(super) async fn get(&self, what: &str, path: &[impl AsRef<str>]) -> Result<Answer, Error> {
        self.with_retries(what, Method::GET, path, None).await
    }

    /// A request without changes, with retries after temporary failures.
    pub(super) async fn with_retries(
        &self,
        what: &str,
        method: Method,
        path: &[impl AsRef<str>],
        body: Option<&serde_json::Value>,
    ) -> Result<Answer, Error> {
        self.with_patience(what, method, path, body, Duration::MAX).await
    }

    /// The same, with pauses of at most `patience` in total, for optional requests.
    pub(super) async fn with_patience(
        &self,
        what: &str,
        method: Method,
        path: &[impl AsRef<str>],
        body: Option<&serde_json::Value>,
        mut patience: Duration,
    ) -> Result<Answer, Error> {
        let mut retries = 0;
        loop {
            match self.send(what, method.clone(), path, body, self.limits.request).await {
                Ok(answer) => return Ok(answer),
                Err(error) if error.is_transient() && retries < self.limits.retries => {
                    let delay = retry::delay(retries, error.retry_after(), fastrand::f64());
                    if delay > patience {
                        return Err(error);
                    }
                    patience -= delay;
                    tracing::debug!("{error}; trying again in {:.1} s", delay.as_secs_f64());
                    self.pause(delay).await?;
                    retries += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// One request and its whole answer, within `limit`.
    pub(super) async fn send(
        &self,
        what: &str,
        method: Method,
        path: &[impl AsRef<str>],
        body: Option<&serde_json::Value>,
        limit: Limit,
    ) -> Result<Answer, Error> {
        self.send_to(what, method, self.path(what, path)?, body, limit).await
    }

    /// As [`Client::send`], to a URL that is complete.
    pub(super) async fn send_to(
        &self,
        what: &str,
        method: Method,
        url: Url,
        body: Option<&serde_json::Value>,
        limit: Limit,
    ) -> Result<Answer, Error> {
        tracing::debug!("{method} {}", url.path());
        let mut request = self.request(method, url);
        if let Some(body) = body {
            request = request.json(body);
        }
        let exchange = async {
            let response = request.send().await.map_err(|error| self.send_error(what, &error, limit))?;
            self.heard.store(true, Ordering::Relaxed);
            if !response.status().is_success() {
                return Err(self.refusal(what, response).await);
            }
            let server_time = server_time(&response);
            let body = read_body(what, response, ANSWER_MAX_BYTES).await?;
            Ok(Answer { body, server_time })
        };
        match self.interrupt.run_until_cancelled(timeout(limit.duration, exchange)).await {
            None => Err(Error::Interrupted),
            Some(Err(_)) => Err(Error::Timeout { what: what.to_owned(), limit }),
            Some(Ok(answer)) => answer,
        }
    }

    pub(super) fn request(&self, method: Method, url: Url) -> reqwest::RequestBuilder {
        let request = self.http.request(method, url);
        match &self.basic_auth {
            Some((user, password)) => request.basic_auth(user, Some(password.expose_secret())),
            None => request,
        }
    }

    pub(super) fn send_error(&self, what: &str, error: &reqwest::Error, limit: Limit) -> Error {
        let (what, url) = (what.to_owned(), self.display_url.clone());
        match tls::find(error) {
            Some(problem) if !tls::may_pass(problem) => {
                let cause = tls::explain(problem, self.has_identity);
                return Error::Tls { what, url, cause };
            }
            Some(_) | None => {}
        }
        // If it has answered before, the problem may be temporary.
        if !self.heard.load(Ordering::Relaxed)
            && let Some(problem) = protocol::not_http(error)
        {
            let cause = protocol::explain(&problem, self.base.scheme());
            return Error::AnotherProtocol { what, url, cause };
        }
        if error.is_connect() && error.is_timeout() {
            let cause = format!("no connection within {}", self.limits.connect);
            Error::Unreachable { what, url, cause }
        } else if error.is_connect() {
            let cause = root_cause(error) + self.other_scheme(tls::is_cut(error));
            Error::Unreachable { what, url, cause }
        } else if protocol::was_never_sent(error) {
            let ended = "the connection ended before the request was sent";
            Error::Unreachable { what, url, cause: ended.to_owned() + self.other_scheme(true) }
        } else if error.is_timeout() {
            Error::Timeout { what, limit }
        } else {
            Error::Broken { what, cause: root_cause(error) + self.other_scheme(true) }
        }
    }

    /// A hint to try the other scheme, if the server accepted the connection but never sent a valid answer.
    fn other_scheme(&self, was_taken: bool) -> &'static str {
        match self.base.scheme() {
            _ if !was_taken || self.heard.load(Ordering::Relaxed) => "",
            "http" => " (if this server uses TLS, the URL must begin with https://)",
            _ if self.has_identity => " (if this server does not use TLS, the URL must begin with http://)",
            _ => {
                " (if this server does not use TLS, the URL must begin with http://; if it requires a client certificate, set qdrant.tls.cert_file and qdrant.tls.key_file)"
            }
        }
    }

    /// The message of an error answer, on one line.
    pub(super) async fn refusal(&self, what: &str, response: reqwest::Response) -> Error {
        let status = response.status();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| retry::retry_after(value, server_time(&response)));
        let what = what.to_owned();
        if status.is_redirection() {
            let to = response.headers().get(LOCATION).map(|to| to.as_bytes().starts_with(b"https://"));
            let scheme = if self.base.scheme() == "http" && to == Some(true) {
                "; it redirects to https, so the URL should probably begin with https://"
            } else {
                ""
            };
            let problem = format!(
                "it redirects ({status}), which is not followed because that would send the API key elsewhere{scheme}"
            );
            return Error::Unexpected { what, problem };
        }
        // An incomplete body is still useful; the status is most important.
        let text = read_some(response, ERROR_TEXT_MAX_BYTES).await;
        let mut message = error_message(&text, status);
        let status = status.as_u16();
        if status == 400 {
            message.push_str(proxys_advice(&message));
        }
        match status {
            401 | 403 => {
                let (url, key) = (self.display_url.clone(), self.key_option);
                Error::Unauthorized { what, url, status, message, key }
            }
            _ => Error::Status { what, status, message, retry_after },
        }
    }

    pub(super) fn path(&self, what: &str, segments: &[impl AsRef<str>]) -> Result<Url, Error> {
        let impossible =
            |problem: &str| Error::Unexpected { what: what.to_owned(), problem: problem.to_owned() };
        // `.` and `..` are not kept as segments, so the request would go to another path.
        if segments.iter().any(|segment| matches!(segment.as_ref(), "." | "..")) {
            return Err(impossible("a collection cannot be called . or .."));
        }
        let mut path = self.base.path().trim_end_matches('/').to_owned();
        for segment in segments {
            path.push('/');
            path.extend(utf8_percent_encode(segment.as_ref(), ENCODED));
        }
        let mut url = self.base.clone();
        url.set_path(&path);
        Ok(url)
    }
}

/// Advice for TLS errors that nginx, Apache, Go and others report over HTTP.
fn proxys_advice(message: &str) -> &'static str {
    let message = message.to_ascii_lowercase();
    let says = |parts: &[&str]| parts.iter().any(|part| message.contains(part));
    if says(&["https", "requires tls"]) && says(&["plain http", "http request", "requires tls"]) {
        "; the URL must begin with https://"
    } else if says(&["ssl certificate", "client certificate"]) {
        "; it requires a client certificate that it trusts: set qdrant.tls.cert_file and qdrant.tls.key_file"
    } else {
        ""
    }
}

fn server_time(response: &reqwest::Response) -> Option<DateTime<Utc>> {
    let date = response.headers().get(DATE)?.to_str().ok()?;
    Some(DateTime::parse_from_rfc2822(date).ok()?.to_utc())
}

pub(super) async fn read_body(
    what: &str,
    mut response: reqwest::Response,
    most: usize,
) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    let broken = |error: reqwest::Error| Error::Broken { what: what.to_owned(), cause: root_cause(&error) };
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > most {
            let problem = format!("the answer is longer than {most} bytes");
            return Err(Error::Unexpected { what: what.to_owned(), problem });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

async fn read_some(mut response: reqwest::Response, most: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() >= most {
            body.truncate(most);
            break;
        }
    }
    body
}

fn check_number(what: &str, of: &str, number: usize) -> Result<(), Error> {
    if number <= LISTED_MAX {
        return Ok(());
    }
    let problem = format!("{number} {of}, more than any server has ({LISTED_MAX}); is this really Qdrant?");
    Err(Error::Unexpected { what: what.to_owned(), problem })
}

pub(super) fn decode<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| Error::Unexpected {
        what: what.to_owned(),
        problem: shortened(&error.to_string(), 200),
    })
}

/// Qdrant's errors are JSON almost everywhere, plain text for 401 and for downloads; proxies send HTML.
pub(super) fn error_message(body: &[u8], status: StatusCode) -> String {
    #[derive(serde::Deserialize)]
    struct JsonError {
        status: Inner,
    }
    #[derive(serde::Deserialize)]
    struct Inner {
        error: String,
    }
    let text = match serde_json::from_slice::<JsonError>(body) {
        Ok(json) => json.status.error,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let text = without_middle(&one_line(&text), ERROR_TEXT_MAX_CHARS);
    if text.is_empty() { status.canonical_reason().unwrap_or("no explanation").to_owned() } else { text }
}

/// Qdrant's messages have the failure at the beginning and the reason at the end, with long paths in between.
fn without_middle(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let half = most / 2;
    let begin = text.chars().take(half);
    let end = text.chars().skip(count - half);
    begin.chain([' ', '…', ' ']).chain(end).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    #[test]
    fn json_and_plain_errors_become_one_line() {
        let json = br#"{"status":{"error":"Not found: Collection `nope` doesn't exist!"},"time":0.0}"#;
        assert_eq!(error_message(json, StatusCode::NOT_FOUND), "Not found: Collection `nope` doesn't exist!");
        let plain = b"Must provide an API key\nor \x1b[31man Authorization bearer token";
        assert_eq!(
            error_message(plain, StatusCode::UNAUTHORIZED),
            "Must provide an API key\\nor \\u{1b}[31man Authorization bearer token"
        );
        assert_eq!(error_message(b"", StatusCode::BAD_GATEWAY), "Bad Gateway");
    }

    #[test]
    fn long_errors_keep_what_failed_and_why() {
        let text = format!("failed to store {}: No space left on device", "x".repeat(1000));
        let message = error_message(text.as_bytes(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(message.starts_with("failed to store x") && message.ends_with("x: No space left on device"));
        assert_eq!(message.chars().count(), 403);
    }

    #[tokio::test]
    async fn an_error_that_never_ends_does_not_hold_a_download_up() {
        use std::io::{BufRead, BufReader, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // An answer before the request is a different error.
            let head = BufReader::new(stream.try_clone().unwrap())
                .lines()
                .take_while(|line| !line.as_ref().unwrap().is_empty());
            assert!(head.count() > 0);
            stream.write_all(b"HTTP/1.1 500 Oh\r\ncontent-length: 100\r\n\r\nbegun").unwrap();
            // Runs until the client is dropped.
            std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
        });
        let (collection, name) =
            (CollectionName::new("a").unwrap(), SnapshotName::new("a.snapshot").unwrap());
        let error = client(&url).download(&Subject::whole(&collection), &name).await.unwrap_err();
        assert!(matches!(error, Error::Stalled { .. }), "{error}");
    }

    pub(in super::super) fn client(url: &str) -> Client {
        let options = ClientOptions {
            url: Url::parse(url).unwrap(),
            basic_auth: None,
            api_key: None,
            ca_file: None,
            identity: None,
            proxy: None,
            connect_timeout: Duration::from_secs(1),
            stall_timeout: Duration::from_secs(1),
            request_timeout: Duration::from_secs(1),
            create_timeout: Duration::from_secs(1),
            count_timeout: Duration::from_secs(1),
            retries: 0,
        };
        Client::new(&options, CancellationToken::new()).unwrap()
    }

    #[test]
    fn names_are_encoded_and_a_prefix_is_kept() {
        let prefixed = client("https://host/qdrant/");
        let path =
            |name: &str| prefixed.path("x", &["collections", name, "snapshots"]).map(|url| url.to_string());
        assert_eq!(
            path("a b/ü%?#").unwrap(),
            "https://host/qdrant/collections/a%20b%2F%C3%BC%25%3F%23/snapshots"
        );
        assert_eq!(path("a\tb\n").unwrap(), "https://host/qdrant/collections/a%09b%0A/snapshots");
        assert_eq!(path("%2e%2e").unwrap(), "https://host/qdrant/collections/%252e%252e/snapshots");
        assert!(path("..").is_err());
        assert_eq!(client("http://host:6333").path("x", &[""]).unwrap().as_str(), "http://host:6333/");
        assert_eq!(prefixed.path("x", &[""]).unwrap().as_str(), "https://host/qdrant/");
    }
}
