//! Fuzz targets of the exporter: client requests and the web configuration. See the module with the same name in the
//! shared crate.

#![expect(clippy::unwrap_used, reason = "a promise that is not kept ends the run")]

use std::net::Ipv4Addr;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use chrono::DateTime;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use hyper::{Request, StatusCode};
use qdrant_backup_shared::fuzzing::{Target, assert_line, text};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use super::auth::credentials;
use super::config::{Live, WebConfig, try_tls};
use super::gate::{Gate, timeout};
use super::limits::{Limits, Phase};
use super::negotiate::{Format, accepts_gzip};
use super::routes::Routes;
use super::server::http;
use crate::observe::Observer;

/// All targets of this crate.
pub const TARGETS: &[Target] =
    &[("request", request), ("request_head", request_head), ("web_configuration", web_configuration)];

/// Limit on a client's input, because repeated requests find nothing new.
const REQUEST_BYTES: usize = 2 << 10;

/// A web server without a network, for a directory that does not exist.
static SITE: LazyLock<(Runtime, Arc<Gate>)> = LazyLock::new(|| {
    let nowhere = Path::new("/nonexistent/backups");
    let routes = Routes::new("/metrics".to_owned(), Observer::new(nowhere, nowhere), || DateTime::UNIX_EPOCH);
    let live = Live::open(None).unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    (runtime, Arc::new(Gate::new(live, Limits::new(16, 4), routes)))
});

/// Everything that a client sends on one connection.
pub fn request(data: &[u8]) {
    let data = data.get(..REQUEST_BYTES).unwrap_or(data);
    let (runtime, gate) = &*SITE;
    let answers = runtime.block_on(async {
        let (mut client, server) = tokio::io::duplex(4 << 10);
        let (_stop, stopped) = watch::channel(false);
        let phase = watch::channel(Phase::Asking).0;
        let served = http(gate, server, Ipv4Addr::LOCALHOST.into(), phase, stopped);
        let asked = async {
            let mut answers = Vec::new();
            let (mut from, mut to) = tokio::io::split(&mut client);
            let sent = async {
                // The server may have closed the connection.
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
    match SITE.1.routes.find(&head) {
        ControlFlow::Break(answer) => {
            let known = [StatusCode::OK, StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED];
            assert!(known.contains(&answer.status()));
        }
        ControlFlow::Continue(_) => assert!(["GET", "HEAD"].contains(&head.method.as_str())),
    }
}

/// A web.config.file, followed by the PEM data of the files that it names.
pub fn web_configuration(data: &[u8]) {
    let text = text(data);
    let (text, pem) = text.split_at(text.find("-----BEGIN ").unwrap_or(text.len()));
    let parsed = WebConfig::parse(Path::new("/etc/x/web.yml"), text).map_err(|stop| stop.to_string());
    let found = parsed.and_then(|config| {
        assert_eq!(config.opened_by(&config), None);
        let shown = format!("{config:?}");
        for (user, hash) in &config.users {
            assert!(!user.contains(':') && !shown.contains(hash.expose()));
        }
        try_tls(&config, pem.as_bytes())
    });
    if let Err(told) = found {
        assert!(!told.is_empty());
        told.lines().for_each(assert_line);
    }
}
