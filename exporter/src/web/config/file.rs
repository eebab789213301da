//! The file as a whole: from its text to a [`WebConfig`], or to everything that is wrong with it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use hyper::header::{HeaderName, HeaderValue};
use qdrant_backup_shared::config_file::{Problem, tree};

use super::section::{Findings, Section};
use super::sections::{self, PasswordHash, RateLimit, TlsSection};

/// No web configuration is that long; a larger file is another file.
pub(super) const MAX_BYTES: usize = 1 << 20;

const SECTIONS: &[&str] = &["tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"];

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebConfig {
    /// TLS; without it, plain HTTP.
    pub tls: Option<TlsSection>,
    /// Whether HTTP/2 is offered inside TLS.
    pub http2: bool,
    /// Headers of every response.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Who may come in; everybody when empty.
    pub users: BTreeMap<String, PasswordHash>,
    /// How many requests are answered.
    pub rate_limit: Option<RateLimit>,
}

/// Everything that is wrong with a file, one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// In the order of the file. Never empty, never a secret.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.problems.iter().map(Problem::to_string).collect();
        formatter.write_str(&lines.join("\n"))
    }
}

impl WebConfig {
    /// The configuration without a file.
    pub fn none() -> Self {
        Self { http2: true, ..Self::default() }
    }

