//! TLS: accepted certificates, the errors for others, and client certificates.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use e2e::qdrant_stand_in::{Answer, ClientIdentity, Endpoint, Fault, Setup, StandIn, TlsSetup};
use e2e::scene::{DOCS, IMPATIENT, docs};
use e2e::{Place, Ran, Scene};
use qdrant_backup_shared::{FailureKind, atomic};

/// A server with this certificate, and the file that its clients must trust.
fn scene(tls: TlsSetup) -> (Scene, PathBuf) {
    let scene = Scene::of(Setup::empty().collection(docs()).tls_as(tls));
    let trusted = scene.place.beside("trusted.pem");
    put(&trusted, scene.server.authority_pem().expect("TLS"));
    (scene, trusted)
}

fn put(path: &Path, text: &str) {
    atomic::write(path, 0o600, text.as_bytes()).expect("it can be written");
}

/// A backup from the server under this host name.
fn backup_of(scene: &Scene, trusted: &Path, host: &str) -> Ran {
    let url = scene.server.url().replace("127.0.0.1", host);
    Ran::of(scene.place.command(&["backup"]).env("QDRANT_URL", url).env("QDRANT_CA_FILE", trusted))
}

/// The run reported the reason in one line, and the status contains it.
#[track_caller]
fn refused(scene: &Scene, ran: Ran, parts: &[&str]) {
    let ran = ran.code(1).says(&[&["ERROR", "cannot reach Qdrant at https://"], parts].concat());
    assert_eq!(ran.stderr.lines().filter(|line| line.contains("ERROR")).count(), 1, "{}", ran.stderr);
    let run = scene.place.status().last_run.expect("a run");
    assert_eq!(run.failure().expect("a failure").kind, FailureKind::Unreachable);
    assert_eq!(scene.place.stored(), Vec::<String>::new());
    assert_eq!(scene.server.requests().len(), 0);
}

#[test]
fn a_certificate_that_is_itself_in_the_ca_file_is_accepted() {
    for tls in [TlsSetup::self_signed(), TlsSetup::self_signed().only_tls12()] {
        let (scene, trusted) = scene(tls);
        backup_of(&scene, &trusted, "127.0.0.1").success();
        scene.assert_backed_up();
        backup_of(&scene, &trusted, "localhost").success();
    }
}

#[test]
fn the_certificate_of_openssls_default_command_is_accepted_for_its_common_name() {
    let certificate = include_str!("../../data/tls/openssl-default.pem");
    let key = include_str!("../../data/tls/openssl-default.key");
    let (scene, trusted) = scene(TlsSetup::given(certificate, key));

    refused(
        &scene,
        backup_of(&scene, &trusted, "127.0.0.1"),
        &["it is for localhost, not for 127.0.0.1", "use one of its names"],
    );
    backup_of(&scene, &trusted, "localhost").success();
    scene.place.prove();
}

#[test]
fn a_common_name_counts_only_where_there_is_no_other_name() {
    let (scene, trusted) = scene(TlsSetup::self_signed().names(&["qdrant.example"]).common_name("localhost"));
    refused(
        &scene,
        backup_of(&scene, &trusted, "localhost"),
        &["it is for qdrant.example, not for localhost"],
    );
}

#[test]
fn a_certificate_for_another_host_is_refused_with_the_names_that_it_has() {
    for tls in [TlsSetup::of_authority(), TlsSetup::self_signed()] {
        let (scene, trusted) = scene(tls.names(&["qdrant.example", "10.0.0.7"]));
        refused(
            &scene,
            backup_of(&scene, &trusted, "localhost"),
            &["it is for qdrant.example, 10.0.0.7, not for localhost", "use one of its names in the URL"],
        );
    }
}

#[test]
fn a_certificate_without_any_name_is_refused_with_how_one_is_made() {
    for tls in [TlsSetup::of_authority(), TlsSetup::self_signed()] {
        let (scene, trusted) = scene(tls.names(&[]));
        refused(
            &scene,
            backup_of(&scene, &trusted, "127.0.0.1"),
            &["it names no host", "-addext subjectAltName=IP:127.0.0.1"],
        );
    }
}

