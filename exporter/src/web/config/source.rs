//! The files that a configuration comes from, read again and again and understood again when they changed.
//!
//! What cannot be used leaves everything as it was: a file that is gone, unreadable, wrong or half written, and
//! a certificate and a key that do not fit together, because the two are never replaced at the same instant. So does
//! what would open a door that was closed, for an emptied file says the same as one that is being saved.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::regular_file::{self, Links};
use rustls::ServerConfig;
use tracing::{error, info};

use super::file::WebConfig;
use super::tls::{MAX_BYTES, Material};
use crate::stop::Stop;

/// What requests are answered by.
#[derive(Clone, Default)]
pub struct InForce {
    /// Users, headers, rate limit.
    pub config: Arc<WebConfig>,
    /// What a handshake needs; nothing where connections are plain.
    pub tls: Option<Arc<ServerConfig>>,
    /// Whether this is what the files say; nothing where there is no file.
    pub current: Option<bool>,
}

/// The files, what is in force, and what is wrong with its successor.
pub(super) struct Source {
    path: PathBuf,
    in_force: InForce,
    /// What it was made of, beside the configuration.
    material: Option<Material>,
    problem: Option<Stop>,
}

impl Source {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// Whatever is wrong with them.
    pub(super) fn open(path: &Path) -> Result<Self, Stop> {
        let (config, material) = read(path)?;
        let tls = tls(path, &config, material.as_ref(), None)?;
        let in_force = InForce { config: Arc::new(config), tls, current: Some(true) };
        Ok(Self { path: path.to_owned(), in_force, material, problem: None })
    }

    pub(super) fn in_force(&self) -> InForce {
        InForce { current: Some(self.problem.is_none()), ..self.in_force.clone() }
    }

    /// Reads the files again.
    pub(super) fn look(&mut self, now: DateTime<Utc>) -> InForce {
        let problem = self.refresh(now).err();
        if let Some(new) = problem.as_ref().filter(|new| self.problem.as_ref() != Some(new)) {
            for line in new.to_string().lines() {
                error!(err = line, "Unable to use the web configuration; the one before stays");
            }
        }
        self.problem = problem;
        self.in_force()
    }

    fn refresh(&mut self, now: DateTime<Utc>) -> Result<(), Stop> {
        let (config, material) = read(&self.path)?;
        if config == *self.in_force.config && material == self.material {
            return Ok(());
        }
        let fails = |what: &str| Err(Stop::Configuration(format!("{}: {what}", self.path.display())));
        if let Some(what) = self.in_force.config.opened_by(&config) {
            return fails(&format!("{what}; if that is meant, restart the exporter"));
        }
        if config.tls.is_some() && self.material.is_none() {
            return fails("tls_server_config was added; that needs a restart");
        }
        self.in_force.tls = tls(&self.path, &config, material.as_ref(), Some(now))?;
        self.in_force.config = Arc::new(config);
        self.material = material;
        info!(file = %self.path.display(), "Web configuration read again");
        Ok(())
    }
}

fn tls(
    path: &Path,
    config: &WebConfig,
    material: Option<&Material>,
    now: Option<DateTime<Utc>>,
) -> Result<Option<Arc<ServerConfig>>, Stop> {
    let Some((section, material)) = config.tls.as_ref().zip(material) else { return Ok(None) };
    Ok(Some(Arc::new(material.server_config(path, section, now)?)))
}

