//! The configuration as it is now: the files are read again at every request and every handshake, and understood
//! again when they changed. Whoever edits them needs no restart.
//!
//! A file that became wrong is an error for every request until it is right again. A certificate or key that became
//! wrong leaves the one before in use, because the two files are never replaced at the same instant.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::ServerConfig;
use tracing::{error, info};

use super::file::{ConfigError, MAX_BYTES, WebConfig};
use super::tls::{self, Material, TlsError};

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The file cannot be read.
    #[error("--web.config.file: cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no UTF-8.
    #[error("{}: not valid UTF-8", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// The file says what makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its certificates cannot be used.
    #[error("{}: {source}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// Why.
        source: TlsError,
    },
    /// Whether connections are encrypted changed.
    #[error("{}: tls_server_config was added or removed; that needs a restart", path.display())]
    TlsSwitched {
        /// The file.
        path: PathBuf,
    },
}

/// The configuration and the files that it came from.
pub struct Live {
    path: Option<PathBuf>,
    has_tls: bool,
    state: Mutex<State>,
}

struct State {
    /// What was read last, or why it could not be: a change is what differs from it.
    seen: Seen,
    /// The last configuration, if it is usable now.
    current: Option<Arc<WebConfig>>,
    /// The last usable TLS, what it was made from, and what was last found wrong with its successor.
    tls: Option<Tls>,
}

#[derive(PartialEq, Eq)]
enum Seen {
    Text(Vec<u8>),
    Unreadable(String),
}

struct Tls {
    config: Arc<ServerConfig>,
    made_from: (Arc<WebConfig>, Material),
    problem: Option<String>,
}

impl Live {
    /// Reads the configuration for the first time. Without a file there is nothing to be asked.
    ///
    /// # Errors
    /// Whatever is wrong with the file or the files it names.
    pub fn open(path: Option<&Path>) -> Result<Self, LiveError> {
        let Some(path) = path else {
            let current = Some(Arc::new(WebConfig::none()));
            let state = State { seen: Seen::Text(Vec::new()), current, tls: None };
            return Ok(Self { path: None, has_tls: false, state: Mutex::new(state) });
        };
        let text = read(path).map_err(|source| LiveError::Read { path: path.to_owned(), source })?;
        let config = Arc::new(understand(path, &text)?);
        let tls = match &config.tls {
            None => None,
            Some(section) => {
                let failed = |source| LiveError::Tls { path: path.to_owned(), source };
                let material = Material::read(section).map_err(failed)?;
                let server = material.server_config(section, config.http2).map_err(failed)?;
                let made_from = (Arc::clone(&config), material);
                Some(Tls { config: Arc::new(server), made_from, problem: None })
            }
        };
        let has_tls = tls.is_some();
        let state = State { seen: Seen::Text(text), current: Some(config), tls };
        Ok(Self { path: Some(path.to_owned()), has_tls, state: Mutex::new(state) })
    }

    /// Whether connections are encrypted. Fixed at the start.
    pub fn has_tls(&self) -> bool {
        self.has_tls
    }

    /// The configuration to answer a request by; none while the file is wrong, which was logged when it became so.
    pub fn config(&self) -> Option<Arc<WebConfig>> {
        let mut state = self.lock();
        if let Some(path) = &self.path {
            self.refresh(path, &mut state);
        }
        state.current.clone()
    }

    /// What the next handshake needs; none without TLS.
    pub fn tls(&self) -> Option<Arc<ServerConfig>> {
        let config = self.config();
        let mut state = self.lock();
        let tls = state.tls.as_mut()?;
        if let Some(config) = config {
            tls.refresh(&config);
        }
        Some(Arc::clone(&tls.config))
    }

