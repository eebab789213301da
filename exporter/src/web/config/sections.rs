//! The sections of the file: what each says, and which values make sense.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use qdrant_backup_shared::config_file::parse_duration;
use qdrant_backup_shared::config_file::tree::Node;

use super::names::{self, Curve, Suite, Version};
use super::section::{Findings, Section};

/// Text in PEM, or the file that holds it.
#[derive(Clone, PartialEq, Eq)]
pub enum Pem {
    /// A file.
    File(PathBuf),
    /// The text itself.
    Inline(String),
}

impl fmt::Debug for Pem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "File({})", path.display()),
            Self::Inline(_) => formatter.write_str("Inline([redacted])"),
        }
    }
}

/// What is asked of clients' certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// Nothing.
    None,
    /// One is asked for; anything will do, also nothing.
    Request,
    /// One must come; anything will do.
    RequireAny,
    /// One that comes must be signed by the authorities.
    VerifyIfGiven,
    /// One must come, signed by the authorities.
    RequireAndVerify,
}

impl ClientAuth {
    /// Whether nobody comes in without a certificate.
    pub fn requires(self) -> bool {
        matches!(self, Self::RequireAny | Self::RequireAndVerify)
    }

    /// Whether certificates are verified at all.
    pub fn verifies(self) -> bool {
        matches!(self, Self::VerifyIfGiven | Self::RequireAndVerify)
    }
}

/// `tls_server_config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSection {
    /// The server's certificate and what leads to its authority.
    pub certificate: Pem,
    /// The server's private key.
    pub key: Pem,
    /// The authorities of clients' certificates.
    pub client_ca: Option<Pem>,
    /// What is asked of clients.
    pub client_auth: ClientAuth,
    /// Names of which a client's certificate must have one; any when empty.
    pub allowed_sans: Vec<String>,
    /// The oldest version of TLS.
    pub min_version: Version,
    /// The newest version of TLS.
    pub max_version: Version,
    /// The cipher suites of TLS 1.2; all that are offered when empty.
    pub cipher_suites: Vec<Suite>,
    /// Whether our order of suites counts, or the client's.
    pub prefer_server_cipher_suites: bool,
    /// Key exchange groups, the best first; all that are offered when empty.
    pub curves: Vec<Curve>,
}

/// `rate_limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Time between two requests in the long run.
    pub interval: Duration,
    /// Requests that may come at once.
    pub burst: u32,
}

