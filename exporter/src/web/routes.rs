//! What is asked: the metrics, the status page, the same as JSON, and whether the program lives.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
    REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use tokio::sync::Semaphore;

use super::answer::{Answer, plain, refusal};
use super::complaints::Complaints;
use super::negotiate::{Format, accepts_gzip};
use crate::metrics::{self, ProcessInfo};
use crate::observe::{Observation, Observer};
use crate::page::{self, Report};

/// Renderings at once: as many as there are processors on a small machine, so that memory stays bounded.
const RENDERINGS: usize = 2;

const HEALTHY: &str = "/-/healthy";
const READY: &str = "/-/ready";
const STATUS: &str = "/api/v1/status";

/// The path of the metrics cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PathsError {
    /// It is no path.
    #[error("--web.telemetry-path: expected a path that begins with / and has no ?, # or space")]
    NoPath,
    /// Something else is there.
    #[error("--web.telemetry-path: {0} is already something else")]
    Taken(String),
}

/// Where things are.
#[derive(Debug, Clone)]
pub struct Paths {
    /// The path of the metrics.
    telemetry: String,
}

impl Paths {
    /// The metrics at `telemetry`; everything else has its place. At `/`, they take the status page's.
    ///
    /// # Errors
    /// When it is no path, or taken.
    pub fn new(telemetry: &str) -> Result<Self, PathsError> {
        let visible = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#');
        if !telemetry.starts_with('/') || !telemetry.bytes().all(visible) {
            return Err(PathsError::NoPath);
        }
        if [HEALTHY, READY, STATUS].contains(&telemetry) {
            return Err(PathsError::Taken(telemetry.to_owned()));
        }
        Ok(Self { telemetry: telemetry.to_owned() })
    }

    /// The path of the metrics.
    pub fn telemetry(&self) -> &str {
        &self.telemetry
    }
}

/// What a request asks for.
pub(super) enum Route {
    /// It is answered already.
    Done(Answer),
    /// It needs a look at the files.
    Looks(Looks),
}

/// What a look is for.
pub(super) enum Looks {
    /// The metrics.
    Metrics(Format, bool),
    /// The status page.
    Page(bool),
    /// The status as JSON.
    Status(bool),
}

/// Answers what is asked.
pub(super) struct Routes {
    paths: Paths,
    observer: Arc<Observer>,
    clock: fn() -> DateTime<Utc>,
    complaints: Complaints,
    rendering: Semaphore,
    page_policy: HeaderValue,
}

impl Routes {
    /// Routes to what `observer` sees.
    pub(super) fn new(paths: Paths, observer: Arc<Observer>, clock: fn() -> DateTime<Utc>) -> Self {
        let rendering = Semaphore::new(RENDERINGS);
        let page_policy = HeaderValue::from_str(&page::content_security_policy())
            .unwrap_or(HeaderValue::from_static("default-src 'none'"));
        Self { paths, observer, clock, complaints: Complaints::default(), rendering, page_policy }
    }

    /// What a request asks for.
    pub(super) fn find(&self, head: &Parts) -> Route {
        let gzip = accepts_gzip(&head.headers);
        let path = head.uri.path();
        let looks = if path == self.paths.telemetry {
            Ok(Looks::Metrics(Format::accepted(&head.headers), gzip))
        } else {
            match path {
                "/" => Ok(Looks::Page(gzip)),
                STATUS => Ok(Looks::Status(gzip)),
                HEALTHY => Err(plain(StatusCode::OK, "qdrant-backup-exporter is Healthy.")),
                READY => Err(plain(StatusCode::OK, "qdrant-backup-exporter is Ready.")),
                _ => return Route::Done(plain(StatusCode::NOT_FOUND, "404 page not found")),
            }
        };
        if !matches!(head.method, Method::GET | Method::HEAD) {
            let mut answer = refusal(StatusCode::METHOD_NOT_ALLOWED);
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Route::Done(answer);
        }
        looks.map_or_else(Route::Done, Route::Looks)
    }

    /// Looks, within `deadline`, and answers. `web_config` says whether the configuration in force is that of the files.
    pub(super) async fn answer(&self, looks: Looks, deadline: Duration, web_config: Option<bool>) -> Answer {
        let (observer, now) = (Arc::clone(&self.observer), (self.clock)());
        let looked = tokio::task::spawn_blocking(move || observer.observe(now, deadline));
        let Ok(observation) = looked.await else { return refusal(StatusCode::INTERNAL_SERVER_ERROR) };
        self.complaints.about(&observation);
        // The semaphore is never closed.
        let Ok(_one_of_few) = self.rendering.acquire().await else {
            return refusal(StatusCode::INTERNAL_SERVER_ERROR);
        };
        let telemetry = self.paths.telemetry.clone();
        let for_people = matches!(looks, Looks::Page(_) | Looks::Status(_));
        let rendered = tokio::task::spawn_blocking(move || {
            let process = ProcessInfo { web_config, ..ProcessInfo::read() };
            render(&looks, &observation, &process, now, &telemetry)
        });
        let mut answer = rendered.await.unwrap_or_else(|_| refusal(StatusCode::INTERNAL_SERVER_ERROR));
        if for_people {
            let headers = answer.headers_mut();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
            headers.insert(CONTENT_SECURITY_POLICY, self.page_policy.clone());
        }
        answer
    }
}

fn render(
    looks: &Looks,
    observation: &Observation,
    process: &ProcessInfo,
    now: DateTime<Utc>,
    telemetry: &str,
) -> Answer {
    let (text, content_type, gzip) = match looks {
        Looks::Metrics(format, gzip) => {
            let families = metrics::families(observation, process);
            let text = match format {
                Format::Text => metrics::text(&families),
                Format::OpenMetrics001 | Format::OpenMetrics100 => metrics::openmetrics(&families),
            };
            (text, format.content_type(), *gzip)
        }
        Looks::Page(gzip) => {
            let text = page::html(&Report::new(observation, now), telemetry);
            (text, "text/html; charset=utf-8", *gzip)
        }
        Looks::Status(gzip) => {
            let Ok(text) = page::json(&Report::new(observation, now)) else {
                return refusal(StatusCode::INTERNAL_SERVER_ERROR);
            };
            (text, "application/json; charset=utf-8", *gzip)
        }
    };
    let compressed = if gzip { compress(text.as_bytes()) } else { None };
    let mut answer = Response::new(Bytes::new());
    let mut set = |name: HeaderName, value: &'static str| {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    };
    set(CONTENT_TYPE, content_type);
    set(VARY, "Accept, Accept-Encoding");
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    if compressed.is_some() {
        set(CONTENT_ENCODING, "gzip");
    }
    *answer.body_mut() = Bytes::from(compressed.unwrap_or_else(|| text.into_bytes()));
    answer
}

/// `bytes` in gzip. Writing to memory does not fail; if it did, the answer would leave as it is.
fn compress(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 8), Compression::fast());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_the_metrics_is_a_free_path() {
        for good in ["/metrics", "/", "/a/b", "/-/metrics"] {
            assert!(Paths::new(good).is_ok(), "{good}");
        }
        for bad in ["", "metrics", "/m?x", "/a b", "/ä", "/-/healthy", "/api/v1/status"] {
            assert!(Paths::new(bad).is_err(), "{bad}");
        }
    }
}
