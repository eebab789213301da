//! `--web.config.file`: TLS, clients' certificates, passwords, headers, rate limit, and all of it changed while running.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Command;

use e2e::http::{self, Answer, Authority, Identity, basic};
use e2e::{Directory, Exporter};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::situations;

/// A web configuration with what it names.
struct Files {
    directory: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn put(&self, name: &str, contents: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        qdrant_backup_shared::atomic::write(&path, 0o600, contents.as_bytes()).unwrap();
        path
    }

    fn identity(&self, identity: &Identity) {
        self.put("tls/server.crt", &identity.certificate);
        self.put("tls/server.key", &identity.key);
    }

    fn exporter(&self, place: &Directory) -> Exporter {
        let file = self.directory.path().join("web.yml");
        Exporter::start(place.path(), &["--web.config.file", file.to_str().unwrap()])
    }
}

fn hash(password: &str) -> String {
    bcrypt::hash(password, 5).unwrap()
}

const TLS: &str = "tls_server_config: {cert_file: tls/server.crt, key_file: tls/server.key";

fn get_tls(
    exporter: &Exporter,
    authority: &Authority,
    identity: Option<&Identity>,
) -> std::io::Result<Answer> {
    let mut stream = http::connect_tls(exporter.address(), authority, identity)?;
    http::ask(&mut stream, "GET", "/metrics", &[])
}

#[test]
fn only_the_right_password_opens_any_path_and_a_refusal_carries_the_headers() {
    let (place, files) = (situations::healthy(), Files::new());
    files.put(
        "web.yml",
        &format!(
            "http_server_config: {{headers: {{X-Frame-Options: deny}}}}\nbasic_auth_users: {{alice: {}}}\n",
            hash("right")
        ),
    );
    let exporter = files.exporter(&place);
    for path in ["/metrics", "/", "/-/healthy", "/api/v1/status", "/nothing"] {
        for header in [basic("alice", "wrong"), basic("bob", "right"), "Bearer x".to_owned()] {
            let answer = exporter.ask("GET", path, &[("Authorization", &header)]);
            assert_eq!(answer.status, 401, "{path}");
            assert_eq!(answer.header("www-authenticate"), Some("Basic"));
            assert_eq!(answer.header("x-frame-options"), Some("deny"));
            assert_eq!(answer.text(), "Unauthorized\n");
        }
        assert_eq!(exporter.get(path).status, 401, "{path}");
        let expected = if path == "/nothing" { 404 } else { 200 };
        let answer = exporter.ask("GET", path, &[("Authorization", &basic("alice", "right"))]);
        assert_eq!(answer.status, expected, "{path}");
    }
    let said = exporter.log().join("\n");
    assert!(!said.contains("right") && !said.contains("$2b$"), "{said}");
}

#[test]
fn users_change_without_a_restart_and_a_mistake_leaves_the_ones_before() {
    let (place, files) = (situations::healthy(), Files::new());
    let users = |password: &str| format!("basic_auth_users: {{alice: {}}}\n", hash(password));
    files.put("web.yml", &users("old"));
    let exporter = files.exporter(&place);
    let status = |password: &str| {
        exporter.ask("GET", "/metrics", &[("Authorization", &basic("alice", password))]).status
    };
    assert_eq!((status("old"), status("new")), (200, 401));
    files.put("web.yml", &users("new"));
    assert_eq!((status("old"), status("new")), (401, 200));
    files.put("web.yml", "basic_auth_user: {}\n");
    assert_eq!((status("old"), status("new")), (401, 200));
    exporter.wait_for_line("web.yml:1: basic_auth_user: unknown key; did you mean basic_auth_users?");
    files.put("web.yml", &users("newest"));
    assert_eq!((status("new"), status("newest")), (401, 200));
}

#[test]
fn an_emptied_gone_or_cut_file_lets_nobody_in_and_a_metric_and_the_log_tell() {
    let (place, files) = (situations::healthy(), Files::new());
    let users = format!("basic_auth_users: {{alice: {}}}\n", hash("right"));
    let path = files.put("web.yml", &users);
    let exporter = files.exporter(&place);
    let scrape = || {
        let answer = exporter.ask("GET", "/metrics", &[("Authorization", &basic("alice", "right"))]);
        assert_eq!(exporter.get("/metrics").status, 401);
        assert_eq!(answer.status, 200);
        let text = answer.text();
        let line = text.lines().find(|line| line.starts_with("qdrant_backup_exporter_web_config_success "));
        line.unwrap().to_owned()
    };
    assert!(scrape().ends_with(" 1"));
    for wrong in ["", "basic_auth_users:\n", "basic_auth_users: {}\n", &users[..users.len() - 20]] {
        // In place, as an editor may do it.
        std::fs::File::create(&path).and_then(|mut file| file.write_all(wrong.as_bytes())).unwrap();
        assert!(scrape().ends_with(" 0"), "{wrong:?}");
    }
    exporter.wait_for_line("basic_auth_users has no user any more; if that is meant, restart the exporter");
    std::fs::remove_file(&path).unwrap();
    assert!(scrape().ends_with(" 0"));
    files.put("web.yml", &users);
    assert!(scrape().ends_with(" 1"));
    let said = exporter.log().iter().filter(|line| line.contains("has no user any more")).count();
    assert!(said <= 3, "once for each change: {said}");
}

