//! Fuzzed: what clients send, and the web configuration.

#![expect(clippy::unwrap_used, reason = "a promise that is not kept ends the run")]

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use hyper::{Request, StatusCode};
use qdrant_backup_shared::fuzzing::{assert_line, text};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::Instant;

use super::auth::credentials;
use super::config::{Live, WebConfig};
use super::connection::http;
use super::gate::{Gate, timeout};
use super::limits::{Limits, Phase};
use super::negotiate::{Format, accepts_gzip};
use super::queue::Client;
use super::routes::{Route, Routes};
use crate::observe::Observer;

/// No more of what a client sends is looked at: requests that only repeat find nothing new.
const REQUEST_BYTES: usize = 2 << 10;

/// A web server without a network, of a directory that is not there.
struct Site {
    runtime: Runtime,
    gate: Arc<Gate>,
    routes: Routes,
}

static SITE: LazyLock<Site> = LazyLock::new(|| {
    let nowhere = Path::new("/nonexistent/backups");
    let routes = || Routes::new("/metrics".to_owned(), Observer::new(nowhere, nowhere), now);
    let live = Live::open(None, now).unwrap();
    Site {
        runtime: Builder::new_current_thread().enable_all().build().unwrap(),
        gate: Arc::new(Gate::new(live, Limits::new(16, 4), routes())),
        routes: routes(),
    }
});

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH
}

/// All that a client sends over one connection, up to its end.
pub fn request(data: &[u8]) {
    let data = data.get(..REQUEST_BYTES).unwrap_or(data);
    let site = &*SITE;
    let answers = site.runtime.block_on(async {
        let (mut client, server) = tokio::io::duplex(4 << 10);
        let (_stop, stopped) = watch::channel(false);
        let phase = Arc::new(watch::channel(Phase::Asking).0);
        let client_of = Client { address: IpAddr::V4(Ipv4Addr::LOCALHOST), since: Instant::now() };
        let served = http(&site.gate, server, client_of, phase, stopped);
        let asked = async {
            let mut answers = Vec::new();
            let (mut from, mut to) = tokio::io::split(&mut client);
            let sent = async {
                // The server may have had enough.
                let sent = to.write_all(data).await;
                sent.and(to.shutdown().await)
            };
            let (_sent, read) = tokio::join!(sent, from.read_to_end(&mut answers));
            read.unwrap();
            answers
        };
        tokio::join!(served, asked).1
    });
    assert!(answers.is_empty() || answers.starts_with(b"HTTP/1."), "{:?}", text(&answers));
}

/// The head of a request: method and path on the first line, headers on the others.
pub fn request_head(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let (method, path) = first.split_at(first.iter().position(|byte| *byte == b' ').unwrap_or(0));
    let mut request = Request::builder().method(method).uri(path.trim_ascii());
    for line in lines {
        let (name, value) = line.split_at(line.iter().position(|byte| *byte == b':').unwrap_or(0));
        let value = HeaderValue::from_bytes(value.strip_prefix(b":").unwrap_or(value).trim_ascii());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), value) {
            request = request.header(name, value);
        }
    }
    let Ok(request) = request.body(()) else { return };
    let (head, ()) = request.into_parts();
    Format::accepted(&head.headers);
    accepts_gzip(&head.headers);
    let wait = timeout(&head.headers);
    assert!((Duration::from_millis(100)..=Duration::from_secs(60)).contains(&wait), "{wait:?}");
    if let Some((user, _)) = head.headers.get(AUTHORIZATION).and_then(credentials) {
        assert!(!user.contains(':'));
    }
    match SITE.routes.find(&head) {
        Route::Done(answer) => {
            let known = [StatusCode::OK, StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED];
            assert!(known.contains(&answer.status()));
        }
        Route::Looks(_) => assert!(["GET", "HEAD"].contains(&head.method.as_str())),
    }
}

/// A web.config.file, and the certificates that stand in it.
pub fn web_configuration(data: &[u8]) {
    let text = text(data);
    match WebConfig::parse(Path::new("/etc/x/web.yml"), &text) {
        Ok(config) => {
            assert_eq!(config.opened_by(&config), None);
            let shown = format!("{config:?}");
            for (user, hash) in &config.users {
                assert!(!user.contains(':') && !shown.contains(hash.expose()));
            }
            if let Err(problem) = config.try_inline_tls(now()) {
                problem.to_string().lines().for_each(assert_line);
            }
        }
        Err(stop) => {
            let told = stop.to_string();
            assert!(!told.is_empty());
            told.lines().for_each(assert_line);
        }
    }
}
