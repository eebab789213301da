//! The files that a configuration comes from, read again and again and understood again when they changed.
//!
//! What cannot be used leaves the configuration before in force: a file that is gone, unreadable, wrong or half written, and
//! a certificate and a key that do not fit together, because the two are never replaced at the same instant. So does
//! what would open a door that was closed, for an emptied file says the same as one that is being saved.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::regular_file::{self, Links};
use rustls::ServerConfig;
use tracing::{error, info};

use super::file::{MAX_BYTES, WebConfig};
use super::in_force::{InForce, LiveError};
use super::sections::TlsSection;
use super::tls::Material;

/// The file, what is in force, and what is wrong with its successor.
pub(super) struct Source {
    path: PathBuf,
    /// What was read last, or why it could not be: a change is what differs from it.
    seen: Result<Vec<u8>, String>,
    config: Arc<WebConfig>,
    tls: Option<Tls>,
    /// Whether `seen` is what is in force.
    usable: bool,
}

struct Tls {
    config: Arc<ServerConfig>,
    made_from: (Arc<WebConfig>, Material),
    problem: Option<String>,
}

impl Source {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// Whatever is wrong with them.
    pub(super) fn open(path: &Path) -> Result<Self, LiveError> {
        let text = read(path)?;
        let config = Arc::new(understand(path, &text)?);
        let tls = config.tls.as_ref().map(|section| Tls::new(&config, section)).transpose();
        let tls = tls.map_err(|source| LiveError::Tls { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), seen: Ok(text), config, tls, usable: true })
    }

    /// Reads the files again.
    pub(super) fn look(&mut self, now: DateTime<Utc>) -> InForce {
        self.refresh();
        if let Some(tls) = &mut self.tls {
            tls.refresh(&self.config, now);
        }
        self.in_force()
    }

    /// What is in force.
    pub(super) fn in_force(&self) -> InForce {
        let tls_usable = self.tls.as_ref().is_none_or(|tls| tls.problem.is_none());
        InForce {
            config: Arc::clone(&self.config),
            tls: self.tls.as_ref().map(|tls| Arc::clone(&tls.config)),
            current: Some(self.usable && tls_usable),
        }
    }

    fn refresh(&mut self) {
        let text = read(&self.path);
        let seen = text.as_ref().map(Vec::clone).map_err(LiveError::to_string);
        if seen == self.seen {
            return;
        }
        self.seen = seen;
        let usable = text.and_then(|text| understand(&self.path, &text)).and_then(|next| {
            match self.config.opened_by(&next) {
                Some(what) => Err(LiveError::Opens { path: self.path.clone(), what }),
                None if next.tls.is_some() && self.tls.is_none() => {
                    Err(LiveError::TlsAdded { path: self.path.clone() })
                }
                None => Ok(next),
            }
        });
        self.usable = usable.is_ok();
        match usable {
            Ok(config) => {
                info!(file = %self.path.display(), "Web configuration read again");
                self.config = Arc::new(config);
            }
            Err(problem) => {
                for line in problem.to_string().lines() {
                    error!(err = line, "Unable to use the web configuration; the one before stays");
                }
            }
        }
    }
}

impl Tls {
    fn new(config: &Arc<WebConfig>, section: &TlsSection) -> Result<Self, super::tls::TlsError> {
        let material = Material::read(section)?;
        let server = material.server_config(section, config.http2)?;
        Ok(Self { config: Arc::new(server), made_from: (Arc::clone(config), material), problem: None })
    }