#[test]
fn a_pipe_or_a_device_in_place_of_a_file_wedges_nobody_and_takes_no_memory() {
    let (place, files) = (situations::healthy(), Files::new());
    let authority = Authority::new();
    files.identity(&authority.sign(&["localhost"]));
    files.put("web.yml", &format!("{TLS}}}\n"));
    let exporter = files.exporter(&place);
    for name in ["web.yml", "tls/server.crt", "tls/server.key"] {
        let path = files.directory.path().join(name);
        let kept = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        for _ in 0..3 {
            assert_eq!(get_tls(&exporter, &authority, None).unwrap().status, 200, "{name}");
        }
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert_eq!(get_tls(&exporter, &authority, None).unwrap().status, 200, "{name}");
        files.put(name, &kept);
        let text = get_tls(&exporter, &authority, None).unwrap().text();
        assert!(text.contains("\nqdrant_backup_exporter_web_config_success 1\n"), "{name}");
    }
    exporter.wait_for_line("not a regular file");
    assert!(exporter.memory("VmHWM") < 64 << 20);

    let pipe = files.directory.path().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    for flag in ["--web.config.file", "--config"] {
        for path in [pipe.to_str().unwrap(), "/dev/zero"] {
            let ended = e2e::exporter::command().args([flag, path]).output().unwrap();
            assert_eq!(ended.status.code(), Some(78), "{flag} {path}");
            let said = String::from_utf8_lossy(&ended.stderr);
            assert!(said.contains(&format!("{path}: not a regular file")), "{said}");
        }
    }
}

#[test]
fn a_flood_of_wrong_passwords_keeps_the_right_one_out_neither_before_nor_after_it_was_known() {
    let (place, files) = (situations::healthy(), Files::new());
    files.put("web.yml", &format!("basic_auth_users: {{alice: {}}}\n", bcrypt::hash("right", 8).unwrap()));
    let exporter = files.exporter(&place);
    for round in 0..2 {
        let guesses: Vec<_> = (0..250)
            .map(|number| {
                let header = basic("alice", &format!("guess {round} {number}"));
                let mut stream = http::connect(exporter.address()).unwrap();
                write!(
                    stream,
                    "GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: {header}\r\nConnection: close\r\n\r\n"
                )
                .unwrap();
                stream
            })
            .collect();
        let answer = exporter.ask("GET", "/metrics", &[("Authorization", &basic("alice", "right"))]);
        assert_eq!(answer.status, 200, "round {round}");
        let mut statuses = std::collections::BTreeMap::new();
        for mut stream in guesses {
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            *statuses.entry(answer[9..12].to_owned()).or_insert(0) += 1;
        }
        println!("round {round}: {statuses:?}");
        assert!(statuses.keys().all(|status| status == "401" || status == "429"), "{statuses:?}");
        assert!(statuses["401"] >= 1 && statuses["429"] >= 50, "most are not even compared: {statuses:?}");
    }
}

#[test]
fn tls_with_a_certificate_that_is_renewed_without_a_restart() {
    let (place, files) = (situations::healthy(), Files::new());
    let (first, second) = (Authority::new(), Authority::new());
    files.identity(&first.sign(&["localhost"]));
    files.put("web.yml", &format!("{TLS}, min_version: TLS13}}\n"));
    let exporter = files.exporter(&place);
    assert!(get_tls(&exporter, &first, None).unwrap().text().contains("qdrant_backup_up 1"));
    assert!(get_tls(&exporter, &second, None).is_err());
    let plain = http::connect(exporter.address())
        .and_then(|mut stream| http::ask(&mut stream, "GET", "/metrics", &[]));
    assert!(plain.is_err(), "{plain:?}");

    files.identity(&second.sign(&["localhost"]));
    assert!(get_tls(&exporter, &second, None).unwrap().text().contains("qdrant_backup_up 1"));
    assert!(get_tls(&exporter, &first, None).is_err());

    files.put("tls/server.key", "torn");
    assert_eq!(get_tls(&exporter, &second, None).unwrap().status, 200, "the one before stays");
    exporter.wait_for_line("no private key in PEM (unencrypted) found");

    files.put("web.yml", "nonsense: 1\n");
    assert_eq!(get_tls(&exporter, &second, None).unwrap().status, 200, "so does the file before");

    files.put("web.yml", &format!("http_server_config: {{http2: true}}\n{TLS}}}\n"));
    assert_eq!(get_tls(&exporter, &second, None).unwrap().status, 200, "and what is not offered");
    exporter.wait_for_line("web.yml:1: http_server_config.http2: HTTP/2 is not supported; remove the key");
}

