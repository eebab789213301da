//! `--web.config.file`: TLS, client certificates, passwords and headers, changes to them at run time, and invalid
//! files.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Command;

use e2e::http::{self, Answer, Authority, Identity, basic};
use e2e::{Directory, Exporter, Ran};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::situations;

/// A web configuration with the files it refers to.
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
            hash("right:with colon")
        ),
    );
    let exporter = files.exporter(&place);
    for wrong in [
        basic("alice", "right"),
        basic("alice", ""),
        basic("", ""),
        "Basic".into(),
        "Basic !!!".into(),
        String::new(),
    ] {
        assert_eq!(exporter.ask("GET", "/", &[("Authorization", &wrong)]).status, 401, "{wrong}");
    }
    let right = basic("alice", "right:with colon");
    for path in ["/metrics", "/", "/-/healthy", "/api/v1/status", "/nothing"] {
        for header in [basic("alice", "wrong"), basic("bob", "right:with colon"), "Bearer x".to_owned()] {
            let answer = exporter.ask("GET", path, &[("Authorization", &header)]);
            assert_eq!(answer.status, 401, "{path}");
            assert_eq!(answer.header("www-authenticate"), Some("Basic"));
            assert_eq!(answer.header("x-frame-options"), Some("deny"));
            assert_eq!(answer.text(), "Unauthorized\n");
        }
        assert_eq!(exporter.get(path).status, 401, "{path}");
        let expected = if path == "/nothing" { 404 } else { 200 };
        let answer = exporter.ask("GET", path, &[("Authorization", &right)]);
        assert_eq!(answer.status, expected, "{path}");
    }
    let said = exporter.log().join("\n");
    assert!(!said.contains("right") && !said.contains("$2b$"), "{said}");
}