    fn refresh(&self, path: &Path, state: &mut State) {
        let seen = match read(path) {
            Ok(text) => Seen::Text(text),
            Err(source) => Seen::Unreadable(LiveError::Read { path: path.to_owned(), source }.to_string()),
        };
        if seen == state.seen {
            return;
        }
        let understood = match &seen {
            Seen::Text(text) => understand(path, text).and_then(|config| {
                if config.tls.is_some() == self.has_tls {
                    Ok(config)
                } else {
                    Err(LiveError::TlsSwitched { path: path.to_owned() })
                }
            }),
            Seen::Unreadable(problem) => {
                error!(err = problem.as_str(), "Unable to read the web configuration; requests get 500");
                state.current = None;
                state.seen = seen;
                return;
            }
        };
        state.seen = seen;
        state.current = match understood {
            Ok(config) => {
                info!(file = %path.display(), "Web configuration read again");
                Some(Arc::new(config))
            }
            Err(problem) => {
                for line in problem.to_string().lines() {
                    error!(err = line, "Unable to parse the web configuration; requests get 500");
                }
                None
            }
        };
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tls {
    /// Makes TLS anew when its files changed and fit together.
    fn refresh(&mut self, config: &Arc<WebConfig>) {
        let Some(section) = &config.tls else { return };
        let renewed = Material::read(section).and_then(|material| {
            let same = self.made_from.0.tls == config.tls
                && self.made_from.0.http2 == config.http2
                && self.made_from.1 == material;
            if same {
                return Ok(None);
            }
            let server = material.server_config(section, config.http2)?;
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

fn read(path: &Path) -> io::Result<Vec<u8>> {
    tls::read(path, MAX_BYTES as u64)
}

fn understand(path: &Path, text: &[u8]) -> Result<WebConfig, LiveError> {
    let text = std::str::from_utf8(text).map_err(|_| LiveError::NotText { path: path.to_owned() })?;
    Ok(WebConfig::parse(path, text)?)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

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

    const TLS: &str = "tls_server_config: {cert_file: tls.crt, key_file: tls.key}\n";

    #[test]
    fn a_file_that_became_wrong_is_an_error_until_it_is_right_again() {
        let files = Files::new();
        let path = files.put("web.yml", "");
        let live = Live::open(Some(&path)).unwrap();
        assert!(live.config().unwrap().users.is_empty());
        files.put("web.yml", "nonsense: 1\n");
        assert!(live.config().is_none());
        files.put("web.yml", TLS);
        assert!(live.config().is_none(), "plain HTTP does not become TLS");
        std::fs::remove_file(&path).unwrap();
        assert!(live.config().is_none());
        files.put("web.yml", "http_server_config: {http2: false}\n");
        assert!(!live.config().unwrap().http2);
    }

    #[test]
    fn a_renewed_certificate_is_used_once_both_files_fit() {
        let files = Files::new();
        let path = files.put("web.yml", TLS);
        let live = Live::open(Some(&path)).unwrap();
        let first = live.tls().unwrap();
        assert!(Arc::ptr_eq(&first, &live.tls().unwrap()), "nothing changed");
        let key = KeyPair::generate().unwrap();
        files.put("tls.key", &key.serialize_pem());
        assert!(Arc::ptr_eq(&first, &live.tls().unwrap()), "the key does not fit yet");
        files.renew();
        let second = live.tls().unwrap();
        assert!(!Arc::ptr_eq(&first, &second));
        std::fs::remove_file(files.directory.path().join("tls.crt")).unwrap();
        assert!(Arc::ptr_eq(&second, &live.tls().unwrap()));
    }

    #[test]
    fn start_up_errors_name_the_file() {
        let files = Files::new();
        let message = |text: &str| {
            let path = files.put("web.yml", text);
            Live::open(Some(&path)).map(|_| ()).unwrap_err().to_string()
        };
        assert!(message("x: 1\n").contains("web.yml:1: x: unknown key"));
        assert!(message("tls_server_config: {cert_file: no.crt, key_file: tls.key}\n").contains("no.crt"));
        let text = message("tls_server_config: {cert_file: tls.key, key_file: tls.key}\n");
        assert!(text.contains("cert_file") && text.contains("no certificate in PEM found"), "{text}");
        files.put("other.key", &KeyPair::generate().unwrap().serialize_pem());
        let text = message("tls_server_config: {cert_file: tls.crt, key_file: other.key}\n");
        assert!(text.ends_with("other.key: the key does not belong to the certificate"), "{text}");
        assert!(Live::open(Some(Path::new("/nowhere/web.yml"))).is_err());
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
            assert!(Live::open(Some(&path)).unwrap().tls().is_some(), "{kind}");
        }
    }
}