#[test]
fn a_certificate_that_turns_bad_leaves_the_one_before_and_a_metric_and_the_log_tell() {
    let (place, files) = (situations::healthy(), Files::new());
    let authority = Authority::new();
    let good = authority.sign(&["localhost"]);
    files.identity(&good);
    files.put("web.yml", &format!("{TLS}}}\n"));
    let exporter = files.exporter(&place);
    let success = || {
        let text = get_tls(&exporter, &authority, None).expect("the one before stays").text();
        let line = text.lines().find(|line| line.starts_with("qdrant_backup_exporter_web_config_success "));
        line.unwrap().ends_with(" 1")
    };
    assert!(success());
    let next = authority.sign(&["localhost"]);
    let half = |text: &str| text[..text.len() / 2].to_owned();
    let expired = authority.sign_for(&["localhost"], 2000, 2001);
    let early = authority.sign_for(&["localhost"], 2999, 3000);
    for (what, certificate, key, said) in [
        ("expired", expired.certificate.clone(), expired.key.clone(), "expired on 2001-01-01"),
        ("not valid yet", early.certificate.clone(), early.key.clone(), "not valid before 2999-01-01"),
        ("another key", next.certificate.clone(), good.key.clone(), "does not belong to the certificate"),
        ("emptied", String::new(), next.key.clone(), "no certificate in PEM found"),
        ("an emptied key", next.certificate.clone(), String::new(), "no private key in PEM"),
        ("truncated", half(&next.certificate), next.key.clone(), "cert_file"),
        ("a truncated key", next.certificate.clone(), half(&next.key), "no private key in PEM"),
        ("the key twice", next.key.clone(), next.key.clone(), "no certificate in PEM found"),
    ] {
        files.identity(&Identity { certificate, key });
        assert!(!success(), "{what}");
        exporter.wait_for_line(said);
        // And from then on, not only at the first look.
        assert!(!success(), "{what}");
    }
    for name in ["tls/server.crt", "tls/server.key"] {
        files.identity(&next);
        assert!(success(), "{name}");
        std::fs::remove_file(files.directory.path().join(name)).unwrap();
        assert!(!success(), "{name}");
    }
    files.identity(&next);
    assert!(success());
    let said = exporter.log().join("\n");
    assert!(!said.contains("PRIVATE KEY") && !said.contains(&good.key[30..60]), "{said}");
}

#[test]
fn clients_without_the_right_certificate_stay_outside() {
    let (place, files) = (situations::healthy(), Files::new());
    let (server, clients, others) = (Authority::new(), Authority::new(), Authority::new());
    files.identity(&server.sign(&["localhost"]));
    files.put("clients.crt", &clients.pem());
    let verify = "client_ca_file: clients.crt, client_auth_type: RequireAndVerifyClientCert";
    files.put("web.yml", &format!("{TLS}, {verify}}}\n"));
    let exporter = files.exporter(&place);
    let wanted = clients.sign(&["prometheus.example"]);
    assert_eq!(get_tls(&exporter, &server, Some(&wanted)).unwrap().status, 200);
    assert!(get_tls(&exporter, &server, None).is_err(), "no certificate");
    assert!(get_tls(&exporter, &server, Some(&others.sign(&["prometheus.example"]))).is_err(), "another's");
}

#[test]
fn too_many_requests_are_429() {
    let (place, files) = (situations::healthy(), Files::new());
    files.put("web.yml", "rate_limit: {interval: 1h, burst: 3}\n");
    let exporter = files.exporter(&place);
    let statuses: Vec<u16> = (0..5).map(|_| exporter.get("/-/healthy").status).collect();
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    files.put("web.yml", "");
    assert_eq!(exporter.get("/-/healthy").status, 200);
}

#[cfg(feature = "outside")]
#[test]
fn the_shipped_sample_passes_promtool_and_works() {
    let (place, files) = (situations::healthy(), Files::new());
    let authority = Authority::new();
    files.identity(&authority.sign(&["localhost"]));
    let sample = files.put("web.yml", include_str!("../../../deploy/exporter/web-config.yml"));
    let checked = Command::new("promtool").args(["check", "web-config"]).arg(&sample).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
    let exporter = files.exporter(&place);
    assert_eq!(get_tls(&exporter, &authority, None).unwrap().status, 401);
    let mut stream = http::connect_tls(exporter.address(), &authority, None).unwrap();
    let header = basic("prometheus", "change-me");
    let answer = http::ask(&mut stream, "GET", "/metrics", &[("Authorization", &header)]).unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("strict-transport-security"), Some("max-age=31536000"));
}
