//! The file as a whole: from its text to a [`WebConfig`], or to everything that is wrong with it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use qdrant_backup_shared::config_file::{Problem, parse_duration, tree};

use super::section::{Findings, Keys, Section};
use crate::stop::Stop;

/// What the file says. Without a file it is the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebConfig {
    /// TLS; without it, plain HTTP.
    pub tls: Option<TlsSection>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Who may come in; everybody when empty.
    pub users: BTreeMap<String, PasswordHash>,
    pub rate_limit: Option<RateLimit>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSection {
    /// The server's certificate and what leads to its authority.
    pub certificate: Pem,
    pub key: Pem,
    /// The authorities of clients' certificates; without them, no certificate is asked for.
    pub client_ca: Option<Pem>,
    /// Whether nobody comes in without a certificate.
    pub client_must: bool,
    /// Whether TLS 1.2 is offered, and whether TLS 1.3 is.
    pub versions: [bool; 2],
}

/// Text in PEM, or the file that holds it.
#[derive(Clone, PartialEq, Eq)]
pub enum Pem {
    File(PathBuf),
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
        if text.parse::<bcrypt::HashParts>().is_err() || hash.cost() < 4 {
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

const SECTIONS: Keys =
    Keys::Known(&["tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"], &[]);

const TLS: Keys = Keys::Known(
    &[
        "cert",
        "key",
        "client_ca",
        "cert_file",
        "key_file",
        "client_auth_type",
        "client_ca_file",
        "min_version",
        "max_version",
    ],
    &[
        ("client_allowed_sans", "use a client_ca_file that signs only the clients that may connect"),
        (
            "cipher_suites",
            "remove it: only suites with forward secrecy are offered; min_version: TLS13 allows fewer",
        ),
        ("prefer_server_cipher_suites", "remove it: every suite that is offered is strong"),
        ("curve_preferences", "remove it: X25519, P-256 and P-384 are offered"),
    ],
);

const HTTP: Keys = Keys::Known(&["http2", "headers"], &[]);

const RATE_LIMIT: Keys = Keys::Known(&["interval", "burst"], &[]);

const HEADERS: &[(&str, &[&str])] = &[
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
    ("Content-Security-Policy", &[]),
];

impl WebConfig {
    /// What this configuration asks of clients and `next` does not, if there is something.
    pub(in crate::web) fn opened_by(&self, next: &Self) -> Option<&'static str> {
        if !self.users.is_empty() && next.users.is_empty() {
            return Some("basic_auth_users has no user any more");
        }
        let before = self.tls.as_ref()?;
        let Some(after) = &next.tls else { return Some("tls_server_config was removed") };
        let less = before.client_must && !after.client_must
            || before.client_ca.is_some() && after.client_ca.is_none();
        less.then_some("client_auth_type asks less of clients' certificates")
    }

    /// Reads the text of a file. `file` is named in problems, and paths are relative to its directory. An empty
    /// file is valid.
    ///
    /// # Errors
    /// Broken YAML, unknown, repeated or dropped keys, values of the wrong type, combinations without sense: all at once.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Stop> {
        let mut findings = Findings::new(file);
        let (root, broken) = tree::parse(text.strip_prefix('\u{feff}').unwrap_or(text));
        for (line, message) in broken {
            findings.report(Some(line), "", message);
        }
        let entries = Section::new(root.as_ref(), "", 1, &SECTIONS, &mut findings).entries;
        let mut config = Self::default();
        for entry in entries {
            let keys = match entry.key.as_str() {
                "tls_server_config" => &TLS,
                "http_server_config" => &HTTP,
                "rate_limit" => &RATE_LIMIT,
                _ => &Keys::Any,
            };
            let section = Section::new(Some(&entry.value), &entry.key, entry.line, keys, &mut findings);
            match entry.key.as_str() {
                "tls_server_config" => config.tls = tls(section, file.parent().unwrap_or(Path::new(""))),
                "http_server_config" => config.headers = http(section),
                "rate_limit" => config.rate_limit = rate_limit(section),
                _ => config.users = users(section),
            }
        }
        if findings.problems.is_empty() {
            return Ok(config);
        }
        findings.problems.sort_by_key(|problem| problem.line);
        let lines: Vec<String> = findings.problems.iter().map(Problem::to_string).collect();
        Err(Stop::Configuration(lines.join("\n")))
    }
}

