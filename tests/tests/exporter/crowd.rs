//! Many, slow, silent, broken or oversized clients: Prometheus still gets answers, and memory stays bounded.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use e2e::Exporter;
use e2e::http::{self, Answer, Authority};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::situations;

/// Maximum memory use with many clients.
const MEMORY_BYTES: u64 = 64 << 20;

/// How long the scrapes continue in each case.
const TROUBLE: Duration = Duration::from_secs(4);

/// Each connection also needs a descriptor in the test's process.
fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
}

/// Scrapes like Prometheus until `TROUBLE` has passed. Every scrape must succeed.
fn keep_scraping(exporter: &Exporter) -> Duration {
    let began = Instant::now();
    let mut slowest = Duration::ZERO;
    while began.elapsed() < TROUBLE {
        let asked = Instant::now();
        let answer = exporter.ask(
            "GET",
            "/metrics",
            &[("Accept-Encoding", "gzip"), ("X-Prometheus-Scrape-Timeout-Seconds", "10")],
        );
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains("\nqdrant_backup_up 1\n"));
        slowest = slowest.max(asked.elapsed());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(slowest < Duration::from_secs(10), "a scrape took {slowest:?}");
    slowest
}

/// Opens as many connections as possible and sends `bytes` on each.
fn open(exporter: &Exporter, number: usize, bytes: &[u8]) -> Vec<TcpStream> {
    (0..number)
        .filter_map(|_| {
            let mut stream = http::connect(exporter.address()).ok()?;
            stream.write_all(bytes).ok()?;
            Some(stream)
        })
        .collect()
}

#[test]
fn a_thousand_requests_at_once_are_all_answered() {
    raise_limit();
    let place = situations::healthy();
    let exporter = Exporter::start(place.path(), &[]);
    let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n";
    let began = Instant::now();
    let streams = open(&exporter, 1000, request);
    assert_eq!(streams.len(), 1000);
    let scrape = exporter.get("/metrics");
    let mut statuses = std::collections::BTreeMap::new();
    for mut stream in streams {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let status = String::from_utf8_lossy(&answer[9..12]).into_owned();
        *statuses.entry(status).or_insert(0) += 1;
    }
    let memory = exporter.memory("VmHWM");
    println!("1000 requests: {statuses:?} in {:?}, at most {} KiB", began.elapsed(), memory / 1024);
    assert_eq!(scrape.status, 200);
    assert_eq!(statuses.values().sum::<u32>(), 1000);
    assert!(statuses.keys().all(|status| status == "200" || status == "503"), "{statuses:?}");
    assert!(statuses["200"] >= 100, "{statuses:?}");
    assert!(memory < MEMORY_BYTES, "{memory} bytes");
}

#[test]
fn half_open_and_slow_clients_keep_nobody_out() {
    raise_limit();
    let place = situations::healthy();
    let exporter = Exporter::start(place.path(), &[]);
    // More than the connection limit.
    let silent = open(&exporter, 1100, b"");
    let mut slow = open(&exporter, 400, b"GET /metrics HTTP/1.1\r\nX: ");
    let over = AtomicBool::new(false);
    let slowest = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                // Some connections may already be closed.
                slow.retain_mut(|stream| stream.write_all(b"x").is_ok());
                std::thread::sleep(Duration::from_millis(300));
            }
        });
        let slowest = keep_scraping(&exporter);
        over.store(true, Ordering::Relaxed);
        slowest
    });
    let memory = exporter.memory("VmHWM");
    println!("1500 slow clients: slowest scrape {slowest:?}, at most {} KiB", memory / 1024);
    assert!(memory < MEMORY_BYTES, "{memory} bytes");
    drop(silent);
}

#[test]
fn clients_that_do_not_take_their_answers_lose_their_turn() {
    let place = situations::healthy();
    situations::crowd(&place, 800);
    let exporter = Exporter::start(place.path(), &["--web.max-requests=6"]);
    let request = b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\n\r\n".repeat(40);
    let greedy = open(&exporter, 12, &request);
    let slowest = keep_scraping(&exporter);
    let memory = exporter.memory("VmHWM");
    println!("12 greedy clients: slowest scrape {slowest:?}, at most {} KiB", memory / 1024);
    assert!(memory < MEMORY_BYTES, "{memory} bytes");
    drop(greedy);
}

