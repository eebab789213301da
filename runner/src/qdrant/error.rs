//! Errors of requests, and their kinds.

use std::time::Duration;

use qdrant_backup_shared::FailureKind;

use super::limit::Limit;

/// A request to Qdrant failed. `what` is the operation, such as `listing collections`. Messages never contain secrets.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No connection, so the request was not sent.
    #[error("{what}: cannot reach Qdrant at {url}: {cause} (is it running, and is the URL right?)")]
    Unreachable {
        /// What was being done, such as `listing collections`.
        what: String,
        /// The server, without credentials.
        url: String,
        /// Reason from the system or the HTTP library.
        cause: String,
    },
    /// No trusted connection, so the request was not sent. Waiting does not help.
    #[error("{what}: cannot reach Qdrant at {url}: {cause}")]
    Tls {
        /// What was being done.
        what: String,
        /// The server, without credentials.
        url: String,
        /// What is wrong and what to do.
        cause: String,
    },
    /// The server does not speak HTTP: this is not Qdrant's REST port. Waiting does not help.
    #[error("{what}: cannot reach Qdrant at {url}: {cause}")]
    AnotherProtocol {
        /// What was being done.
        what: String,
        /// The server, without credentials.
        url: String,
        /// What came and what to do.
        cause: String,
    },
    /// The connection broke after the request was sent.
    #[error("{what}: the connection to Qdrant broke: {cause}")]
    Broken {
        /// What was being done.
        what: String,
        /// Reason from the HTTP library.
        cause: String,
    },
    /// The whole answer took too long.
    #[error("{what}: no answer from Qdrant within {limit}")]
    Timeout {
        /// What was being done.
        what: String,
        /// How long the program waited, and the setting for that.
        limit: Limit,
    },
    /// A transfer stalled.
    #[error("{what}: no data moved for {limit}")]
    Stalled {
        /// What was being done.
        what: String,
        /// The stall timeout.
        limit: Limit,
    },
    /// The server denied access.
    #[error(
        "{what}: Qdrant at {url} denied access ({status}): {message}; check its API key ({key}){}",
        if *status == 403 { " and that it may write" } else { "" }
    )]
    Unauthorized {
        /// What was being done.
        what: String,
        /// The server, without credentials.
        url: String,
        /// 401 or 403.
        status: u16,
        /// The server's message on one line.
        message: String,
        /// The option or setting of the key.
        key: &'static str,
    },
    /// The server answered with another error.
    #[error("{what}: Qdrant answered {status}: {message}")]
    Status {
        /// What was being done.
        what: String,
        /// The HTTP status.
        status: u16,
        /// The server's message on one line.
        message: String,
        /// How long to wait before a retry, if the server sent that.
        retry_after: Option<Duration>,
    },
    /// The answer is not from Qdrant.
    #[error(
        "{what}: this does not look like an answer from Qdrant: {problem}; does the URL point at Qdrant's REST port, and is its path right?"
    )]
    Unexpected {
        /// What was being done.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A signal ended the run.
    #[error("interrupted by a signal")]
    Interrupted,
}

/// How a request failed. All decisions after a failure use only this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// No connection, so the request was not sent. A later attempt may succeed.
    NotAsked,
    /// The request was sent, but its result is unknown.
    NoAnswer,
    /// The server is not Qdrant, or cannot be trusted. Waiting does not help.
    NotQdrant,
    /// An answer with this HTTP status, from the server or a proxy.
    Answer(u16),
    /// Interrupted.
    Interrupted,
}