fn read(path: &Path) -> Result<(WebConfig, Option<Material>), Stop> {
    let text = regular_file::read_text(path, Links::Follow, MAX_BYTES).map_err(|error| {
        Stop::Configuration(format!("--web.config.file: cannot read {}: {error}", path.display()))
    })?;
    let config = WebConfig::parse(path, &text)?;
    let material = config.tls.as_ref().map(|section| Material::read(path, section)).transpose()?;
    Ok((config, material))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    struct Files(tempfile::TempDir);

    impl Files {
        fn new() -> Self {
            let files = Self(tempfile::tempdir().unwrap());
            files.renew();
            files
        }

        fn put(&self, name: &str, contents: &str) -> PathBuf {
            let path = self.0.path().join(name);
            qdrant_backup_shared::atomic::write(&path, 0o600, contents.as_bytes()).unwrap();
            path
        }

        fn renew(&self) {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            self.put("tls.crt", &params.self_signed(&key).unwrap().pem());
            self.put("tls.key", &key.serialize_pem());
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
        files.put("web.yml", &"#".repeat(1 + (1 << 20)));
        stays("too large");
        files.put("web.yml", &users);
        assert_eq!(source.look(now()).current, Some(true));
    }

    #[test]
    fn no_reload_opens_a_door_that_was_closed_nor_turns_tls_on() {
        let files = Files::new();
        let users = format!("basic_auth_users: {{alice: {HASH}}}\n");
        let tls =
            |more: &str| format!("tls_server_config: {{cert_file: tls.crt, key_file: tls.key{more}}}\n");
        let verify = ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: tls.crt";
        let if_given = ", client_auth_type: VerifyClientCertIfGiven, client_ca_file: tls.crt";
        for (before, after, what) in [
            (users.clone(), String::new(), "no user"),
            (users.clone(), "basic_auth_users: {}\n".to_owned(), "no user"),
            (tls("") + &users, tls(""), "no user"),
            (tls(""), String::new(), "no TLS"),
            (tls("") + &users, users.clone(), "no TLS"),
            (users.clone(), tls("") + &users, "TLS"),
            (tls(verify), tls(""), "no certificate of clients"),
            (tls(verify), tls(if_given), "only if given"),
            (tls(if_given), tls(""), "no certificate of clients"),
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
    fn users_may_come_and_one_may_go() {
        let files = Files::new();
        let path = files.put("web.yml", "");
        let mut source = Source::open(&path).unwrap();
        for names in [["alice", "bob"].as_slice(), &["bob"]] {
            let users: String = names.iter().map(|name| format!("  {name}: {HASH}\n")).collect();
            files.put("web.yml", &format!("basic_auth_users:\n{users}"));
            let in_force = source.look(now());
            assert!(in_force.config.users.keys().eq(names) && in_force.current == Some(true));
        }
    }

    #[test]
    fn a_renewed_certificate_is_used_once_both_files_fit() {
        let files = Files::new();
        let path = files.put("web.yml", TLS);
        let mut source = Source::open(&path).unwrap();
        let mut tls = || (source.look(now()).tls.unwrap(), source.look(now()).current.unwrap());
        let (first, _) = tls();
        assert!(Arc::ptr_eq(&first, &tls().0), "nothing changed");
        files.put("tls.key", &KeyPair::generate().unwrap().serialize_pem());
        let (second, current) = tls();
        assert!(Arc::ptr_eq(&first, &second) && !current, "the key does not fit yet");
        files.renew();
        let (second, current) = tls();
        assert!(!Arc::ptr_eq(&first, &second) && current);
        std::fs::remove_file(files.0.path().join("tls.crt")).unwrap();
        let (third, current) = tls();
        assert!(Arc::ptr_eq(&second, &third) && !current, "gone");
    }

    #[test]
    fn start_up_errors_name_the_file() {
        let files = Files::new();
        files.put("other.key", &KeyPair::generate().unwrap().serialize_pem());
        for (certificate, key, says) in [
            ("no.crt", "tls.key", "no.crt: No such file"),
            ("tls.key", "tls.key", "cert_file: "),
            ("tls.key", "tls.key", "no certificate in PEM found"),
            ("tls.crt", "other.key", "other.key: the key does not belong to the certificate"),
            ("tls.crt", "/dev/zero", "key_file: cannot read /dev/zero: not a regular file"),
        ] {
            let text = format!("tls_server_config: {{cert_file: {certificate}, key_file: {key}}}\n");
            let error = Source::open(&files.put("web.yml", &text)).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains("web.yml: ") && error.contains(says), "{error}");
        }
        assert!(Source::open(Path::new("/nowhere/web.yml")).is_err());
    }
}
