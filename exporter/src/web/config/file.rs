//! The whole file: parses its text to a [`WebConfig`] or to all of its problems.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use hyper::header::{HeaderName, HeaderValue};
use qdrant_backup_shared::config_file::tree::{self, Entry, Node, Value};
use qdrant_backup_shared::config_file::{Problem, closest};

use crate::stop::Stop;

/// The contents of the file. Without a file, the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebConfig {
    /// TLS; without it, plain HTTP.
    pub tls: Option<TlsSection>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Users who may log in. If there are none, no login is needed.
    pub users: BTreeMap<String, PasswordHash>,
}

/// The TLS section. Its files are in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSection {
    /// The server's certificate and the intermediate certificates.
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
    /// The authorities for client certificates. Without it, clients are not asked for a certificate.
    pub client_ca_file: Option<PathBuf>,
    /// Whether a client without a certificate is refused.
    pub client_must: bool,
    /// Whether TLS 1.2 is offered, and whether TLS 1.3 is.
    pub versions: [bool; 2],
}

/// A bcrypt hash of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// The hash for comparisons. Never print it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The bcrypt cost: each step doubles the work.
    pub fn cost(&self) -> u32 {
        self.0.get(4..6).and_then(|digits| digits.parse().ok()).unwrap_or(0)
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        const COST_MAX: u32 = 15;
        let hash = Self(text.to_owned());
        if text.parse::<bcrypt::HashParts>().is_err() || hash.cost() < 4 {
            Err("not a bcrypt hash; make one with `htpasswd -nBC 10 NAME`")
        } else if hash.cost() > COST_MAX {
            Err("a bcrypt cost above 15 would keep the exporter busy for seconds at each attempt")
        } else {
            Ok(hash)
        }
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PasswordHash([redacted])")
    }
}

const TLS: &str = "tls_server_config";
const HTTP: &str = "http_server_config";
const HEADERS: &str = "http_server_config.headers";
const USERS: &str = "basic_auth_users";

/// The keys of each section. In the sections that are not here, the user chooses the keys.
const KEYS: &[(&str, &[&str])] = &[
    ("", &[TLS, HTTP, USERS]),
    (TLS, &["cert_file", "key_file", "client_auth_type", "client_ca_file", "min_version", "max_version"]),
    (HTTP, &["http2", "headers"]),
];

/// Keys of exporter-toolkit that this program does not support, and what to do instead.
const UNSUPPORTED: &[(&str, &str, &str)] = &[
    ("", "rate_limit", "remove it; --web.max-requests limits the requests that are answered at once"),
    (TLS, "cert", "write the certificate to a file and set cert_file"),
    (TLS, "key", "write the key to a file and set key_file"),
    (TLS, "client_ca", "write the certificates to a file and set client_ca_file"),
    (TLS, "client_allowed_sans", "use a client_ca_file that signs only the clients that may connect"),
    (
        TLS,
        "cipher_suites",
        "remove it: only suites with forward secrecy are offered; min_version: TLS13 allows fewer",
    ),
    (TLS, "prefer_server_cipher_suites", "remove it: every suite that is offered is strong"),
    (TLS, "curve_preferences", "remove it: X25519, P-256 and P-384 are offered"),
];

/// The headers that can be set, and the values that each may have, if not all.
const KNOWN_HEADERS: &[(&str, &[&str])] = &[
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
    ("Content-Security-Policy", &[]),
];