#[test]
fn a_certificate_out_of_its_time_is_refused_with_dates_and_the_clock() {
    for tls in [TlsSetup::of_authority(), TlsSetup::self_signed()] {
        let (expired, trusted) = scene(tls.clone().years(2000, 2001));
        refused(
            &expired,
            backup_of(&expired, &trusted, "127.0.0.1"),
            &["it expired on 2001-01-01 00:00:00 UTC", "this machine's clock says 2", "renew"],
        );
        let (early, trusted) = scene(tls.years(2099, 2100));
        refused(
            &early,
            backup_of(&early, &trusted, "127.0.0.1"),
            &[
                "it is not valid before 2099-01-01 00:00:00 UTC",
                "this machine's clock says 2",
                "correct the clock",
            ],
        );
    }
}

#[test]
fn a_certificate_that_nobody_trusts_is_refused_with_where_to_put_it() {
    let (own, _) = scene(TlsSetup::self_signed().common_name("My Qdrant\n\u{1b}[2J"));
    refused(
        &own,
        own.backup(),
        &["self-signed (CN=My Qdrant\\n\\u{1b}[2J)", "UnknownIssuer", "put it into qdrant.ca_file"],
    );
    let (foreign, _) = scene(TlsSetup::of_authority());
    refused(
        &foreign,
        foreign.backup(),
        &[
            "its issuer, CN=Authority of the stand-in, is not trusted here (UnknownIssuer)",
            "put the issuer's certificate into qdrant.ca_file",
        ],
    );
    // Another authority with the same name, as after it was created again.
    let (_other, trusted) = scene(TlsSetup::of_authority());
    refused(&foreign, backup_of(&foreign, &trusted, "127.0.0.1"), &["is not trusted here", "qdrant.ca_file"]);
}

#[test]
fn a_scheme_that_is_not_the_servers_is_named() {
    let plain = Scene::new();
    let url = plain.server.url().replace("http://", "https://");
    Ran::of(plain.place.command(&["backup"]).env("QDRANT_URL", &url)).code(1).says(&[
        "ERROR",
        "does not speak TLS",
        "must begin with http://",
    ]);

    let (tls, _) = scene(TlsSetup::of_authority());
    let url = tls.server.url().replace("https://", "http://");
    Ran::of(tls.place.command(&["backup"]).env("QDRANT_URL", &url)).code(1).says(&[
        "ERROR",
        "reading the version",
        "must begin with https://",
    ]);
}

#[test]
fn a_server_that_hangs_up_before_it_says_anything_may_speak_the_other_scheme() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut some = [0; 16];
            drop(stream.and_then(|mut stream| stream.read(&mut some)));
        }
    });
    for (scheme, other) in [("http", "https"), ("https", "http")] {
        let place = Place::initialised(&format!("{scheme}://127.0.0.1:{port}"));
        place.configure(IMPATIENT);
        place.run(&["backup"]).code(1).says(&["ERROR", &format!("must begin with {other}://")]);
    }
}

#[test]
fn proxies_that_tell_of_tls_in_http_are_understood() {
    for (text, advice) in [
        ("<html>400 The plain HTTP request was sent to HTTPS port</html>", "begin with https://"),
        ("Client sent an HTTP request to an HTTPS server.", "begin with https://"),
        (
            "You're speaking plain HTTP to an SSL-enabled server port. Instead use the HTTPS scheme.",
            "begin with https://",
        ),
        ("<html>400 No required SSL certificate was sent</html>", "qdrant.tls.cert_file"),
    ] {
        let scene = Scene::with([Fault::answer(Answer::empty(400).text(text)).on(Endpoint::Root)]);
        scene.backup().code(1).says(&["ERROR", "Qdrant answered 400", advice]);
    }
    let scene =
        Scene::with([Fault::answer(Answer::redirect(308, "https://127.0.0.1:1/")).on(Endpoint::Root)]);
    scene.backup().code(1).says(&["ERROR", "redirects", "the URL should probably begin with https://"]);
}

/// Configures the certificate, and returns the command to run.
fn with_identity(scene: &Scene, identity: &ClientIdentity) {
    put(&scene.place.beside("client.pem"), &identity.certificate);
    put(&scene.place.beside("client.key"), &identity.key);
    let line = |key: &str, file: &str| format!("    {key}: {}\n", scene.place.beside(file).display());
    let tls = line("cert_file", "client.pem") + &line("key_file", "client.key");
    scene.place.configure(&format!("{IMPATIENT}  tls:\n{tls}"));
}

