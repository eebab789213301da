//! Start and end of the exporter.

use std::io::{Read, Write};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use e2e::Exporter;
use e2e::exporter::command;
use e2e::http::{self, PATIENCE};
use rustix::process::Signal;

use crate::situations;

#[test]
fn a_request_under_way_is_answered_after_sigterm_and_the_exit_code_is_0() {
    let place = situations::healthy();
    for signal in [Signal::TERM, Signal::INT] {
        let mut exporter = Exporter::start(place.path(), &[]);
        let mut asking = http::connect(exporter.address()).unwrap();
        let mut idle = http::connect(exporter.address()).unwrap();
        asking.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n").unwrap();
        // Another complete request is answered first, so the two above have been accepted.
        assert_eq!(exporter.get("/-/ready").status, 200);
        exporter.signal(signal);
        exporter.wait_for_line("Stopping");
        asking.write_all(b"\r\n").unwrap();
        let mut answer = String::new();
        asking.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(answer.contains("qdrant_backup_up 1"));
        assert_eq!(exporter.wait().code(), Some(0));
        exporter.wait_for_line("msg=Stopped");
        assert_eq!(idle.read(&mut [0]).unwrap(), 0, "the silent connection is closed");
        assert!(http::connect(exporter.address()).is_err());
    }
}

#[test]
fn a_request_that_is_never_finished_holds_the_end_up_for_a_bounded_time() {
    let place = situations::healthy();
    let mut exporter = Exporter::start(place.path(), &[]);
    let mut asking = http::connect(exporter.address()).unwrap();
    asking.write_all(b"GET /metrics HTTP/1.1\r\n").unwrap();
    assert_eq!(exporter.get("/-/ready").status, 200);
    let began = Instant::now();
    exporter.signal(Signal::TERM);
    assert_eq!(exporter.wait().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn systemd_is_told_when_it_is_ready_and_when_it_stops() {
    let place = situations::healthy();
    let path = place.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = command();
    command
        .arg("--backup-dir")
        .arg(place.path())
        .arg("--web.listen-address=127.0.0.1:0")
        .env("NOTIFY_SOCKET", &path);
    let mut exporter = Exporter::spawn(&mut command);
    let receive = || {
        let mut buffer = [0; 100];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
    };
    assert_eq!(receive(), "READY=1");
    assert_eq!(exporter.get("/metrics").status, 200, "ready means ready");
    exporter.signal(Signal::TERM);
    assert_eq!(receive(), "STOPPING=1");
    assert_eq!(exporter.wait().code(), Some(0));
}

#[test]
fn what_cannot_be_read_is_logged_once() {
    let place = situations::healthy();
    let layout = place.layout();
    let file = layout.status_file();
    qdrant_backup_shared::atomic::write(&file, 0o640, b"{ torn").unwrap();
    let exporter = Exporter::start(place.path(), &[]);
    for _ in 0..5 {
        assert!(exporter.get("/metrics").text().contains("\nqdrant_backup_up 0\n"));
    }
    exporter.wait_for_line("status.json");
    situations::crowd(&place, 0);
    assert!(exporter.get("/metrics").text().contains("\nqdrant_backup_up 1\n"));
    exporter.wait_for_line("Everything is readable again");
    let lines = exporter.log();
    assert_eq!(lines.iter().filter(|line| line.contains("status.json")).count(), 1, "{lines:#?}");
}