impl WebConfig {
    /// A requirement for clients that `next` does not have any more, if any.
    pub(in crate::web) fn opened_by(&self, next: &Self) -> Option<&'static str> {
        if !self.users.is_empty() && next.users.is_empty() {
            return Some("basic_auth_users has no user any more");
        }
        let before = self.tls.as_ref()?;
        let Some(after) = &next.tls else { return Some("tls_server_config was removed") };
        let less = before.client_must && !after.client_must
            || before.client_ca_file.is_some() && after.client_ca_file.is_none();
        less.then_some("client_auth_type asks less of clients' certificates")
    }

    /// Reads the text of a file. `file` is named in problems, and paths are relative to its directory. An empty
    /// file is valid.
    ///
    /// # Errors
    /// Broken YAML, unknown, repeated or unsupported keys, values of the wrong type, contradictory keys: all at once.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Stop> {
        let mut reader = Reader {
            file,
            problems: Vec::new(),
            config: Self::default(),
            tls: None,
            files: BTreeMap::new(),
            client: Ok(None),
            versions: (12, 13),
        };
        let (root, broken) = tree::parse(text.strip_prefix('\u{feff}').unwrap_or(text));
        for (line, message) in broken {
            reader.report(line, "", &message);
        }
        if let Some(root) = root {
            reader.section("", 1, &root);
        }
        reader.config.tls = reader.tls.and_then(|line| reader.tls(line));
        if reader.problems.is_empty() {
            return Ok(reader.config);
        }
        reader.problems.sort_by_key(|problem| problem.line);
        let lines: Vec<String> = reader.problems.iter().map(Problem::to_string).collect();
        Err(Stop::Configuration(lines.join("\n")))
    }
}

/// The values read so far, and all problems.
struct Reader<'f> {
    file: &'f Path,
    problems: Vec<Problem>,
    config: WebConfig,
    /// The line of the TLS section, if it has a key.
    tls: Option<usize>,
    /// The files of the TLS section, by key.
    files: BTreeMap<String, PathBuf>,
    client: Result<Option<bool>, String>,
    /// The oldest and the newest version of TLS.
    versions: (u8, u8),
}

impl Reader<'_> {
    fn report(&mut self, line: usize, key: &str, message: &str) {
        let (file, key) = (self.file.display().to_string(), (!key.is_empty()).then(|| key.to_owned()));
        self.problems.push(Problem { file, line: Some(line), key, message: message.to_owned() });
    }

    /// Reads a section. A missing value is an empty section, so that all of its keys can be commented out.
    fn section(&mut self, name: &str, line: usize, node: &Node) {
        let Value::Mapping(entries) = &node.value else {
            if !is_nothing(node) {
                self.report(line, name, "expected a mapping of keys to values");
            }
            return;
        };
        if name == TLS && !entries.is_empty() {
            self.tls = Some(line);
        }
        for (index, entry) in entries.iter().enumerate() {
            let first = entries.iter().take(index).find(|first| first.key == entry.key);
            let repeated = first.map(|first| format!("key repeated; it is already on line {}", first.line));
            if let Err(message) = repeated.map_or_else(|| self.entry(name, entry), Err) {
                let key: String = entry.key.chars().take(80).collect();
                let dotted = if name.is_empty() { key } else { format!("{name}.{key}") };
                self.report(entry.line, &dotted, &message);
            }
        }
    }

    /// Reads a key of the section `name`.
    fn entry(&mut self, name: &str, Entry { key, line, value }: &Entry) -> Result<(), String> {
        let unsupported =
            UNSUPPORTED.iter().find(|(section, unsupported, _)| *section == name && unsupported == key);
        if let Some((_, _, instead)) = unsupported {
            return if is_nothing(value) { Ok(()) } else { Err(format!("not supported; {instead}")) };
        }
        if let Some((_, known)) =
            KEYS.iter().find(|(section, known)| *section == name && !known.contains(&&**key))
        {
            return Err(match closest(key, known.iter().copied()) {
                Some(meant) => format!("unknown key; did you mean {meant}?"),
                None => format!("unknown key; known here: {}", known.join(", ")),
            });
        }
        match (&value.value, name, key.as_str()) {
            (_, "", _) => self.section(key, *line, value),
            (_, HTTP, "headers") => self.section(HEADERS, *line, value),
            (Value::Refused, ..) => {}
            (Value::Sequence(_) | Value::Mapping(_), ..) => return Err("expected text".to_owned()),
            // As for Prometheus, a missing value is an empty text.
            (Value::Scalar { .. }, ..) if is_nothing(value) => self.text(name, key, "")?,
            (Value::Scalar { text, .. }, ..) => self.text(name, key, text)?,
        }
        Ok(())
    }

    /// Returns the text of a key of the section `name`.
    fn text(&mut self, name: &str, key: &str, text: &str) -> Result<(), String> {
        match (name, key, text) {
            (USERS, _, _) if key.is_empty() || key.contains(':') => {
                return Err("a user name has no colon and is not empty".to_owned());
            }
            (USERS, _, _) => drop(self.config.users.insert(key.to_owned(), PasswordHash::parse(text)?)),
            (_, _, "") | (HTTP, _, "false") => {}
            (HTTP, _, "true") => {
                return Err("HTTP/2 is not supported; remove the key, or set it to false".to_owned());
            }
            (HTTP, _, _) => return Err("expected false".to_owned()),
            (HEADERS, _, _) => self.config.headers.push(header(key, text)?),
            (_, "min_version", _) => self.versions.0 = version(text)?,
            (_, "max_version", _) => self.versions.1 = version(text)?,
            (_, "client_auth_type", _) => {
                self.client = client_auth(text);
                self.client.clone()?;
            }
            _ => drop(self.files.insert(key.to_owned(), self.file.with_file_name(text))),
        }
        Ok(())
    }

    /// The TLS section, which begins at `line`.
    fn tls(&mut self, line: usize) -> Option<TlsSection> {
        let [cert_file, key_file, client_ca_file] =
            ["cert_file", "key_file", "client_ca_file"].map(|key| self.files.remove(key));
        let (least, most) = self.versions;
        let wrong = [
            (cert_file.is_none(), "cert_file is missing"),
            (key_file.is_none(), "key_file is missing"),
            (
                self.client == Ok(None) && client_ca_file.is_some(),
                "client_ca_file is set and client_auth_type is not; set it to RequireAndVerifyClientCert",
            ),
            (
                matches!(self.client, Ok(Some(_))) && client_ca_file.is_none(),
                "client_ca_file is missing: clients' certificates are to be verified",
            ),
            (least > most, "min_version is above max_version"),
        ];
        for (_, message) in wrong.iter().filter(|(is_wrong, _)| *is_wrong) {
            self.report(line, TLS, message);
        }
        let client_must = self.client == Ok(Some(true));
        let versions = [12, 13].map(|version| (least..=most).contains(&version));
        Some(TlsSection { cert_file: cert_file?, key_file: key_file?, client_ca_file, client_must, versions })
    }
}