    /// Makes TLS anew when its files changed, fit together, and are valid at this time.
    fn refresh(&mut self, config: &Arc<WebConfig>, now: DateTime<Utc>) {
        let Some(section) = &config.tls else { return };
        let renewed = Material::read(section).and_then(|material| {
            let same = self.made_from.0.tls == config.tls
                && self.made_from.0.http2 == config.http2
                && self.made_from.1 == material;
            if same {
                return Ok(None);
            }
            let server = material.server_config(section, config.http2)?;
            material.check_validity(section, now)?;
            Ok(Some((server, material)))
        });
        match renewed {
            Ok(None) => self.problem = None,
            Ok(Some((server, material))) => {
                info!("TLS certificate and settings read again");
                self.config = Arc::new(server);
                self.made_from = (Arc::clone(config), material);
                self.problem = None;
            }
            Err(problem) => {
                let problem = problem.to_string();
                if self.problem.as_ref() != Some(&problem) {
                    error!(
                        err = problem.as_str(),
                        "Unable to use the new TLS settings; the ones before stay"
                    );
                }
                self.problem = Some(problem);
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, LiveError> {
    regular_file::read_limited(path, Links::Follow, MAX_BYTES as u64)
        .map_err(|source| LiveError::Read { path: path.to_owned(), source })
}

fn understand(path: &Path, text: &[u8]) -> Result<WebConfig, LiveError> {
    let text = std::str::from_utf8(text).map_err(|_| LiveError::NotText { path: path.to_owned() })?;
    Ok(WebConfig::parse(path, text)?)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    struct Files {
        directory: tempfile::TempDir,
    }

    impl Files {
        fn new() -> Self {
            let files = Self { directory: tempfile::tempdir().unwrap() };
            files.renew();
            files
        }

        fn put(&self, name: &str, contents: &str) -> PathBuf {
            let path = self.directory.path().join(name);
            qdrant_backup_shared::atomic::write(&path, 0o600, contents.as_bytes()).unwrap();
            path
        }

        fn renew(&self) -> Vec<u8> {
            let key = KeyPair::generate().unwrap();
            let certificate =
                CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
            self.put("tls.crt", &certificate.pem());
            self.put("tls.key", &key.serialize_pem());
            certificate.der().to_vec()
        }
    }

    fn now() -> DateTime<Utc> {
        "2026-11-28T12:00:00Z".parse().unwrap()
    }

    const TLS: &str = "tls_server_config: {cert_file: tls.crt, key_file: tls.key}\n";

    const HASH: &str = "$2y$10$qHJ1pQ4bQAbUyr8jS7pKFe9dFwHuQsJIQ2oxHSIMiKmF7dHWyNzHO";

    #[test]
    fn what_cannot_be_used_leaves_the_configuration_before_in_force() {
        let files = Files::new();
        let users = format!("basic_auth_users: {{alice: {HASH}}}\n");
        let path = files.put("web.yml", &users);
        let mut source = Source::open(&path).unwrap();
        let mut stays = |what: &str| {
            let in_force = source.look(now());
            assert!(in_force.config.users.contains_key("alice"), "{what}");
            assert_eq!(in_force.current, Some(false), "{what}");
        };
        for text in ["nonsense: 1\n", "basic_auth_users: {alice: $2y$10$qHJ", "\0", TLS] {
            files.put("web.yml", text);
            stays(text);
        }
        std::fs::remove_file(&path).unwrap();
        stays("gone");
        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        stays("a pipe");
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        stays("without an end");
        files.put("web.yml", &"#".repeat(MAX_BYTES + 1));
        stays("too large");
        files.put("web.yml", &users);
        assert_eq!(source.look(now()).current, Some(true));
    }

    #[test]
    fn no_reload_opens_a_door_that_was_closed() {
        let files = Files::new();
        let users = format!("basic_auth_users: {{alice: {HASH}}}\n");
        let tls =
            |more: &str| format!("tls_server_config: {{cert_file: tls.crt, key_file: tls.key{more}}}\n");
        let verify = ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: tls.crt";
        let named = format!("{verify}, client_allowed_sans: [a]");
        for (before, after, what) in [
            (users.clone(), String::new(), "no user"),
            (users.clone(), "basic_auth_users: {}\n".to_owned(), "no user"),
            (tls("") + &users, tls(""), "no user"),
            (tls(""), String::new(), "no TLS"),
            (tls("") + &users, users.clone(), "no TLS"),
            (tls(verify), tls(""), "no certificate of clients"),
            (tls(verify), tls(", client_auth_type: RequireAnyClientCert"), "no verified certificate"),
            (
                tls(verify),
                tls(&verify.replace("RequireAnd", "").replace("Cert,", "CertIfGiven,")),
                "only if given",
            ),
            (tls(", client_auth_type: RequireAnyClientCert"), tls(""), "no certificate of clients"),
            (tls(&named), tls(verify), "any name"),
        ] {
            let path = files.put("web.yml", &before);
            let mut source = Source::open(&path).unwrap();
            let first = source.look(now());
            files.put("web.yml", &after);
            assert!(Source::open(&path).is_ok(), "{what}: a restart does it");
            let second = source.look(now());
            assert_eq!(second.config, first.config, "{what}");
            assert_eq!(second.tls.is_some(), first.tls.is_some(), "{what}");
            assert_eq!(second.current, Some(false), "{what}");
            files.put("web.yml", &before);
            assert_eq!(source.look(now()).current, Some(true), "{what}");
        }
    }

    #[test]
    fn users_may_come_and_one_may_go_and_tls_waits_for_a_restart() {
        let files = Files::new();
        let path = files.put("web.yml", "");
        let mut source = Source::open(&path).unwrap();
        files.put("web.yml", &format!("basic_auth_users: {{alice: {HASH}, bob: {HASH}}}\n"));
        assert_eq!(source.look(now()).config.users.len(), 2);
        files.put("web.yml", &format!("basic_auth_users: {{bob: {HASH}}}\n"));
        let in_force = source.look(now());
        assert!(in_force.config.users.contains_key("bob") && in_force.config.users.len() == 1);
        files.put("web.yml", &format!("{TLS}basic_auth_users: {{bob: {HASH}}}\n"));
        assert_eq!(source.look(now()).current, Some(false), "plain HTTP does not become TLS");
    }

    #[test]
    fn a_renewed_certificate_is_used_once_both_files_fit() {
        let files = Files::new();
        let path = files.put("web.yml", TLS);
        let mut source = Source::open(&path).unwrap();
        let mut tls = || (source.look(now()).tls.unwrap(), source.look(now()).current.unwrap());
        let (first, _) = tls();
        assert!(Arc::ptr_eq(&first, &tls().0), "nothing changed");
        let key = KeyPair::generate().unwrap();
        files.put("tls.key", &key.serialize_pem());
        let (second, current) = tls();
        assert!(Arc::ptr_eq(&first, &second) && !current, "the key does not fit yet");
        files.renew();
        let (second, current) = tls();
        assert!(!Arc::ptr_eq(&first, &second) && current);
        let certificate = files.directory.path().join("tls.crt");
        std::fs::remove_file(&certificate).unwrap();
        let (third, current) = tls();
        assert!(Arc::ptr_eq(&second, &third) && !current, "gone");
        mknodat(CWD, &certificate, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        let (third, current) = tls();
        assert!(Arc::ptr_eq(&second, &third) && !current, "a pipe");
    }

    #[test]
    fn start_up_errors_name_the_file() {
        let files = Files::new();
        let message = |text: &str| {
            let path = files.put("web.yml", text);
            Source::open(&path).map(|_| ()).unwrap_err().to_string()
        };
        assert!(message("x: 1\n").contains("web.yml:1: x: unknown key"));
        assert!(message("tls_server_config: {cert_file: no.crt, key_file: tls.key}\n").contains("no.crt"));
        let text = message("tls_server_config: {cert_file: tls.key, key_file: tls.key}\n");
        assert!(text.contains("cert_file") && text.contains("no certificate in PEM found"), "{text}");
        files.put("other.key", &KeyPair::generate().unwrap().serialize_pem());
        let text = message("tls_server_config: {cert_file: tls.crt, key_file: other.key}\n");
        assert!(text.ends_with("other.key: the key does not belong to the certificate"), "{text}");
        let text = message("tls_server_config: {cert_file: tls.crt, key_file: /dev/zero}\n");
        assert!(text.ends_with("key_file: cannot read /dev/zero: not a regular file"), "{text}");
        assert!(Source::open(Path::new("/nowhere/web.yml")).is_err());
    }

    #[test]
    fn every_way_of_asking_clients_can_be_set_up() {
        let files = Files::new();
        for (kind, ca) in [
            ("NoClientCert", ""),
            ("RequestClientCert", ""),
            ("RequireAnyClientCert", ""),
            ("VerifyClientCertIfGiven", ", client_ca_file: tls.crt"),
            ("RequireAndVerifyClientCert", ", client_ca_file: tls.crt, client_allowed_sans: [a]"),
        ] {
            let text = format!(
                "tls_server_config: {{cert_file: tls.crt, key_file: tls.key, client_auth_type: {kind}{ca}, \
                 cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256], curve_preferences: [CurveP256]}}\n"
            );
            let path = files.put("web.yml", &text);
            assert!(Source::open(&path).unwrap().in_force().tls.is_some(), "{kind}");
        }
    }
}
