//! `--web.config.file`: TLS, clients' certificates, passwords, headers, rate limit, and all of it changed while running.

use std::path::PathBuf;
use std::process::Command;

use e2e::http::{self, Answer, Authority, Identity, basic};
use e2e::{BackupDirectory, Exporter};

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

    fn exporter(&self, place: &BackupDirectory) -> Exporter {
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
    let (place, files) = (BackupDirectory::healthy(), Files::new());
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
fn users_change_without_a_restart_and_a_mistake_is_500_until_it_is_mended() {
    let (place, files) = (BackupDirectory::healthy(), Files::new());
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
    assert_eq!((status("new"), status("new")), (500, 500));
    exporter.wait_for_line("web.yml:1: basic_auth_user: unknown key; did you mean basic_auth_users?");
    files.put("web.yml", "");
    assert_eq!(exporter.get("/metrics").status, 200);
}

#[test]
fn tls_with_a_certificate_that_is_renewed_without_a_restart() {
    let (place, files) = (BackupDirectory::healthy(), Files::new());
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
    exporter.wait_for_line("Unable to use the new TLS settings");

    files.put("web.yml", "nonsense: 1\n");
    assert_eq!(get_tls(&exporter, &second, None).unwrap().status, 500);
}

#[test]
fn clients_without_the_right_certificate_stay_outside() {
    let (place, files) = (BackupDirectory::healthy(), Files::new());
    let (server, clients, others) = (Authority::new(), Authority::new(), Authority::new());
    files.identity(&server.sign(&["localhost"]));
    files.put("clients.crt", &clients.pem());
    files.put(
        "web.yml",
        &format!(
            "{TLS}, client_ca_file: clients.crt, client_auth_type: RequireAndVerifyClientCert, \
             client_allowed_sans: [prometheus.example]}}\n"
        ),
    );
    let exporter = files.exporter(&place);
    let wanted = clients.sign(&["prometheus.example"]);
    assert_eq!(get_tls(&exporter, &server, Some(&wanted)).unwrap().status, 200);
    assert!(get_tls(&exporter, &server, None).is_err(), "no certificate");
    assert!(get_tls(&exporter, &server, Some(&others.sign(&["prometheus.example"]))).is_err(), "another's");
    assert!(get_tls(&exporter, &server, Some(&clients.sign(&["other.example"]))).is_err(), "another name");
}

#[test]
fn too_many_requests_are_429() {
    let (place, files) = (BackupDirectory::healthy(), Files::new());
    files.put("web.yml", "rate_limit: {interval: 1h, burst: 3}\n");
    let exporter = files.exporter(&place);
    let statuses: Vec<u16> = (0..5).map(|_| exporter.get("/-/healthy").status).collect();
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    files.put("web.yml", "");
    assert_eq!(exporter.get("/-/healthy").status, 200);
}

#[test]
fn the_shipped_sample_passes_promtool_and_works() {
    let (place, files) = (BackupDirectory::healthy(), Files::new());
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