/// Whether clients must present a certificate. None if they are not asked for one.
fn client_auth(text: &str) -> Result<Option<bool>, String> {
    match text {
        "NoClientCert" => Ok(None),
        "VerifyClientCertIfGiven" => Ok(Some(false)),
        "RequireAndVerifyClientCert" => Ok(Some(true)),
        "RequestClientCert" | "RequireAnyClientCert" | "RequireClientCert" => {
            Err("not supported: it accepts a certificate that anybody made; \
                 use RequireAndVerifyClientCert with client_ca_file, or basic_auth_users"
                .to_owned())
        }
        _ => Err("expected NoClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert".to_owned()),
    }
}

fn version(text: &str) -> Result<u8, String> {
    match text {
        "TLS12" => Ok(12),
        "TLS13" => Ok(13),
        "TLS10" | "TLS11" => Err(format!("{text} is broken and not offered; use TLS12 or TLS13")),
        _ => Err("expected TLS12 or TLS13".to_owned()),
    }
}

fn header(name: &str, text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let Some((name, allowed)) = KNOWN_HEADERS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))
    else {
        let known: Vec<&str> = KNOWN_HEADERS.iter().map(|(known, _)| *known).collect();
        return Err(format!("this header cannot be set; known here: {}", known.join(", ")));
    };
    if !allowed.is_empty() && !allowed.contains(&text) {
        return Err(format!("expected {}", allowed.join(" or ")));
    }
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
    let value = HeaderValue::from_str(text)
        .map_err(|_| "not a header's value: only visible ASCII characters".to_owned())?;
    Ok((name, value))
}

/// Whether a value is empty or was already reported.
fn is_nothing(node: &Node) -> bool {
    match &node.value {
        Value::Scalar { text, plain: true } => matches!(&**text, "" | "~" | "null" | "Null" | "NULL"),
        Value::Sequence(items) => items.is_empty(),
        Value::Refused => true,
        Value::Scalar { .. } | Value::Mapping(_) => false,
    }
}
