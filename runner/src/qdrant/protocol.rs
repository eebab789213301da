//! Detects servers with a protocol other than HTTP/1: TLS, HTTP/2 (gRPC), SSH, SMTP. And requests that were never sent.

use std::error::Error;

use super::tls;

/// Why the answer is not HTTP/1, if it is not.
pub fn not_http(error: &(dyn Error + 'static)) -> Option<String> {
    let found = tls::causes(error).find_map(|cause| {
        let error = cause.downcast_ref::<hyper::Error>()?;
        (is_unreadable(error) || is_unasked(error)).then_some(error)
    })?;
    Some(found.to_string())
}

/// Whether the new connection ended before the request was sent. hyper cancels only requests that it still has whole.
pub fn was_never_sent(error: &(dyn Error + 'static)) -> bool {
    tls::causes(error)
        .any(|cause| cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled))
}

/// An answer that is too long is still HTTP.
fn is_unreadable(error: &hyper::Error) -> bool {
    error.is_parse() && !error.is_parse_too_large()
}

/// Whether the server sent data before the request. The library has no function for this; it is the only other error without a
/// cause.
fn is_unasked(error: &hyper::Error) -> bool {
    let known = error.is_parse()
        || error.is_user()
        || error.is_canceled()
        || error.is_closed()
        || error.is_incomplete_message()
        || error.is_body_write_aborted()
        || error.is_timeout();
    !known && error.source().is_none()
}

/// The same with a possible cause and advice, for a URL with this scheme.
pub fn explain(problem: &str, scheme: &str) -> String {
    let grpc = "if it is Qdrant's gRPC port (6334), use the REST port (6333)";
    match scheme {
        "http" => format!(
            "the server at this URL does not speak HTTP/1 ({problem}): if it uses TLS, the URL must begin with https://; {grpc}"
        ),
        _ => format!("the server at this URL speaks TLS, but not HTTP/1 ({problem}): {grpc}"),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    /// The error of a request to a server that accepts the connection, reads up to `bytes`, and ends it.
    async fn error_after(bytes: usize) -> hyper::Error {
        let (near, mut far) = tokio::io::duplex(64);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(near)).await.unwrap();
        let serve = async move { far.read_exact(&mut vec![0; bytes]).await.map(drop).unwrap() };
        let ask = async {
            if bytes == 0 {
                tokio::task::yield_now().await;
            }
            sender.send_request(hyper::Request::new(String::new())).await.unwrap_err()
        };
        let ((), _, error) = tokio::join!(serve, connection, ask);
        error
    }

    #[tokio::test]
    async fn a_request_on_a_connection_that_has_ended_was_never_sent() {
        let (never, sent) = (error_after(0).await, error_after(1).await);
        assert!(was_never_sent(&never) && not_http(&never).is_none(), "{never:?}");
        assert!(!was_never_sent(&sent), "{sent:?}");
    }

    #[test]
    fn the_other_scheme_and_the_port_of_grpc_are_named() {
        let plain = explain("x", "http");
        assert!(plain.contains("must begin with https://") && plain.contains("(6334)"), "{plain}");
        let tls = explain("x", "https");
        assert!(tls.contains("speaks TLS, but not HTTP/1") && !tls.contains("http://"), "{tls}");
    }
}