/// A password as bcrypt hashed it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// The hash, for comparing; not for printing.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The work factor: each step doubles the work.
    pub fn cost(&self) -> u32 {
        self.0.get(4..6).and_then(|digits| digits.parse().ok()).unwrap_or(0)
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        const COST_MAX: u32 = 15;
        let hash = Self(text.to_owned());
        let known = ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| text.starts_with(prefix));
        let bytes = text.as_bytes();
        let alphabet = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/');
        let shaped = bytes.len() == 60
            && bytes[4..6].iter().all(u8::is_ascii_digit)
            && bytes[6] == b'$'
            && bytes[7..].iter().all(alphabet);
        if !known || !shaped || hash.cost() < 4 {
            Err("not a bcrypt hash; make one with `htpasswd -nBC 10 \"\"`")
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

const TLS_KEYS: &[&str] = &[
    "cert",
    "key",
    "client_ca",
    "cert_file",
    "key_file",
    "client_auth_type",
    "client_ca_file",
    "client_allowed_sans",
    "min_version",
    "max_version",
    "cipher_suites",
    "prefer_server_cipher_suites",
    "curve_preferences",
];

/// Reads `tls_server_config`; without any key it says nothing.
pub(super) fn tls(node: &Node, line: usize, base: &Path, findings: &mut Findings) -> Option<TlsSection> {
    let mut section = Section::new(Some(node), "tls_server_config", line, Some(TLS_KEYS), findings);
    if section.entries().is_empty() {
        return None;
    }
    let certificate = pem(&mut section, "cert", "cert_file", base);
    let key = pem(&mut section, "key", "key_file", base);
    let client_ca = pem(&mut section, "client_ca", "client_ca_file", base);
    for (missing, name) in [(certificate.is_none(), "cert_file"), (key.is_none(), "key_file")] {
        if missing {
            section.refuse_whole(format!("{name} is missing"));
        }
    }
    let client_auth = client_auth(&mut section, client_ca.is_some());
    let allowed_sans: Vec<String> =
        section.texts("client_allowed_sans").into_iter().map(str::to_owned).collect();
    if !allowed_sans.is_empty() && !client_auth.verifies() {
        section.refuse_whole(
            "client_allowed_sans means nothing where anybody's certificate will do; \
             set client_auth_type to RequireAndVerifyClientCert",
        );
    }
    let min_version = version(&mut section, "min_version").unwrap_or(Version::Tls12);
    let max_version = version(&mut section, "max_version").unwrap_or(Version::Tls13);
    if min_version > max_version {
        section.refuse_whole("min_version is above max_version");
    }
    let cipher_suites = named(&mut section, "cipher_suites", names::suite);
    let curves = named(&mut section, "curve_preferences", names::curve);
    let prefer_server_cipher_suites = section.boolean("prefer_server_cipher_suites").unwrap_or(true);
    Some(TlsSection {
        certificate: certificate?,
        key: key?,
        client_ca,
        client_auth,
        allowed_sans,
        min_version,
        max_version,
        cipher_suites,
        prefer_server_cipher_suites,
        curves,
    })
}

fn pem(section: &mut Section<'_, '_>, inline: &str, file: &str, base: &Path) -> Option<Pem> {
    let text = section.text(inline);
    let path = section.path(file, base);
    if let (Some(entry), Some(_), Some(_)) = (section.entry(inline), text, &path) {
        section.refuse(entry, format!("{inline} and {file} exclude each other"));
    }
    path.map(Pem::File).or_else(|| text.map(|text| Pem::Inline(text.to_owned())))
}

fn client_auth(section: &mut Section<'_, '_>, has_ca: bool) -> ClientAuth {
    let client_auth = match section.text("client_auth_type") {
        None | Some("NoClientCert") => ClientAuth::None,
        Some("RequestClientCert") => ClientAuth::Request,
        Some("RequireAnyClientCert" | "RequireClientCert") => ClientAuth::RequireAny,
        Some("VerifyClientCertIfGiven") => ClientAuth::VerifyIfGiven,
        Some("RequireAndVerifyClientCert") => ClientAuth::RequireAndVerify,
        Some(_) => {
            if let Some(entry) = section.entry("client_auth_type") {
                section.refuse(
                    entry,
                    "expected NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven or \
                     RequireAndVerifyClientCert",
                );
            }
            return ClientAuth::RequireAndVerify;
        }
    };
    if has_ca && client_auth == ClientAuth::None {
        section.refuse_whole(
            "client_ca_file is set and client_auth_type is not; set it to RequireAndVerifyClientCert",
        );
    }
    if !has_ca && client_auth.verifies() {
        section.refuse_whole("client_ca_file is missing: clients' certificates are to be verified");
    }
    client_auth
}

fn version(section: &mut Section<'_, '_>, key: &str) -> Option<Version> {
    let text = section.text(key)?;
    let entry = section.entry(key)?;
    match text {
        "TLS12" => return Some(Version::Tls12),
        "TLS13" => return Some(Version::Tls13),
        "TLS10" | "TLS11" => {
            section.refuse(entry, format!("{text} is broken and not offered; use TLS12 or TLS13"));
        }
        _ => section.refuse(entry, "expected TLS12 or TLS13"),
    }
    None
}

fn named<T>(
    section: &mut Section<'_, '_>,
    key: &str,
    find: impl Fn(&str) -> Result<Option<T>, String>,
) -> Vec<T> {
    let mut found = Vec::new();
    for name in section.texts(key) {
        match (find(name), section.entry(key)) {
            (Ok(Some(value)), _) => found.push(value),
            (Err(message), Some(entry)) => section.refuse(entry, message),
            (Ok(None) | Err(_), _) => {}
        }
    }
    found
}

const HEADERS: &[(&str, &[&str])] = &[
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
    ("Content-Security-Policy", &[]),
];

/// Reads `http_server_config`: whether HTTP/2 is on, and the headers.
pub(super) fn http(
    node: &Node,
    line: usize,
    findings: &mut Findings,
) -> (bool, Vec<(HeaderName, HeaderValue)>) {
    const NAME: &str = "http_server_config";
    let mut section = Section::new(Some(node), NAME, line, Some(&["http2", "headers"]), findings);
    let http2 = section.boolean("http2").unwrap_or(true);
    let Some(entry) = section.entry("headers") else { return (http2, Vec::new()) };
    let mut section =
        Section::new(Some(&entry.value), "http_server_config.headers", entry.line, None, findings);
    let mut headers = Vec::new();
    for entry in section.entries() {
        let Some(text) = section.text_of(entry).filter(|text| !text.is_empty()) else { continue };
        let Some((name, allowed)) = HEADERS.iter().find(|(name, _)| name.eq_ignore_ascii_case(&entry.key))
        else {
            let known: Vec<&str> = HEADERS.iter().map(|(name, _)| *name).collect();
            section.refuse(entry, format!("this header cannot be set; known here: {}", known.join(", ")));
            continue;
        };
        if !allowed.is_empty() && !allowed.contains(&text) {
            section.refuse(entry, format!("expected {}", allowed.join(" or ")));
            continue;
        }
        match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(text)) {
            (Ok(name), Ok(value)) => headers.push((name, value)),
            _ => section.refuse(entry, "not a header's value: only visible ASCII characters"),
        }
    }
    (http2, headers)
}