    /// What this configuration asks of clients and `next` does not, if there is something.
    pub(in crate::web) fn opened_by(&self, next: &Self) -> Option<&'static str> {
        if !self.users.is_empty() && next.users.is_empty() {
            return Some("basic_auth_users has no user any more");
        }
        let before = self.tls.as_ref()?;
        let Some(after) = &next.tls else { return Some("tls_server_config was removed") };
        let (asked, asks) = (before.client_auth, after.client_auth);
        if asked.requires() && !asks.requires() || asked.verifies() && !asks.verifies() {
            return Some("client_auth_type asks less of clients' certificates");
        }
        let any_name = !before.allowed_sans.is_empty() && after.allowed_sans.is_empty();
        any_name.then_some("client_allowed_sans names nobody any more, which lets in every name")
    }

    /// Reads the text of a file. `file` is named in problems, and paths are relative to its directory. An empty
    /// file is valid.
    ///
    /// # Errors
    /// Broken YAML, unknown or repeated keys, values of the wrong type, combinations without sense: all at once.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        let mut findings = Findings::new(file);
        if text.len() > MAX_BYTES {
            findings.report(None, None, format!("larger than {MAX_BYTES} bytes; is this a configuration?"));
            return Err(ConfigError { problems: findings.problems });
        }
        let (root, broken) = tree::parse(text.strip_prefix('\u{feff}').unwrap_or(text));
        for (line, message) in broken {
            findings.report(Some(line), None, message);
        }
        let mut config = Self::none();
        let base = file.parent().unwrap_or(Path::new(""));
        let top = Section::new(root.as_ref(), "", 1, Some(SECTIONS), &mut findings);
        let entry = |name: &str| top.entry(name).map(|entry| (&entry.value, entry.line));
        let (tls, http) = (entry("tls_server_config"), entry("http_server_config"));
        let (users, rate) = (entry("basic_auth_users"), entry("rate_limit"));
        if let Some((node, line)) = tls {
            config.tls = sections::tls(node, line, base, &mut findings);
        }
        if let Some((node, line)) = http {
            (config.http2, config.headers) = sections::http(node, line, &mut findings);
        }
        if let Some((node, line)) = users {
            config.users = sections::users(node, line, &mut findings);
        }
        if let Some((node, line)) = rate {
            config.rate_limit = sections::rate_limit(node, line, &mut findings);
        }
        if findings.problems.is_empty() {
            return Ok(config);
        }
        findings.problems.sort_by_key(|problem| problem.line);
        Err(ConfigError { problems: findings.problems })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::sections::{ClientAuth, Pem};
    use super::*;

    const HASH: &str = "$2y$10$qHJ1pQ4bQAbUyr8jS7pKFe9dFwHuQsJIQ2oxHSIMiKmF7dHWyNzHO";

    fn parse(text: &str) -> Result<WebConfig, ConfigError> {
        WebConfig::parse(Path::new("/etc/x/web.yml"), text)
    }

    fn problems(text: &str) -> Vec<String> {
        parse(text).unwrap_err().problems.iter().map(Problem::to_string).collect()
    }

    #[test]
    fn every_key_is_read_and_paths_are_relative_to_the_file() {
        let text = format!(
            "tls_server_config:\n  cert_file: server.crt\n  key_file: /k/server.key\n  client_ca_file: ca.crt\n  \
             client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: [prometheus]\n  min_version: TLS12\n  \
             max_version: TLS13\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n  \
             prefer_server_cipher_suites: false\n  curve_preferences: [X25519, CurveP256]\n\
             http_server_config:\n  http2: false\n  headers:\n    X-Frame-Options: deny\n    Strict-Transport-Security: max-age=1\n\
             basic_auth_users:\n  alice: {HASH}\nrate_limit:\n  interval: 100ms\n  burst: 20\n"
        );
        let config = parse(&text).unwrap();
        let tls = config.tls.unwrap();
        assert_eq!(tls.certificate, Pem::File("/etc/x/server.crt".into()));
        assert_eq!(tls.key, Pem::File("/k/server.key".into()));
        assert_eq!(tls.client_auth, ClientAuth::RequireAndVerify);
        assert_eq!(tls.allowed_sans, ["prometheus"]);
        assert!(!tls.prefer_server_cipher_suites);
        assert!(!config.http2);
        assert_eq!(config.headers.len(), 2);
        assert!(config.users.contains_key("alice"));
        assert_eq!(config.rate_limit, Some(RateLimit { interval: Duration::from_millis(100), burst: 20 }));
    }

    #[test]
    fn an_empty_file_is_valid_and_http2_is_on() {
        for text in ["", "# nothing\n", "tls_server_config:\nbasic_auth_users:\n", "tls_server_config: {}\n"]
        {
            assert_eq!(parse(text), Ok(WebConfig::none()), "{text:?}");
        }
    }

    #[test]
    fn all_problems_come_at_once_with_line_and_key() {
        let text = "tls_server_confg: {}\ntls_server_config:\n  cert_file: a\n  cert: b\n  min_version: TLS10\n  max_version: TLS14\n  \
                    client_ca_file: c\n  cipher_suites: [NONSENSE, TLS_RSA_WITH_AES_128_CBC_SHA]\n  curve_preferences: [CurveP521, X]\n\
                    http_server_config:\n  http2: yes\n  headers:\n    Server: x\n    X-Frame-Options: maybe\n    X-Content-Type-Options: \"a\\nb\"\n\
                    basic_auth_users:\n  alice: secret-password\n  \"a:b\": x\nrate_limit:\n  interval: 5\n  burst: 0\n";
        let found = problems(text);
        let expected = [
            "/etc/x/web.yml:1: tls_server_confg: unknown key; did you mean tls_server_config?",
            "/etc/x/web.yml:2: tls_server_config: key_file is missing",
            "/etc/x/web.yml:2: tls_server_config: client_ca_file is set and client_auth_type is not; set it to RequireAndVerifyClientCert",
            "/etc/x/web.yml:4: tls_server_config.cert: cert and cert_file exclude each other",
            "/etc/x/web.yml:5: tls_server_config.min_version: TLS10 is broken and not offered; use TLS12 or TLS13",
            "/etc/x/web.yml:6: tls_server_config.max_version: expected TLS12 or TLS13",
            "/etc/x/web.yml:8: tls_server_config.cipher_suites: unknown cipher suite NONSENSE",
            "/etc/x/web.yml:8: tls_server_config.cipher_suites: TLS_RSA_WITH_AES_128_CBC_SHA is not offered, for want of forward secrecy or authenticated encryption",
            "/etc/x/web.yml:9: tls_server_config.curve_preferences: CurveP521 is not offered; use X25519, CurveP256 or CurveP384",
            "/etc/x/web.yml:9: tls_server_config.curve_preferences: unknown curve X",
            "/etc/x/web.yml:11: http_server_config.http2: expected true or false",
            "/etc/x/web.yml:13: http_server_config.headers.Server: this header cannot be set; known here: Strict-Transport-Security, X-Content-Type-Options, X-Frame-Options, X-XSS-Protection, Content-Security-Policy",
            "/etc/x/web.yml:14: http_server_config.headers.X-Frame-Options: expected deny or sameorigin",
            "/etc/x/web.yml:15: http_server_config.headers.X-Content-Type-Options: expected nosniff",
            "/etc/x/web.yml:17: basic_auth_users.alice: not a bcrypt hash; make one with `htpasswd -nBC 10 \"\"`",
            "/etc/x/web.yml:18: basic_auth_users.a:b: a user name has no colon and is not empty",
            "/etc/x/web.yml:20: rate_limit.interval: expected a duration such as 30s, 90m, 6h or 1d, got \"5\"",
            "/etc/x/web.yml:21: rate_limit.burst: expected a whole number of at least 1",
        ];
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(found, expected);
        }
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        assert!(!found.iter().any(|line| line.contains("secret-password")));
    }

    #[test]
    fn names_are_only_looked_at_in_verified_certificates() {
        let text = "tls_server_config: {cert_file: a, key_file: b, client_auth_type: RequireAnyClientCert, client_allowed_sans: [x]}\n";
        assert!(problems(text)[0].contains("client_allowed_sans means nothing"), "{:?}", problems(text));
        let text =
            "tls_server_config: {cert_file: a, key_file: b, client_auth_type: RequireAndVerifyClientCert}\n";
        assert!(problems(text)[0].contains("client_ca_file is missing"), "{:?}", problems(text));
    }

    #[test]
    fn broken_yaml_is_one_line() {
        assert_eq!(problems("tls_server_config: [\n").len(), 1);
        assert_eq!(problems("- a\n"), ["/etc/x/web.yml:1: expected a mapping of keys to values"]);
        assert!(
            problems("basic_auth_users:\n  a: x\n  a: y\n").iter().any(|line| line.contains("key repeated"))
        );
    }

    #[test]
    fn a_hash_is_in_no_debug_output() {
        let config = parse(&format!("basic_auth_users:\n  alice: {HASH}\n")).unwrap();
        assert!(!format!("{config:?}").contains("qHJ1pQ4b"));
    }
}
