//! A real Prometheus scrapes over TLS with a password, in both formats, while backups come and go.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use e2e::http::{self, Authority};
use e2e::{Exporter, Prometheus};
use qdrant_backup_shared::{BackupId, atomic};

use crate::situations;

/// The scrape interval.
const INTERVAL: Duration = Duration::from_millis(500);

/// The duration of the test: a minute if `QDRANT_BACKUP_LONG_TESTS` is set.
fn span() -> Duration {
    Duration::from_secs(if std::env::var_os("QDRANT_BACKUP_LONG_TESTS").is_some() { 60 } else { 20 })
}

/// Forwards requests to the exporter with another `Accept` header, because this Prometheus always prefers
/// OpenMetrics. Listens until `over`.
fn only_text(listener: TcpListener, exporter: SocketAddr, authority: &Authority, over: &AtomicBool) {
    listener.set_nonblocking(true).unwrap();
    while !over.load(Ordering::Relaxed) {
        let Ok((stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        stream.set_nonblocking(false).unwrap();
        // Prometheus closes the connection when it exits.
        drop(pass_on(stream, exporter, authority));
    }
}

fn pass_on(mut from: TcpStream, exporter: SocketAddr, authority: &Authority) -> std::io::Result<()> {
    let mut password = String::new();
    for line in BufReader::new(from.try_clone()?).lines() {
        let line = line?;
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("authorization")
        {
            value.clone_into(&mut password);
        }
        if line.is_empty() {
            break;
        }
    }
    let mut stream = http::connect_tls(exporter, authority, None)?;
    let accept = ("Accept", "text/plain;version=0.0.4");
    let answer = http::ask(&mut stream, "GET", "/metrics", &[accept, ("Authorization", &password)])?;
    let head = format!(
        "HTTP/1.1 {} X\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        answer.status,
        answer.header("content-type").unwrap_or_default(),
        answer.body.len()
    );
    from.write_all(head.as_bytes())?;
    from.write_all(&answer.body)
}

fn files(authority: &Authority) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let put = |name: &str, contents: &str| {
        atomic::write(&directory.path().join(name), 0o600, contents.as_bytes()).unwrap();
    };
    let identity = authority.sign(&["localhost"]);
    put("server.crt", &identity.certificate);
    put("server.key", &identity.key);
    put("ca.crt", &authority.pem());
    let hash = bcrypt::hash("scrape-me", 10).unwrap();
    put(
        "web.yml",
        &format!(
            "tls_server_config: {{cert_file: server.crt, key_file: server.key}}\nbasic_auth_users: {{prometheus: {hash}}}\n"
        ),
    );
    directory
}

#[test]
fn no_gap_and_no_duplicate_in_either_format_while_backups_come_and_go() {
    let place = situations::healthy();
    let authority = Arc::new(Authority::new());
    let directory = files(&authority);
    let web = directory.path().join("web.yml");
    let exporter = Exporter::start(place.path(), &["--web.config.file", web.to_str().unwrap()]);
    let relay = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = format!(
        "global: {{scrape_interval: {}ms, scrape_timeout: {}ms}}\nscrape_configs:\n\
         - {{job_name: openmetrics, scheme: https, static_configs: [{{targets: ['127.0.0.1:{}']}}], \
         tls_config: {{ca_file: ca.crt, server_name: localhost}}, basic_auth: {{username: prometheus, password: scrape-me}}}}\n\
         - {{job_name: text, static_configs: [{{targets: ['{}']}}], basic_auth: {{username: prometheus, password: scrape-me}}}}\n",
        INTERVAL.as_millis(),
        INTERVAL.as_millis(),
        exporter.address().port(),
        relay.local_addr().unwrap(),
    );
    atomic::write(&directory.path().join("prometheus.yml"), 0o600, config.as_bytes()).unwrap();
    let over = AtomicBool::new(false);
    let (prometheus, made) = std::thread::scope(|scope| {
        scope.spawn(|| only_text(relay, exporter.address(), &authority, &over));
        let prometheus = Prometheus::start(directory.path(), &[]);
        let began = Instant::now();
        let mut made = 0;
        let last = e2e::exporter::now() - TimeDelta::days(60);
        while began.elapsed() < span() {
            // A new backup appears, and later the previous one is removed, as in a backup followed by a prune.
            let id = |number: i64| BackupId::at(last + TimeDelta::seconds(number));
            place.backup("products", id(made).time(), 5);
            if made > 3 {
                place.remove("products", id(made - 3));
            }
            made += 1;
            std::thread::sleep(Duration::from_millis(20));
        }
        over.store(true, Ordering::Relaxed);
        (prometheus, made)
    });
    let span = span().as_secs() - 2;
    for job in ["openmetrics", "text"] {
        for metric in ["up", "qdrant_backup_up"] {
            let series = prometheus.query(&format!("{metric}{{job=\"{job}\"}}[{span}s]"));
            assert_eq!(series.len(), 1, "{job} {metric}: {series:?}");
            let samples = series[0]["values"].as_array().unwrap();
            assert!(samples.iter().all(|sample| sample[1] == "1"), "{job} {metric}: {samples:?}");
            let times: Vec<f64> = samples.iter().map(|sample| sample[0].as_f64().unwrap()).collect();
            let gap = times.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
            println!("{job} {metric}: {} samples, longest gap {gap:.2} s, {made} backups made", times.len());
            assert!(gap < 4.0 * INTERVAL.as_secs_f64(), "{job} {metric}: a gap of {gap} s");
            assert!(times.len() as u64 > span, "{job} {metric}: {} samples", times.len());
        }
        // A duplicate series in a scrape would be dropped and counted as not added.
        let lost = prometheus.query(&format!(
            "max_over_time((scrape_samples_scraped{{job=\"{job}\"}} - \
             scrape_samples_post_metric_relabeling{{job=\"{job}\"}})[{span}s:500ms])"
        ));
        assert_eq!(lost[0]["value"][1], "0", "{job}");
        assert_eq!(prometheus.query(&format!("qdrant_backup_newest_size_bytes{{job=\"{job}\"}}")).len(), 3);
    }
    let own = http::connect(prometheus.address())
        .and_then(|mut stream| http::ask(&mut stream, "GET", "/metrics", &[("Accept", "text/plain")]))
        .unwrap()
        .text();
    for counter in [
        "prometheus_target_scrapes_sample_duplicate_timestamp_total 0",
        "prometheus_target_scrapes_sample_out_of_order_total 0",
        "prometheus_target_scrapes_sample_out_of_bounds_total 0",
    ] {
        assert!(own.contains(counter), "{counter} has another value");
    }
}
