//! The routes: metrics, status page, the same as JSON, and liveness.

use std::io::Write;
use std::ops::ControlFlow::{self, Break, Continue};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue,
    REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::answer::{Answer, plain, refusal};
use super::complaints::Complaints;
use super::negotiate::{Format, accepts_gzip};
use crate::metrics::{self, ProcessInfo};
use crate::observe::{Observation, Observer};
use crate::page::{self, Report};
use crate::stop::Stop;

/// Simultaneous renderings: as many as a small machine has processors, so that memory stays bounded.
const RENDERINGS: usize = 2;

const HEALTHY: &str = "/-/healthy";
const READY: &str = "/-/ready";
const STATUS: &str = "/api/v1/status";

/// Checks that `path` can be used for the metrics. At `/`, they replace the status page.
///
/// # Errors
/// When it is not a path or is already used.
pub fn check_telemetry_path(path: &str) -> Result<(), Stop> {
    let visible = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#');
    let problem = if !path.starts_with('/') || !path.bytes().all(visible) {
        "expected a path that begins with / and has no ?, # or space".to_owned()
    } else if [HEALTHY, READY, STATUS].contains(&path) {
        format!("{path} is already something else")
    } else {
        return Ok(());
    };
    Err(Stop::Configuration(format!("--web.telemetry-path: {problem}")))
}

/// The purpose of an observation, and whether the answer may be compressed.
pub(super) struct Looks {
    for_whom: ForWhom,
    gzip: bool,
}

enum ForWhom {
    Prometheus(Format),
    People,
    Programs,
}

/// Answers requests.
pub(super) struct Routes {
    telemetry_path: String,
    observer: Observer,
    clock: fn() -> DateTime<Utc>,
    complaints: Complaints,
    rendering: Semaphore,
    page_policy: HeaderValue,
}

impl Routes {
    /// Routes to the observations of `observer`.
    pub(super) fn new(telemetry_path: String, observer: Observer, clock: fn() -> DateTime<Utc>) -> Self {
        let rendering = Semaphore::new(RENDERINGS);
        let page_policy = HeaderValue::from_str(&page::content_security_policy())
            .unwrap_or(HeaderValue::from_static("default-src 'none'"));
        Self { telemetry_path, observer, clock, complaints: Complaints::default(), rendering, page_policy }
    }

    /// What a request needs: an immediate answer, or an observation.
    pub(super) fn find(&self, head: &Parts) -> ControlFlow<Answer, Looks> {
        let for_whom = match head.uri.path() {
            path if path == self.telemetry_path => {
                Continue(ForWhom::Prometheus(Format::accepted(&head.headers)))
            }
            "/" => Continue(ForWhom::People),
            STATUS => Continue(ForWhom::Programs),
            HEALTHY => Break(plain(StatusCode::OK, "qdrant-backup-exporter is Healthy.")),
            READY => Break(plain(StatusCode::OK, "qdrant-backup-exporter is Ready.")),
            _ => return Break(plain(StatusCode::NOT_FOUND, "404 page not found")),
        };
        if !matches!(head.method, Method::GET | Method::HEAD) {
            return Break(refusal(StatusCode::METHOD_NOT_ALLOWED, &[(ALLOW, "GET, HEAD")]));
        }
        Continue(Looks { for_whom: for_whom?, gzip: accepts_gzip(&head.headers) })
    }

    /// Observes within `deadline` and answers; fails if rendering panics. `web_config` tells whether the active
    /// configuration matches the files.
    pub(super) async fn answer(
        &self,
        looks: Looks,
        deadline: Duration,
        web_config: Option<bool>,
    ) -> Option<Answer> {
        let observation = self.observer.observe((self.clock)(), deadline).await;
        self.complaints.about(&observation);
        let _one_of_few = self.rendering.acquire().await.ok()?;
        let telemetry = self.telemetry_path.clone();
        let for_prometheus = matches!(looks.for_whom, ForWhom::Prometheus(_));
        let rendered = spawn_blocking(move || {
            let process = ProcessInfo { web_config, ..ProcessInfo::read() };
            render(&looks, &observation, &process, &telemetry)
        });
        let mut answer = rendered.await.ok()??;
        if !for_prometheus {
            let headers = answer.headers_mut();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
            headers.insert(CONTENT_SECURITY_POLICY, self.page_policy.clone());
        }
        Some(answer)
    }
}

fn render(
    looks: &Looks,
    observation: &Observation,
    process: &ProcessInfo,
    telemetry: &str,
) -> Option<Answer> {
    let report = || Report::new(observation, observation.taken_at);
    let (text, content_type) = match looks.for_whom {
        ForWhom::Prometheus(format) => {
            (format.text(&metrics::families(observation, process)), format.content_type())
        }
        ForWhom::People => (page::html(&report(), telemetry), "text/html; charset=utf-8"),
        ForWhom::Programs => (page::json(&report()).ok()?, "application/json; charset=utf-8"),
    };
    let mut answer = Response::builder()
        .header(CONTENT_TYPE, content_type)
        .header(VARY, "Accept, Accept-Encoding")
        .header(X_CONTENT_TYPE_OPTIONS, "nosniff");
    let mut bytes = text.into_bytes();
    if looks.gzip {
        let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 8), Compression::fast());
        encoder.write_all(&bytes).ok()?;
        bytes = encoder.finish().ok()?;
        answer = answer.header(CONTENT_ENCODING, "gzip");
    }
    answer.body(Bytes::from(bytes)).ok()
}