#[test]
fn an_unknown_user_costs_a_comparison_too() {
    let (place, files) = (situations::healthy(), Files::new());
    files.put("web.yml", &format!("basic_auth_users: {{alice: {}}}\n", bcrypt::hash("right", 10).unwrap()));
    let exporter = files.exporter(&place);
    for user in ["alice", "bob"] {
        let began = std::time::Instant::now();
        let answer = exporter.ask("GET", "/-/healthy", &[("Authorization", &basic(user, "wrong"))]);
        assert_eq!(answer.status, 401);
        assert!(began.elapsed().as_millis() > 5, "{user}: no password was compared");
    }
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
    let too_large = format!("{users}{}", "#".repeat(1 << 20));
    for wrong in [
        "",
        "basic_auth_users:\n",
        "basic_auth_users: {}\n",
        &users[..users.len() - 20],
        "nonsense: 1\n",
        "\0",
        &too_large,
    ] {
        // Written in place, as some editors do.
        std::fs::File::create(&path).and_then(|mut file| file.write_all(wrong.as_bytes())).unwrap();
        assert!(scrape().ends_with(" 0"), "{:.80}", wrong);
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
        let ask = || exporter.ask("GET", "/metrics", &[("Authorization", &basic("alice", "right"))]);
        let mut answer = ask();
        // A new client from the same address may have to try again.
        while round == 0 && answer.status == 429 {
            assert_eq!(answer.header("retry-after"), Some("1"));
            answer = ask();
        }
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
    assert_eq!(get_tls(&exporter, &second, None).unwrap().status, 200, "the previous one stays in force");
    exporter.wait_for_line("no private key in PEM (unencrypted) found");

    files.put("web.yml", "nonsense: 1\n");
    assert_eq!(get_tls(&exporter, &second, None).unwrap().status, 200, "so does the previous file");

    files.put("web.yml", &format!("http_server_config: {{http2: true}}\n{TLS}}}\n"));
    assert_eq!(get_tls(&exporter, &second, None).unwrap().status, 200, "and what is not offered");
    exporter.wait_for_line("web.yml:1: http_server_config.http2: HTTP/2 is not supported; remove the key");
}

#[test]
fn a_certificate_that_cannot_be_used_leaves_the_one_before_and_a_metric_and_the_log_tell() {
    let (place, files) = (situations::healthy(), Files::new());
    let authority = Authority::new();
    let good = authority.sign(&["localhost"]);
    files.identity(&good);
    files.put("web.yml", &format!("{TLS}}}\n"));
    let exporter = files.exporter(&place);
    let success = || {
        let text = get_tls(&exporter, &authority, None).expect("the previous one stays in force").text();
        let line = text.lines().find(|line| line.starts_with("qdrant_backup_exporter_web_config_success "));
        line.unwrap().ends_with(" 1")
    };
    assert!(success());
    let next = authority.sign(&["localhost"]);
    let half = |text: &str| text[..text.len() / 2].to_owned();
    for (what, certificate, key, said) in [
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
        // The failure persists, not only on the first reload.
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

/// The lines that the exporter prints when it refuses to start with this file, without the directory.
fn refusals(files: &Files, text: &str) -> Vec<String> {
    let file = files.put("web.yml", text);
    let ran = Ran::of(e2e::exporter::command().args(["--log.format=json", "--web.config.file"]).arg(file));
    let ran = ran.code(78);
    let line = |line: &str| {
        serde_json::from_str::<serde_json::Value>(line).unwrap()["msg"].as_str().map(str::to_owned)
    };
    let directory = format!("{}/", files.directory.path().display());
    let errors = ran.stderr.lines().filter(|line| line.contains("\"ERROR\"")).filter_map(line);
    errors.map(|line| line.replace(&directory, "")).collect()
}

#[test]
fn all_problems_come_at_once_with_line_and_key_and_without_the_secret() {
    let files = Files::new();
    assert_eq!(
        refusals(
            &files,
            "tls_server_confg: {}\ntls_server_config:\n  cert_file: a\n  min_version: TLS10\n  max_version: TLS14\n  \
             client_ca_file: c\nhttp_server_config:\n  http2: yes\n  headers:\n    Server: x\n    X-Frame-Options: maybe\n    \
             X-XSS-Protection: \"a\\nb\"\nbasic_auth_users:\n  alice: secret-password\n  \"a:b\": x\n  alice: y\n  bob: [z]\n"
        ),
        [
            "web.yml:1: tls_server_confg: unknown key; did you mean tls_server_config?",
            "web.yml:2: tls_server_config: key_file is missing",
            "web.yml:2: tls_server_config: client_ca_file is set and client_auth_type is not; set it to RequireAndVerifyClientCert",
            "web.yml:4: tls_server_config.min_version: TLS10 is broken and not offered; use TLS12 or TLS13",
            "web.yml:5: tls_server_config.max_version: expected TLS12 or TLS13",
            "web.yml:8: http_server_config.http2: expected false",
            "web.yml:10: http_server_config.headers.Server: this header cannot be set; known here: Strict-Transport-Security, X-Content-Type-Options, X-Frame-Options, X-XSS-Protection, Content-Security-Policy",
            "web.yml:11: http_server_config.headers.X-Frame-Options: expected deny or sameorigin",
            "web.yml:12: http_server_config.headers.X-XSS-Protection: not a header's value: only visible ASCII characters",
            "web.yml:14: basic_auth_users.alice: not a bcrypt hash; make one with `htpasswd -nBC 10 NAME`",
            "web.yml:15: basic_auth_users.a:b: a user name has no colon and is not empty",
            "web.yml:16: basic_auth_users.alice: key repeated; it is already on line 14",
            "web.yml:17: basic_auth_users.bob: expected text",
        ]
    );
    assert_eq!(refusals(&files, "- a\n"), ["web.yml:1: expected a mapping of keys to values"]);
    assert_eq!(refusals(&files, "tls_server_config: [\n").len(), 1);
    let required =
        "tls_server_config: {cert_file: a, key_file: b, client_auth_type: RequireAndVerifyClientCert}\n";
    assert_eq!(
        refusals(&files, required),
        ["web.yml:1: tls_server_config: client_ca_file is missing: clients' certificates are to be verified"]
    );
    assert_eq!(
        refusals(
            &files,
            "tls_server_config: {cert_file: a, key_file: b, min_version: TLS13, max_version: TLS12}\n"
        ),
        ["web.yml:1: tls_server_config: min_version is above max_version"]
    );
}

#[test]
fn what_is_not_supported_is_refused_with_what_to_do_instead() {
    let files = Files::new();
    assert_eq!(
        refusals(
            &files,
            "tls_server_config:\n  cert_file: a\n  key_file: b\n  client_allowed_sans: [x]\n  \
             cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n  prefer_server_cipher_suites: true\n  \
             curve_preferences: [X25519]\n  cert: c\n  key: |\n    secret-key\n  client_ca: d\n\
             http_server_config: {http2: true}\nrate_limit: {interval: 1s, burst: 20}\n"
        ),
        [
            "web.yml:4: tls_server_config.client_allowed_sans: not supported; use a client_ca_file that signs only the clients that may connect",
            "web.yml:5: tls_server_config.cipher_suites: not supported; remove it: only suites with forward secrecy are offered; min_version: TLS13 allows fewer",
            "web.yml:6: tls_server_config.prefer_server_cipher_suites: not supported; remove it: every suite that is offered is strong",
            "web.yml:7: tls_server_config.curve_preferences: not supported; remove it: X25519, P-256 and P-384 are offered",
            "web.yml:8: tls_server_config.cert: not supported; write the certificate to a file and set cert_file",
            "web.yml:9: tls_server_config.key: not supported; write the key to a file and set key_file",
            "web.yml:11: tls_server_config.client_ca: not supported; write the certificates to a file and set client_ca_file",
            "web.yml:12: http_server_config.http2: HTTP/2 is not supported; remove the key, or set it to false",
            "web.yml:13: rate_limit: not supported; remove it; --web.max-requests limits the requests that are answered at once",
        ]
    );
    for kind in ["RequestClientCert", "RequireAnyClientCert", "RequireClientCert"] {
        let text = format!("tls_server_config:\n  cert_file: a\n  key_file: b\n  client_auth_type: {kind}\n");
        assert_eq!(
            refusals(&files, &text),
            [
                "web.yml:4: tls_server_config.client_auth_type: not supported: it accepts a certificate that anybody made; use RequireAndVerifyClientCert with client_ca_file, or basic_auth_users"
            ]
        );
    }
}

#[test]
fn errors_at_the_start_name_the_file_of_the_certificate_or_key() {
    let (files, authority) = (Files::new(), Authority::new());
    files.identity(&authority.sign(&["localhost"]));
    files.put("tls/other.key", &authority.sign(&["localhost"]).key);
    for (certificate, key, says) in [
        ("no.crt", "tls/server.key", "web.yml: cert_file: cannot read no.crt: No such file"),
        (
            "tls/server.key",
            "tls/server.key",
            "web.yml: cert_file: tls/server.key: no certificate in PEM found",
        ),
        ("tls/server.crt", "tls/other.key", "tls/other.key: the key does not belong to the certificate"),
        ("tls/server.crt", "/dev/zero", "key_file: cannot read /dev/zero: not a regular file"),
    ] {
        let said =
            refusals(&files, &format!("tls_server_config: {{cert_file: {certificate}, key_file: {key}}}\n"));
        assert!(said.len() == 1 && said[0].contains(says), "{said:?}");
    }
}

#[test]
fn a_file_with_every_key_works_and_so_does_one_that_says_nothing() {
    let (place, files) = (situations::healthy(), Files::new());
    let (server, clients) = (Authority::new(), Authority::new());
    files.identity(&server.sign(&["localhost"]));
    files.put("clients.crt", &clients.pem());
    let more = "client_ca_file: clients.crt, client_auth_type: RequireAndVerifyClientCert, min_version: TLS12, \
                max_version: TLS13, client_allowed_sans: []";
    let headers =
        "http_server_config: {http2: false, headers: {x-frame-options: deny, Content-Security-Policy: }}\n";
    files.put(
        "web.yml",
        &format!("{TLS}, {more}}}\n{headers}basic_auth_users: {{alice: {}}}\n", hash("right")),
    );
    let exporter = files.exporter(&place);
    let identity = clients.sign(&["prometheus.example"]);
    let mut stream = http::connect_tls(exporter.address(), &server, Some(&identity)).unwrap();
    let header = basic("alice", "right");
    let answer = http::ask(&mut stream, "GET", "/", &[("Authorization", &header)]).unwrap();
    assert_eq!((answer.status, answer.header("x-frame-options")), (200, Some("deny")));
    for text in ["", "# nothing\n", "tls_server_config:\nbasic_auth_users:\n", "tls_server_config: {}\n"] {
        files.put("web.yml", text);
        assert_eq!(files.exporter(&place).get("/metrics").status, 200, "{text:?}");
    }
}

#[test]
fn no_reload_opens_a_door_that_was_closed_nor_turns_tls_on() {
    let (place, files, authority) = (situations::healthy(), Files::new(), Authority::new());
    files.identity(&authority.sign(&["localhost"]));
    files.put("ca.crt", &authority.pem());
    let users = format!("basic_auth_users: {{alice: {}}}\n", hash("right"));
    let tls = |more: &str| format!("{TLS}{more}}}\n");
    let verify = ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.crt";
    let if_given = ", client_auth_type: VerifyClientCertIfGiven, client_ca_file: ca.crt";
    let (no_user, removed) =
        ("basic_auth_users has no user any more; if", "tls_server_config was removed; if");
    let less = "client_auth_type asks less of clients' certificates; if that is meant, restart the exporter";
    for (before, after, says) in [
        (users.clone(), String::new(), no_user),
        (users.clone(), "basic_auth_users: {}\n".to_owned(), no_user),
        (tls("") + &users, tls(""), no_user),
        (tls(""), String::new(), removed),
        (tls("") + &users, users.clone(), removed),
        (users.clone(), tls("") + &users, "tls_server_config was added; that needs a restart"),
        (tls(verify), tls(""), less),
        (tls(verify), tls(if_given), less),
        (tls(if_given), tls(""), less),
    ] {
        files.put("web.yml", &before);
        let exporter = files.exporter(&place);
        let stranger = || {
            if before.contains(TLS) {
                get_tls(&exporter, &authority, None).ok().map(|answer| answer.status)
            } else {
                Some(exporter.get("/metrics").status)
            }
        };
        let met = stranger();
        files.put("web.yml", &after);
        assert_eq!(stranger(), met, "{says}");
        exporter.wait_for_line(says);
        assert_eq!(stranger(), met, "{says}");
        // Applied after a restart.
        files.exporter(&place);
    }
}

#[test]
fn users_may_come_and_one_may_go() {
    let (place, files) = (situations::healthy(), Files::new());
    files.put("web.yml", "");
    let exporter = files.exporter(&place);
    let hash = hash("right");
    for names in [["alice", "bob"].as_slice(), &["bob"]] {
        let users: String = names.iter().map(|name| format!("  {name}: {hash}\n")).collect();
        files.put("web.yml", &format!("basic_auth_users:\n{users}"));
        for name in ["alice", "bob"] {
            let answer = exporter.ask("GET", "/metrics", &[("Authorization", &basic(name, "right"))]);
            assert_eq!(answer.status == 200, names.contains(&name), "{name}");
        }
    }
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
