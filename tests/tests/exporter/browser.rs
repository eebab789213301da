//! The status page in a real browser: its text and screenshots.

use std::path::Path;
use std::process::{Command, Stdio};

use e2e::Exporter;

use crate::situations;

/// Where the screenshots of the documentation are written if `QDRANT_BACKUP_SCREENSHOTS` is set.
const IMAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/images");

fn chromium(profile: &Path) -> Command {
    let mut command = Command::new("chromium");
    command
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--timeout=5000",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn dom(url: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = chromium(profile.path()).arg("--dump-dom").arg(url).output().expect("chromium starts");
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn screenshot(url: &str, name: &str, size: &str, options: &[&str]) {
    let profile = tempfile::tempdir().unwrap();
    let file = profile.path().join(name);
    let status = chromium(profile.path())
        .args(options)
        .arg(format!("--window-size={size}"))
        .arg(format!("--screenshot={}", file.display()))
        .arg(url)
        .stdout(Stdio::null())
        .status()
        .expect("chromium starts");
    assert!(status.success());
    let picture = std::fs::read(&file).expect("a picture");
    assert!(picture.starts_with(b"\x89PNG") && picture.len() > 10_000, "{} bytes", picture.len());
    if std::env::var_os("QDRANT_BACKUP_SCREENSHOTS").is_some() {
        std::fs::create_dir_all(IMAGES).unwrap();
        qdrant_backup_shared::atomic::write(&Path::new(IMAGES).join(name), 0o644, &picture).unwrap();
    }
}

/// The text between tags, as a reader sees it.
fn text(dom: &str) -> String {
    let body = dom.split_once("<body>").expect("a body").1;
    let mut text = String::new();
    let mut inside = false;
    for character in body.chars() {
        match character {
            '<' => inside = true,
            '>' => {
                inside = false;
                text.push(' ');
            }
            _ if !inside => text.push(character),
            _ => {}
        }
    }
    text.replace("&nbsp;", " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn assert_says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
}

#[test]
fn the_page_says_in_a_browser_that_all_is_well() {
    let place = situations::healthy();
    let exporter = Exporter::start(place.path(), &[]);
    let url = format!("http://{}/", exporter.address());
    let dom = dom(&url);
    assert!(dom.contains("<title>Qdrant backups: fine</title>"));
    assert_says(
        &text(&dom),
        &[
            "Qdrant backups of backup-host",
            "All 3 collections backed up 2 h ago, verified",
            "products 2 h ago",
            "250 000",
            "2.38 MiB",
            "14 good",
            "archive 11",
            "backup ended 11",
            "backup: download",
            "backups are kept for 14 days",
        ],
    );
    assert_eq!(dom.matches("<svg class=\"sizes\"").count(), 3);
    screenshot(&url, "status-healthy.png", "1100,1000", &[]);
    screenshot(&url, "status-phone.png", "420,1000", &["--blink-settings=preferredColorScheme=0"]);
}

#[test]
fn the_page_says_in_a_browser_what_is_wrong() {
    let place = situations::failing();
    let evil = "<img src=x onerror=alert(1)>";
    place.backup(evil, e2e::exporter::now(), 100);
    let exporter = Exporter::start(place.path(), &[]);
    let url = format!("http://{}/", exporter.address());
    let dom = dom(&url);
    assert!(dom.contains("<title>Qdrant backups: critical</title>"));
    assert!(!dom.contains("<img"), "{dom}");
    assert_says(
        &text(&dom),
        &[
            "1 backup failed verification: products",
            "1 of 3 collections failed, the first: support_tickets: shard 2 has no active replica",
            "what this means",
            "verification-failed A check found that a backup is bad.",
            "last attempt failed: shard 2 has no active replica on the asked node",
            "1 failed verification",
            "unknown whether it is on the server",
        ],
    );
    let place = situations::failing();
    let exporter = Exporter::start(place.path(), &[]);
    screenshot(&format!("http://{}/", exporter.address()), "status-failing.png", "1100,1150", &[]);
}
