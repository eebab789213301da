//! Whether what answers speaks another protocol than HTTP: TLS, HTTP/2 as gRPC does, SSH, SMTP.

use std::error::Error;

use super::tls;

/// Why what came back is no HTTP/1, if it is none.
pub fn not_http(error: &(dyn Error + 'static)) -> Option<String> {
    let found = tls::causes(error).find_map(|cause| {
        let error = cause.downcast_ref::<hyper::Error>()?;
        (is_unreadable(error) || is_unasked(error)).then_some(error)
    })?;
    Some(found.to_string())
}

/// What is too long is HTTP all the same.
fn is_unreadable(error: &hyper::Error) -> bool {
    error.is_parse() && !error.is_parse_too_large()
}

/// Whether the other side spoke before it was asked. The library has no question for that; it is the only error without a
/// cause that is none of those it does have one for.
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

/// The same with what it may be and what to do, for a URL of this scheme.
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
    use super::*;

    #[test]
    fn the_other_scheme_and_the_port_of_grpc_are_named() {
        let plain = explain("x", "http");
        assert!(plain.contains("must begin with https://") && plain.contains("(6334)"), "{plain}");
        let tls = explain("x", "https");
        assert!(tls.contains("speaks TLS, but not HTTP/1") && !tls.contains("http://"), "{tls}");
    }
}