#[test]
fn handshakes_that_are_never_finished_keep_nobody_out() {
    raise_limit();
    let place = situations::healthy();
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let identity = authority.sign(&["localhost"]);
    let config = "tls_server_config: {cert_file: server.crt, key_file: server.key}\n";
    for (name, text) in
        [("server.crt", identity.certificate.as_str()), ("server.key", &identity.key), ("web.yml", config)]
    {
        qdrant_backup_shared::atomic::write(&directory.path().join(name), 0o600, text.as_bytes()).unwrap();
    }
    let web = directory.path().join("web.yml");
    let exporter = Exporter::start(place.path(), &["--web.config.file", web.to_str().unwrap()]);
    // The start of a handshake that announces a larger length.
    let torn = open(&exporter, 1400, &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]);
    let mut connections: Vec<_> = Vec::new();
    for _ in 0..40 {
        let mut stream = http::connect_tls(exporter.address(), &authority, None).unwrap();
        let answer = http::ask(&mut stream, "GET", "/metrics", &[]).unwrap();
        assert_eq!(answer.status, 200);
        connections.push(stream);
    }
    let memory = exporter.memory("VmHWM");
    println!("1400 incomplete handshakes: at most {} KiB", memory / 1024);
    assert!(memory < MEMORY_BYTES, "{memory} bytes");
    drop(torn);
}

#[test]
fn torn_and_oversized_requests_are_refused_and_harm_nobody() {
    let place = situations::healthy();
    let exporter = Exporter::start(place.path(), &[]);
    let long = "a".repeat(100_000);
    for (request, statuses) in [
        (format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"), [414, 431]),
        (format!("GET /metrics HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n"), [431, 431]),
        (format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(2000)), [431, 431]),
        ("nonsense\r\n\r\n".to_owned(), [400, 400]),
        ("GET /metrics HTTP/9.9\r\n\r\n".to_owned(), [400, 505]),
        ("GET /metrics HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".to_owned(), [400, 400]),
        ("GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: nonsense\r\n\r\n".to_owned(), [400, 400]),
        ("\0\u{1}\u{2}\r\n\r\n".to_owned(), [400, 400]),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), [400, 505]),
    ] {
        let mut stream = http::connect(exporter.address()).unwrap();
        // The server may close the connection before it has read everything.
        drop(stream.write_all(request.as_bytes()));
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        let shown: String = request.chars().take(60).collect();
        if let Some(status) = answer.get(9..12).and_then(|code| std::str::from_utf8(code).ok()?.parse().ok())
        {
            assert!(statuses.contains(&status), "{shown:?}: {status}");
        }
    }
    // The exporter does not wait for a body, whatever its announced length.
    let began = Instant::now();
    let mut stream = http::connect(exporter.address()).unwrap();
    stream.write_all(b"GET /-/ready HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nx").unwrap();
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    assert!(began.elapsed() < Duration::from_secs(20));
    let answer: Answer = exporter.get("/metrics");
    assert_eq!(answer.status, 200);
    assert!(exporter.memory("VmHWM") < MEMORY_BYTES);
}

/// The status codes of all answers to `requests`, until the exporter closes the connection or sends nothing more.
fn statuses(exporter: &Exporter, requests: &str) -> Vec<String> {
    let mut stream = http::connect(exporter.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    // The server may close the connection before it has read everything.
    drop(stream.write_all(requests.as_bytes()));
    let mut answers = Vec::new();
    drop(stream.read_to_end(&mut answers));
    let text = String::from_utf8_lossy(&answers);
    text.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].to_owned()).collect()
}

#[test]
fn a_body_is_never_taken_for_a_request() {
    let place = situations::healthy();
    let exporter = Exporter::start(place.path(), &[]);
    let hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n";
    let last = "GET /-/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let length = hidden.len();
    let chunked = "Transfer-Encoding: chunked\r\n";
    for (head, body, expected) in [
        // Its length is known, so it is skipped and the connection continues.
        (format!("Content-Length: {length}\r\n"), hidden.to_owned(), ["200", "200"].as_slice()),
        (chunked.to_owned(), format!("{length:x}\r\n{hidden}\r\n0\r\n\r\n"), &["200"]),
        // Two lengths, or a length that other parsers read differently.
        (format!("Content-Length: 5\r\n{chunked}"), format!("0\r\n\r\n{hidden}"), &["200"]),
        (format!("Content-Length: 0\r\nContent-Length: {length}\r\n"), hidden.to_owned(), &["400"]),
        (format!("Content-Length: +{length}\r\n"), hidden.to_owned(), &["400"]),
        (format!("Content-Length : {length}\r\n"), hidden.to_owned(), &["400"]),
        (format!("X: y\r\n Content-Length: {length}\r\n"), hidden.to_owned(), &["400"]),
        (format!("{chunked}Transfer-Encoding: identity\r\n"), format!("0\r\n\r\n{hidden}"), &["400"]),
        ("Transfer-Encoding: xchunked\r\n".to_owned(), format!("0\r\n\r\n{hidden}"), &["400"]),
    ] {
        let requests = format!("GET /-/healthy HTTP/1.1\r\nHost: x\r\n{head}\r\n{body}{last}");
        let found = statuses(&exporter, &requests);
        assert!(!found.contains(&"404".to_owned()), "{head:?}: the body was asked for: {found:?}");
        assert_eq!(found, expected, "{head:?}");
    }
}