/// Without any key it says nothing.
fn tls(mut section: Section<'_, '_>, base: &Path) -> Option<TlsSection> {
    if section.entries.is_empty() {
        return None;
    }
    let certificate = pem(&mut section, "cert", "cert_file", base);
    let key = pem(&mut section, "key", "key_file", base);
    let client_ca = pem(&mut section, "client_ca", "client_ca_file", base);
    if certificate.is_none() {
        section.refuse_whole("cert_file is missing");
    }
    if key.is_none() {
        section.refuse_whole("key_file is missing");
    }
    let (asks, client_must) = match section.text("client_auth_type") {
        None | Some((_, "NoClientCert")) => (false, false),
        Some((_, "VerifyClientCertIfGiven")) => (true, false),
        Some((_, "RequireAndVerifyClientCert")) => (true, true),
        Some((entry, text)) => {
            let message =
                if matches!(text, "RequestClientCert" | "RequireAnyClientCert" | "RequireClientCert") {
                    "not supported: it accepts a certificate that anybody made; \
                 use RequireAndVerifyClientCert with client_ca_file, or basic_auth_users"
                } else {
                    "expected NoClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert"
                };
            section.refuse(entry, message);
            (client_ca.is_some(), true)
        }
    };
    if client_ca.is_some() && !asks {
        section.refuse_whole(
            "client_ca_file is set and client_auth_type is not; set it to RequireAndVerifyClientCert",
        );
    } else if asks && client_ca.is_none() {
        section.refuse_whole("client_ca_file is missing: clients' certificates are to be verified");
    }
    let least = version(&mut section, "min_version").unwrap_or(12);
    let most = version(&mut section, "max_version").unwrap_or(13);
    if least > most {
        section.refuse_whole("min_version is above max_version");
    }
    let versions = [12, 13].map(|version| (least..=most).contains(&version));
    Some(TlsSection { certificate: certificate?, key: key?, client_ca, client_must, versions })
}

fn pem(section: &mut Section<'_, '_>, inline: &str, file: &str, base: &Path) -> Option<Pem> {
    let (text, path) = (section.text(inline), section.text(file));
    if let (Some((entry, _)), Some(_)) = (text, path) {
        section.refuse(entry, format!("{inline} and {file} exclude each other"));
    }
    let file = path.map(|(_, path)| Pem::File(base.join(path)));
    file.or_else(|| text.map(|(_, text)| Pem::Inline(text.to_owned())))
}

fn version(section: &mut Section<'_, '_>, key: &str) -> Option<u8> {
    match section.text(key)? {
        (_, "TLS12") => return Some(12),
        (_, "TLS13") => return Some(13),
        (entry, text @ ("TLS10" | "TLS11")) => {
            section.refuse(entry, format!("{text} is broken and not offered; use TLS12 or TLS13"));
        }
        (entry, _) => section.refuse(entry, "expected TLS12 or TLS13"),
    }
    None
}

fn http(mut section: Section<'_, '_>) -> Vec<(HeaderName, HeaderValue)> {
    match section.text("http2") {
        None | Some((_, "false")) => {}
        Some((entry, "true")) => {
            section.refuse(entry, "HTTP/2 is not supported; remove the key, or set it to false");
        }
        Some((entry, _)) => section.refuse(entry, "expected false"),
    }
    let Some(entry) = section.entry("headers") else { return Vec::new() };
    let name = "http_server_config.headers";
    let mut section = Section::new(Some(&entry.value), name, entry.line, &Keys::Any, section.findings);
    let mut headers = Vec::new();
    for entry in std::mem::take(&mut section.entries) {
        let Some(text) = section.text_of(entry).filter(|text| !text.is_empty()) else { continue };
        let known = HEADERS.iter().find(|(name, _)| name.eq_ignore_ascii_case(&entry.key));
        match (known, HeaderValue::from_str(text)) {
            (None, _) => {
                let known: Vec<&str> = HEADERS.iter().map(|(name, _)| *name).collect();
                section.refuse(entry, format!("this header cannot be set; known here: {}", known.join(", ")));
            }
            (Some((_, allowed)), _) if !allowed.is_empty() && !allowed.contains(&text) => {
                section.refuse(entry, format!("expected {}", allowed.join(" or ")));
            }
            (Some((name, _)), Ok(value)) => {
                headers.extend(HeaderName::from_bytes(name.as_bytes()).map(|name| (name, value)));
            }
            (Some(_), Err(_)) => section.refuse(entry, "not a header's value: only visible ASCII characters"),
        }
    }
    headers
}