#[test]
fn a_server_that_wants_to_know_who_calls_is_shown_the_certificate() {
    for tls in [TlsSetup::of_authority(), TlsSetup::of_authority().only_tls12()] {
        let (scene, trusted) = scene(tls.wants_client_certificates());
        refused(
            &scene,
            backup_of(&scene, &trusted, "127.0.0.1"),
            &["requires a client certificate", "set qdrant.tls.cert_file and qdrant.tls.key_file"],
        );

        with_identity(&scene, scene.server.client_identity().expect("one"));
        backup_of(&scene, &trusted, "127.0.0.1").success();
        scene.assert_backed_up();

        let (other, _) = self::scene(TlsSetup::of_authority().wants_client_certificates());
        with_identity(&scene, other.server.client_identity().expect("one"));
        backup_of(&scene, &trusted, "127.0.0.1")
            .code(1)
            .says(&["ERROR", "does not accept the client certificate in qdrant.tls.cert_file"]);
    }
}

#[test]
fn variables_name_the_certificate_too_and_config_check_tells_of_it() {
    let (scene, trusted) = scene(TlsSetup::of_authority().wants_client_certificates());
    let identity = scene.server.client_identity().expect("one");
    let (certificate, key) = (scene.place.beside("c.pem"), scene.place.beside("k.pem"));
    put(&certificate, &identity.certificate);
    put(&key, &identity.key);
    let run = |arguments: &[&str]| {
        let mut command = scene.place.command(arguments);
        command.env("QDRANT_CA_FILE", &trusted);
        Ran::of(command.env("QDRANT_TLS_CERT_FILE", &certificate).env("QDRANT_TLS_KEY_FILE", &key))
    };
    run(&["backup"]).success();
    let check = run(&["config", "check"]).success().stdout;
    assert!(check.contains("ok    client certificate"), "{check}");

    put(
        &key,
        &self::scene(TlsSetup::of_authority().wants_client_certificates())
            .0
            .server
            .client_identity()
            .expect("one")
            .key,
    );
    let check = run(&["config", "check"]).code(78).stdout;
    assert!(
        check.contains("FAIL  Qdrant") && check.contains("does not belong to the certificate in"),
        "{check}"
    );
    run(&["backup"]).code(78).says(&["ERROR", "client key file", &key.display().to_string()]);
}

#[test]
fn another_server_is_never_shown_the_certificate() {
    let (scene, trusted) = scene(TlsSetup::of_authority().wants_client_certificates());
    with_identity(&scene, scene.server.client_identity().expect("one"));
    backup_of(&scene, &trusted, "127.0.0.1").success();
    // That server would accept the same certificate.
    let other = scene.server.url().replace("127.0.0.1", "localhost");
    let to = |url: &str| {
        let mut command =
            scene.place.command(&["restore", "--collection", DOCS, "--to", url, "--force", "--dry-run"]);
        Ran::of(command.env("QDRANT_CA_FILE", &trusted))
    };
    to(&other).code(1).says(&["ERROR", "requires a client certificate"]);
    // Unless it is the same server.
    to(&scene.server.url()).success();

    let proxy = format!(
        "{IMPATIENT}  proxy: https://127.0.0.1:1\n  tls:\n    cert_file: {}\n    key_file: {}\n",
        scene.place.beside("client.pem").display(),
        scene.place.beside("client.key").display()
    );
    scene.place.configure(&proxy);
    scene.backup().code(78).says(&[
        "ERROR",
        "proxy https://127.0.0.1:1",
        "would receive the client certificate",
    ]);
}

#[test]
fn files_that_are_no_certificate_and_no_key_are_named() {
    let scene = Scene::of(Setup::empty().collection(docs()));
    let good = StandIn::start(Setup::empty().tls_as(TlsSetup::of_authority().wants_client_certificates()));
    let good = good.client_identity().expect("one").clone();
    let other = StandIn::start(Setup::empty().tls_as(TlsSetup::of_authority().wants_client_certificates()));
    let other = other.client_identity().expect("one").clone();
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nMIIB\n-----END RSA PRIVATE KEY-----\n";
    for (certificate, key, file, problem) in [
        (
            good.certificate.as_str(),
            other.key.as_str(),
            "client.key",
            "does not belong to the certificate in",
        ),
        (&good.certificate, encrypted, "client.key", "the key is encrypted"),
        (&good.certificate, old, "client.key", "the key is encrypted"),
        (&good.certificate, "", "client.key", "contains no PEM private key"),
        (&good.certificate, &good.certificate, "client.key", "contains no PEM private key"),
        ("", &good.key, "client.pem", "contains no PEM certificate"),
        (&good.key, &good.key, "client.pem", "contains no PEM certificate"),
    ] {
        let identity = ClientIdentity { certificate: certificate.to_owned(), key: key.to_owned() };
        with_identity(&scene, &identity);
        let file = scene.place.beside(file).display().to_string();
        let ran = scene.backup().code(78).says(&["ERROR", &file, problem]);
        assert!(!ran.stderr.contains("MIIB") && !ran.stderr.contains("-----"), "{}", ran.stderr);
    }
}