#[test]
fn a_body_whose_end_others_see_elsewhere_is_never_taken_for_a_request() {
    let place = situations::healthy();
    let exporter = Exporter::start(place.path(), &[]);
    let hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n";
    let last = "GET /-/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let length = hidden.len();
    let chunked = "Transfer-Encoding: chunked\r\n";
    for (version, head, body) in [
        ("1.1", format!("Content-Length: {length:#x}\r\n"), hidden.to_owned()),
        ("1.1", format!("Content-Length: {length}, {length}\r\n"), hidden.to_owned()),
        ("1.1", "Content-Length: -1\r\n".to_owned(), hidden.to_owned()),
        ("1.1", "Content-Length: 18446744073709551616\r\n".to_owned(), hidden.to_owned()),
        ("1.1", format!("Content-Length:\x0b{length}\r\n"), hidden.to_owned()),
        ("1.1", format!("{chunked}{chunked}"), format!("{length:x}\r\n{hidden}\r\n0\r\n\r\n")),
        ("1.1", "Transfer-Encoding:\x0bchunked\r\n".to_owned(), format!("0\r\n\r\n{hidden}")),
        ("1.1", "Transfer-Encoding: \"chunked\"\r\n".to_owned(), format!("0\r\n\r\n{hidden}")),
        (
            "1.1",
            "Transfer-Encoding: gzip, chunked\r\n".to_owned(),
            format!("{length:x}\r\n{hidden}\r\n0\r\n\r\n"),
        ),
        ("1.1", chunked.to_owned(), format!("{length:x};a=\n{hidden}\r\n0\r\n\r\n")),
        ("1.1", chunked.to_owned(), format!("-1\r\n{hidden}\r\n0\r\n\r\n")),
        ("1.1", chunked.to_owned(), format!("10000000000000000{length:x}\r\n{hidden}\r\n0\r\n\r\n")),
        ("1.0", chunked.to_owned(), format!("{length:x}\r\n{hidden}\r\n0\r\n\r\n")),
        (
            "1.1",
            format!("Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: {length}\r\n"),
            hidden.to_owned(),
        ),
        ("1.1", format!("Expect: 100-continue\r\nContent-Length: {length}\r\n"), hidden.to_owned()),
    ] {
        let found = statuses(
            &exporter,
            &format!("GET /-/healthy HTTP/{version}\r\nHost: x\r\n{head}\r\n{body}{last}"),
        );
        assert!(!found.contains(&"404".to_owned()), "{head:?}: the body was asked for: {found:?}");
        assert!(found.len() <= 2, "{head:?}: {found:?}");
    }
    assert_eq!(exporter.get("/-/healthy").status, 200);
}

#[test]
fn no_answer_repeats_the_host_or_the_address_that_was_asked_for() {
    let place = situations::healthy();
    let exporter = Exporter::start(place.path(), &[]);
    for path in ["/", "/metrics", "/api/v1/status", "/-/healthy", "/evil.example", "/?evil.example"] {
        for host in [
            "Host: evil.example",
            "Host: x\r\nX-Forwarded-Host: evil.example",
            "Host: x\r\nHost: evil.example",
        ] {
            let mut stream = http::connect(exporter.address()).unwrap();
            let request = format!("GET {path} HTTP/1.1\r\n{host}\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            let text = String::from_utf8_lossy(&answer);
            assert!(text.starts_with("HTTP/1.1 ") && !text.contains("evil"), "{path} {host}: {text}");
        }
    }
}

#[test]
fn other_hosts_and_whole_addresses_change_nothing_and_a_thousand_requests_may_come_in_one_go() {
    let place = situations::healthy();
    let exporter = Exporter::start(place.path(), &[]);
    for (request, status) in [
        ("GET /-/healthy HTTP/1.1\r\nHost: evil.example", "200"),
        ("GET http://evil.example/-/healthy HTTP/1.1\r\nHost: x", "200"),
        ("GET http://evil.example/nothing HTTP/1.1\r\nHost: x", "404"),
        ("CONNECT evil.example:443 HTTP/1.1\r\nHost: x", "404"),
        ("OPTIONS * HTTP/1.1\r\nHost: x", "404"),
        ("TRACE / HTTP/1.1\r\nHost: x", "405"),
    ] {
        assert_eq!(
            statuses(&exporter, &format!("{request}\r\nConnection: close\r\n\r\n")),
            [status],
            "{request}"
        );
    }
    let requests = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(999);
    let last = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let found = statuses(&exporter, &(requests + last));
    assert!(found.len() == 1000 && found.iter().all(|status| status == "200"), "{}", found.len());
    assert!(exporter.memory("VmHWM") < MEMORY_BYTES);
}
