//! Reads a file field of a multipart body while it arrives.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::Incoming;

const MAX_HEADER_BYTES: usize = 16 << 10;

/// A multipart body, read from its beginning.
pub(crate) struct Multipart {
    body: Incoming,
    buffer: BytesMut,
    delimiter: Vec<u8>,
    /// How far to jump if the last byte of the window is this one (Horspool's search).
    skips: [usize; 256],
    read_bytes: u64,
}

/// The headers of a part.
pub(crate) struct Part {
    pub(crate) field: String,
    pub(crate) file_name: Option<String>,
}

impl Multipart {
    /// A reader, if the request is multipart and has a boundary.
    pub(crate) fn new(headers: &HeaderMap, body: Incoming) -> Option<Multipart> {
        let content_type = headers.get("content-type")?.to_str().ok()?;
        if !content_type.to_ascii_lowercase().starts_with("multipart/form-data") {
            return None;
        }
        let boundary = parameter(content_type, "boundary")?;
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        let mut skips = [delimiter.len(); 256];
        for (index, byte) in delimiter.iter().enumerate().take(delimiter.len() - 1) {
            skips[usize::from(*byte)] = delimiter.len() - 1 - index;
        }
        // The first boundary is at the start of the body, as if a line had ended before it.
        Some(Multipart { body, buffer: BytesMut::from("\r\n"), delimiter, skips, read_bytes: 0 })
    }

    /// The number of bytes received so far.
    pub(crate) fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    /// Skips to the next part. `None` after the last one, or if the body is malformed or truncated.
    pub(crate) async fn next_part(&mut self) -> Option<Part> {
        while self.next_data().await?.is_some() {}
        let headers = loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let headers = self.buffer.split_to(end + 4);
                break String::from_utf8_lossy(&headers).into_owned();
            }
            if self.buffer.starts_with(b"--") || self.buffer.len() > MAX_HEADER_BYTES || !self.fill().await {
                return None;
            }
        };
        let disposition = headers.lines().find(|line| {
            line.get(..20).is_some_and(|start| start.eq_ignore_ascii_case("content-disposition:"))
        })?;
        Some(Part { field: parameter(disposition, "name")?, file_name: parameter(disposition, "filename") })
    }

    /// Bytes of the current part. `Some(None)` at its end, `None` if the body is truncated.
    pub(crate) async fn next_data(&mut self) -> Option<Option<Bytes>> {
        loop {
            if let Some(end) = self.find_delimiter() {
                if end > 0 {
                    return Some(Some(self.buffer.split_to(end).freeze()));
                }
                let _ = self.buffer.split_to(self.delimiter.len());
                return Some(None);
            }
            // Everything except a possible start of a delimiter.
            let sure = self.buffer.len().saturating_sub(self.delimiter.len());
            if sure > 0 {
                return Some(Some(self.buffer.split_to(sure).freeze()));
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    fn find_delimiter(&self) -> Option<usize> {
        let len = self.delimiter.len();
        let mut at = 0;
        while at + len <= self.buffer.len() {
            let window = &self.buffer[at..at + len];
            if window == self.delimiter.as_slice() {
                return Some(at);
            }
            at += self.skips[usize::from(window[len - 1])];
        }
        None
    }

    async fn fill(&mut self) -> bool {
        loop {
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref().filter(|data| !data.is_empty()) {
                        self.read_bytes += data.len() as u64;
                        self.buffer.extend_from_slice(data);
                        return true;
                    }
                }
                Some(Err(_)) | None => return false,
            }
        }
    }
}

fn parameter(header: &str, name: &str) -> Option<String> {
    header.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        (key.trim().eq_ignore_ascii_case(name)).then(|| value.trim().trim_matches('"').to_owned())
    })
}