impl Error {
    /// Classifies the errors. All functions below use it.
    fn class(&self) -> (FailureKind, Ending) {
        match self {
            Self::Unreachable { .. } => (FailureKind::Unreachable, Ending::NotAsked),
            Self::Tls { .. } => (FailureKind::Unreachable, Ending::NotQdrant),
            Self::AnotherProtocol { .. } => (FailureKind::Unreachable, Ending::NotQdrant),
            Self::Broken { .. } => (FailureKind::Unreachable, Ending::NoAnswer),
            Self::Timeout { .. } => (FailureKind::Timeout, Ending::NoAnswer),
            Self::Stalled { .. } => (FailureKind::Stalled, Ending::NoAnswer),
            Self::Unauthorized { status, .. } => (FailureKind::Unauthorized, Ending::Answer(*status)),
            Self::Status { status, .. } => (FailureKind::HttpStatus, Ending::Answer(*status)),
            Self::Unexpected { .. } => (FailureKind::HttpStatus, Ending::NotQdrant),
            Self::Interrupted => (FailureKind::Interrupted, Ending::Interrupted),
        }
    }

    fn ending(&self) -> Ending {
        self.class().1
    }

    /// The kind for the status file and the metrics.
    pub fn kind(&self) -> FailureKind {
        self.class().0
    }

    /// Whether a retry may succeed, for a request that changes nothing on the server.
    pub fn is_transient(&self) -> bool {
        use Ending::{Answer, NoAnswer, NotAsked};
        matches!(self.ending(), NotAsked | NoAnswer | Answer(408 | 429 | 500..=599)) && !self.is_over_budget()
    }

    /// How long to wait before the next request, if the server sent that.
    pub fn retry_after(&self) -> Option<Duration> {
        if let Self::Status { retry_after, .. } = self { *retry_after } else { None }
    }

    /// Whether there was an answer with the result of the request. Answers of proxies do not count: 499 is nginx's, 520 to 527
    /// and 530 are Cloudflare's.
    pub fn is_answered(&self) -> bool {
        match self.ending() {
            Ending::Answer(status) => !matches!(status, 408 | 499 | 502..=504 | 520..=527 | 530),
            Ending::NotQdrant => true,
            Ending::NotAsked | Ending::NoAnswer | Ending::Interrupted => false,
        }
    }

    /// Whether the server requests a later retry.
    pub fn is_busy(&self) -> bool {
        self.ending() == Ending::Answer(429)
    }

    /// Whether the request left this program.
    pub fn was_sent(&self) -> bool {
        self.ending() != Ending::NotAsked
    }

    /// Whether the request may have succeeded anyway. Only a refused request certainly did not.
    pub fn may_have_been_carried_out(&self) -> bool {
        !matches!(self.ending(), Ending::NotAsked | Ending::Answer(401 | 403..=405 | 413 | 422))
    }

    /// Whether another creation request may succeed, once it is known that this one created nothing.
    pub fn is_worth_another_creation(&self) -> bool {
        use Ending::{Answer, Interrupted, NotQdrant};
        !matches!(self.ending(), NotQdrant | Interrupted | Answer(401 | 403 | 405 | 413 | 422))
    }

    /// Whether the server reported that the requested object does not exist.
    pub fn is_not_found(&self) -> bool {
        self.ending() == Ending::Answer(404)
    }

    /// Whether the server refuses only this request: strict mode, a rate limit, a key without access to all points, or too much
    /// work for one request.
    pub fn is_refusal(&self) -> bool {
        matches!(self.ending(), Ending::Answer(400 | 402..=403 | 405..=499))
    }

    /// Whether a smaller request may be allowed (`max_query_limit`, `read_rate_limit`).
    pub fn is_too_much(&self) -> bool {
        matches!(self.ending(), Ending::Answer(400 | 413 | 422)) || self.is_over_budget()
    }