/// Reads `basic_auth_users`.
pub(super) fn users(node: &Node, line: usize, findings: &mut Findings) -> BTreeMap<String, PasswordHash> {
    let mut section = Section::new(Some(node), "basic_auth_users", line, None, findings);
    let mut users = BTreeMap::new();
    for entry in section.entries() {
        if entry.key.is_empty() || entry.key.contains(':') {
            section.refuse(entry, "a user name has no colon and is not empty");
            continue;
        }
        match section.text_of(entry).map(PasswordHash::parse) {
            Some(Ok(hash)) => drop(users.insert(entry.key.clone(), hash)),
            Some(Err(message)) => section.refuse(entry, message),
            None => {}
        }
    }
    users
}

/// Reads `rate_limit`; without an interval it says nothing.
pub(super) fn rate_limit(node: &Node, line: usize, findings: &mut Findings) -> Option<RateLimit> {
    let mut section = Section::new(Some(node), "rate_limit", line, Some(&["interval", "burst"]), findings);
    let interval = match (section.text("interval"), section.entry("interval")) {
        // Go's durations may be a bare 0, which turns the limit off.
        (Some("0"), _) => Some(Duration::ZERO),
        (Some(text), Some(entry)) => match parse_duration(text) {
            Ok(interval) => Some(interval),
            Err(error) => {
                section.refuse(entry, error.to_string());
                None
            }
        },
        _ => Some(Duration::ZERO),
    };
    let burst = section.text("burst").unwrap_or("1").parse::<u32>().ok().filter(|burst| *burst > 0);
    if let (None, Some(entry)) = (burst, section.entry("burst")) {
        section.refuse(entry, "expected a whole number of at least 1");
    }
    match (interval, burst) {
        (Some(interval), Some(burst)) if !interval.is_zero() => Some(RateLimit { interval, burst }),
        _ => None,
    }
}