#[test]
fn a_dead_mans_service_with_a_strange_certificate_is_told_of_in_the_same_words() {
    let scene = Scene::new();
    let service = StandIn::start(Setup::empty().tls());
    scene.place.configure(&format!("{IMPATIENT}hooks:\n  ping_url: {}/secret-path\n", service.url()));
    scene
        .place
        .run(&["run"])
        .success()
        .says(&["WARN", "dead man's switch", "is not trusted here (UnknownIssuer)", "qdrant.ca_file"])
        .never_says("secret-path");
}

/// Listens for HTTP clients, sends `before` on connect and `after` once it got a request, then closes the connection.
fn speaker(before: &'static [u8], after: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            drop(stream.write_all(before));
            drop(stream.read(&mut [0; 4096]));
            drop(stream.write_all(after));
        }
    });
    port
}

/// The first bytes of HTTP/2, as on Qdrant's gRPC port.
const SETTINGS: &[u8] = b"\0\0\x12\x04\0\0\0\0\0\0\x04\0\x10\0\0\0\x05\0\0\x40\0\0\x06\0\0\x40\0";

#[test]
fn what_does_not_speak_http_is_told_at_once_with_the_scheme_and_waited_for_by_nobody() {
    let ssh = b"SSH-2.0-OpenSSH_9.2\r\n";
    let smtp = b"220 mail.example.org ESMTP ready\r\n";
    let alert = b"\x15\x03\x03\0\x02\x02\x32";
    for (before, after) in [
        (&ssh[..], &b""[..]),
        (smtp, b"500 what\r\n"),
        (b"", smtp),
        (SETTINGS, b""),
        (b"", SETTINGS),
        (b"", alert),
        (b"", b"-ERR unknown command 'GET'\r\n"),
    ] {
        for (scheme, other) in [("http", "https://"), ("https", "http://")] {
            let place = Place::initialised(&format!("{scheme}://127.0.0.1:{}", speaker(before, after)));
            place.configure("qdrant:\n  wait_for_server: 5m\n  retries: 4\n");
            let begun = Instant::now();
            let ran = place.run(&["backup"]).code(1).never_says("waiting up to");
            assert!(begun.elapsed() < Duration::from_secs(20), "{}", ran.stderr);
            // A TLS alert means that the server speaks TLS.
            if scheme == "http" || after != alert {
                ran.says(&["ERROR", "cannot reach Qdrant at", "does not speak", other]);
            }
            let run = place.status().last_run.expect("a run");
            assert_eq!(run.failure().expect("a failure").kind, FailureKind::Unreachable);
        }
    }
}

#[test]
fn http_against_a_port_with_tls_is_not_waited_for_and_neither_is_the_other_way_round() {
    let tls = Scene::of(Setup::empty().collection(docs()).tls());
    let plain = Scene::of(Setup::empty().collection(docs()));
    for (scene, from, to) in [(&tls, "https://", "http://"), (&plain, "http://", "https://")] {
        scene.place.configure("qdrant:\n  wait_for_server: 5m\n");
        let url = scene.server.url().replace(from, to);
        let begun = Instant::now();
        let ran = Ran::of(scene.place.command(&["run"]).env("QDRANT_URL", url)).code(1);
        ran.never_says("waiting up to").says(&[
            "ERROR",
            "cannot reach Qdrant",
            &format!("must begin with {from}"),
        ]);
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn what_is_no_http_from_a_server_that_has_spoken_it_before_is_waited_out() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        let mut noise = 2;
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap_or(0);
            let answer = if request[..length].starts_with(b"GET /readyz") && noise > 0 {
                noise -= 1;
                "a proxy in trouble\r\n".to_owned()
            } else {
                let body = r#"{"title":"qdrant - vector search engine","version":"1.18.3"}"#;
                let length = body.len();
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
            };
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    let place = Place::initialised(&format!("http://127.0.0.1:{port}"));
    place.configure("qdrant:\n  wait_for_server: 60s\n");
    // This server only fails to list its collections.
    place.run(&["backup"]).code(1).says(&["INFO", "the connection to Qdrant broke", "waiting up to"]);
    assert_ne!(
        place.status().last_run.expect("a run").failure().expect("one").kind,
        FailureKind::Unreachable
    );
}