    /// Whether the rate limit is always too low for this request.
    fn is_over_budget(&self) -> bool {
        matches!(self, Self::Status { status: 429, retry_after: None, message, .. } if message.contains("split your request"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, message: &str, retry_after: Option<Duration>) -> Error {
        Error::Status { what: "x".to_owned(), status, message: message.to_owned(), retry_after }
    }

    fn denied(url: &str, status: u16) -> Error {
        let (what, message) = ("x".to_owned(), "no".to_owned());
        Error::Unauthorized { what, url: url.to_owned(), status, message, key: "--to-api-key-file" }
    }

    #[test]
    fn who_denied_access_is_named_with_the_option_of_its_key() {
        let text =
            "x: Qdrant at http://b:6333 denied access (401): no; check its API key (--to-api-key-file)";
        assert_eq!(denied("http://b:6333", 401).to_string(), text);
        assert!(denied("http://b:6333", 403).to_string().ends_with(" and that it may write"));
    }

    #[test]
    fn what_is_too_much_at_any_time_is_not_asked_again_and_less_is() {
        let message = "Rate limiting exceeded: Read rate limit exceeded, request larger than rate limiter capacity, please try to split your request";
        let never = status(429, message, None);
        assert!(never.is_refusal() && never.is_too_much() && !never.is_transient());
        let later = status(429, "Rate limiting exceeded: Retry after 7s", Some(Duration::from_secs(7)));
        assert!(later.is_refusal() && !later.is_too_much() && later.is_transient());
    }

    #[test]
    fn a_refusal_is_not_a_fault_and_not_a_missing_collection() {
        assert!(
            status(400, "Bad request: Exact search disabled!. Help: Set exact=false.", None).is_refusal()
        );
        for (code, text) in [(404, "no such collection"), (500, "broken"), (503, "busy")] {
            assert!(!status(code, text, None).is_refusal(), "{code}");
        }
        let key = |status| denied("u", status);
        assert!(key(403).is_refusal() && !key(401).is_refusal());
    }

    /// The properties of an error, in the order of the table below.
    fn answers(error: &Error) -> String {
        let all = [
            error.is_transient(),
            error.is_answered(),
            error.may_have_been_carried_out(),
            error.is_worth_another_creation(),
            error.is_refusal(),
            error.is_too_much(),
        ];
        let answers: String = all.iter().map(|yes| if *yes { 'y' } else { '-' }).collect();
        format!("{} {answers}", error.kind())
    }

    #[test]
    fn every_kind_of_error_says_what_may_be_done_next() {
        let (what, url, cause) = ("x".to_owned(), "u".to_owned(), "c".to_owned());
        let limit = Limit::set_by("qdrant.stall_timeout", Duration::from_secs(1));
        let key = |status| denied(&url, status);
        // Columns: a retry may succeed; answered; may have been done; another creation may succeed; refused; too
        // much.
        let table = [
            (
                Error::Unreachable { what: what.clone(), url: url.clone(), cause: cause.clone() },
                "unreachable y--y--",
            ),
            (Error::Tls { what: what.clone(), url: url.clone(), cause: cause.clone() }, "unreachable -yy---"),
            (
                Error::AnotherProtocol { what: what.clone(), url: url.clone(), cause: cause.clone() },
                "unreachable -yy---",
            ),
            (Error::Broken { what: what.clone(), cause: cause.clone() }, "unreachable y-yy--"),
            (Error::Timeout { what: what.clone(), limit }, "timeout y-yy--"),
            (Error::Stalled { what: what.clone(), limit }, "stalled y-yy--"),
            (key(401), "unauthorized -y----"),
            (key(403), "unauthorized -y--y-"),
            (Error::Unexpected { what: what.clone(), problem: cause }, "http_status -yy---"),
            (Error::Interrupted, "interrupted --y---"),
            (status(301, "", None), "http_status -yyy--"),
            (status(400, "", None), "http_status -yyyyy"),
            (status(404, "", None), "http_status -y-y--"),
            (status(405, "", None), "http_status -y--y-"),
            (status(408, "", None), "http_status y-yyy-"),
            (status(413, "", None), "http_status -y--yy"),
            (status(422, "", None), "http_status -y--yy"),
            (status(429, "", None), "http_status yyyyy-"),
            (status(499, "", None), "http_status --yyy-"),
            (status(500, "", None), "http_status yyyy--"),
            (status(504, "", None), "http_status y-yy--"),
            (status(530, "", None), "http_status y-yy--"),
        ];
        for (error, expected) in &table {
            assert_eq!(answers(error), *expected, "{error:?}");
        }
    }
}