fn users(mut section: Section<'_, '_>) -> BTreeMap<String, PasswordHash> {
    let mut users = BTreeMap::new();
    for entry in std::mem::take(&mut section.entries) {
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

/// Without an interval it says nothing.
fn rate_limit(mut section: Section<'_, '_>) -> Option<RateLimit> {
    let interval = match section.text("interval") {
        // Go's durations may be a bare 0, which turns the limit off.
        None | Some((_, "0")) => Some(Duration::ZERO),
        Some((entry, text)) => {
            parse_duration(text).map_err(|error| section.refuse(entry, error.to_string())).ok()
        }
    };
    let burst = match section.text("burst") {
        None => Some(1),
        Some((entry, text)) => {
            let burst = text.parse().ok().filter(|burst| *burst > 0);
            if burst.is_none() {
                section.refuse(entry, "expected a whole number of at least 1");
            }
            burst
        }
    };
    let interval = interval.filter(|interval| !interval.is_zero())?;
    Some(RateLimit { interval, burst: burst? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2y$10$qHJ1pQ4bQAbUyr8jS7pKFe9dFwHuQsJIQ2oxHSIMiKmF7dHWyNzHO";

    fn parse(text: &str) -> Result<WebConfig, Stop> {
        WebConfig::parse(Path::new("web.yml"), text)
    }

    #[track_caller]
    fn assert_problems(text: &str, expected: &[&str]) {
        let found = parse(text).unwrap_err().to_string();
        assert_eq!(found.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn every_key_is_read_and_paths_are_relative_to_the_file() {
        let text = format!(
            "tls_server_config:\n  cert_file: server.crt\n  key_file: /k/server.key\n  client_ca_file: ca.crt\n  \
             client_auth_type: RequireAndVerifyClientCert\n  min_version: TLS12\n  max_version: TLS13\n  client_allowed_sans: []\n\
             http_server_config:\n  http2: false\n  headers:\n    X-Frame-Options: deny\n    Strict-Transport-Security: max-age=1\n\
             basic_auth_users:\n  alice: {HASH}\nrate_limit:\n  interval: 100ms\n  burst: 20\n"
        );
        let config = WebConfig::parse(Path::new("/etc/x/web.yml"), &text).unwrap();
        let tls = config.tls.as_ref().unwrap();
        assert_eq!(tls.certificate, Pem::File("/etc/x/server.crt".into()));
        assert_eq!(tls.key, Pem::File("/k/server.key".into()));
        assert_eq!(tls.client_ca, Some(Pem::File("/etc/x/ca.crt".into())));
        assert!(tls.client_must && tls.versions == [true, true]);
        assert_eq!(config.headers.len(), 2);
        assert!(config.users.contains_key("alice"));
        assert_eq!(config.rate_limit, Some(RateLimit { interval: Duration::from_millis(100), burst: 20 }));
        assert!(!format!("{config:?}").contains("qHJ1pQ4b"), "a hash is in no debug output");
        for text in ["", "# nothing\n", "tls_server_config:\nbasic_auth_users:\n", "tls_server_config: {}\n"]
        {
            assert_eq!(parse(text), Ok(WebConfig::default()), "{text:?}");
        }
    }

    #[test]
    fn all_problems_come_at_once_with_line_and_key_and_without_the_secret() {
        assert_problems(
            "tls_server_confg: {}\ntls_server_config:\n  cert_file: a\n  cert: b\n  min_version: TLS10\n  max_version: TLS14\n  \
             client_ca_file: c\nhttp_server_config:\n  http2: yes\n  headers:\n    Server: x\n    X-Frame-Options: maybe\n    \
             X-XSS-Protection: \"a\\nb\"\nbasic_auth_users:\n  alice: secret-password\n  \"a:b\": x\n  alice: y\nrate_limit:\n  \
             interval: 5\n  burst: 0\n",
            &[
                "web.yml:1: tls_server_confg: unknown key; did you mean tls_server_config?",
                "web.yml:2: tls_server_config: key_file is missing",
                "web.yml:2: tls_server_config: client_ca_file is set and client_auth_type is not; set it to RequireAndVerifyClientCert",
                "web.yml:4: tls_server_config.cert: cert and cert_file exclude each other",
                "web.yml:5: tls_server_config.min_version: TLS10 is broken and not offered; use TLS12 or TLS13",
                "web.yml:6: tls_server_config.max_version: expected TLS12 or TLS13",
                "web.yml:9: http_server_config.http2: expected false",
                "web.yml:11: http_server_config.headers.Server: this header cannot be set; known here: Strict-Transport-Security, X-Content-Type-Options, X-Frame-Options, X-XSS-Protection, Content-Security-Policy",
                "web.yml:12: http_server_config.headers.X-Frame-Options: expected deny or sameorigin",
                "web.yml:13: http_server_config.headers.X-XSS-Protection: not a header's value: only visible ASCII characters",
                "web.yml:15: basic_auth_users.alice: not a bcrypt hash; make one with `htpasswd -nBC 10 \"\"`",
                "web.yml:16: basic_auth_users.a:b: a user name has no colon and is not empty",
                "web.yml:17: basic_auth_users.alice: key repeated; it is already on line 15",
                "web.yml:19: rate_limit.interval: expected a duration such as 30s, 90m, 6h or 1d, got \"5\"",
                "web.yml:20: rate_limit.burst: expected a whole number of at least 1",
            ],
        );
        assert_problems("- a\n", &["web.yml:1: expected a mapping of keys to values"]);
        assert_eq!(parse("tls_server_config: [\n").unwrap_err().to_string().lines().count(), 1);
        let text =
            "tls_server_config: {cert_file: a, key_file: b, client_auth_type: RequireAndVerifyClientCert}\n";
        assert_problems(
            text,
            &[
                "web.yml:1: tls_server_config: client_ca_file is missing: clients' certificates are to be verified",
            ],
        );
    }

    #[test]
    fn what_is_not_offered_is_refused_with_what_to_do_instead() {
        assert_problems(
            "tls_server_config:\n  cert_file: a\n  key_file: b\n  client_allowed_sans: [x]\n  \
             cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n  prefer_server_cipher_suites: true\n  \
             curve_preferences: [X25519]\nhttp_server_config: {http2: true}\n",
            &[
                "web.yml:4: tls_server_config.client_allowed_sans: not supported; use a client_ca_file that signs only the clients that may connect",
                "web.yml:5: tls_server_config.cipher_suites: not supported; remove it: only suites with forward secrecy are offered; min_version: TLS13 allows fewer",
                "web.yml:6: tls_server_config.prefer_server_cipher_suites: not supported; remove it: every suite that is offered is strong",
                "web.yml:7: tls_server_config.curve_preferences: not supported; remove it: X25519, P-256 and P-384 are offered",
                "web.yml:8: http_server_config.http2: HTTP/2 is not supported; remove the key, or set it to false",
            ],
        );
        for kind in ["RequestClientCert", "RequireAnyClientCert", "RequireClientCert"] {
            let text =
                format!("tls_server_config:\n  cert_file: a\n  key_file: b\n  client_auth_type: {kind}\n");
            assert_problems(
                &text,
                &[
                    "web.yml:4: tls_server_config.client_auth_type: not supported: it accepts a certificate that anybody made; \
                  use RequireAndVerifyClientCert with client_ca_file, or basic_auth_users",
                ],
            );
        }
    }
}
