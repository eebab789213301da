//! HTTP/1.1 messages, parsed only as far as a proxy needs: where the head and the body end.

use std::io::{self, ErrorKind};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

/// Longer than any head that the program or Qdrant sends.
const HEAD_MAX: usize = 256 << 10;

/// A first line and headers.
#[derive(Debug, Clone)]
pub struct Head {
    /// The request line or the status line.
    pub first: String,
    /// Headers with names as received.
    pub headers: Vec<(String, String)>,
}

/// How the end of the body is determined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// After this many bytes.
    Length(u64),
    /// By the last chunk.
    Chunked,
    /// By the end of the connection.
    Close,
}

impl Head {
    /// Reads the next head. None at the end of the connection.
    pub async fn read<R: AsyncRead + Unpin>(from: &mut BufReader<R>) -> io::Result<Option<Self>> {
        let mut lines = Vec::new();
        let mut read = 0;
        loop {
            let mut line = Vec::new();
            let length = from.take((HEAD_MAX - read) as u64).read_until(b'\n', &mut line).await?;
            read += length;
            if length == 0 {
                return if lines.is_empty() { Ok(None) } else { Err(ErrorKind::UnexpectedEof.into()) };
            }
            let line = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        let mut lines = lines.into_iter();
        let first = lines.next().ok_or(ErrorKind::InvalidData)?;
        let header = |line: String| {
            line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        };
        Ok(Some(Self { first, headers: lines.filter_map(header).collect() }))
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Removes headers.
    pub fn remove(&mut self, name: &str) {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    /// Sets a header.
    pub fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// Word number `place` of the first line.
    pub fn word(&self, place: usize) -> &str {
        self.first.split(' ').nth(place).unwrap_or_default()
    }

    /// How the end of the body is determined; `otherwise` if no header specifies it.
    pub fn framing(&self, otherwise: Framing) -> Framing {
        if self.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            Framing::Chunked
        } else {
            self.header("content-length")
                .and_then(|length| length.parse().ok())
                .map_or(otherwise, Framing::Length)
        }
    }

    /// The head in wire format.
    pub fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.first);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        text.into_bytes()
    }
}

/// Forwards a body as it arrives, at most `most` bytes. Returns whether it was complete.
pub async fn pass<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    from: &mut BufReader<R>,
    to: &mut W,
    framing: Framing,
    most: u64,
) -> io::Result<bool> {
    match framing {
        Framing::Length(length) => {
            let wanted = length.min(most);
            Ok(copy(from, to, wanted).await? == length)
        }
        Framing::Close => {
            copy(from, to, most).await?;
            Ok(false)
        }
        Framing::Chunked => {
            let mut left = most;
            loop {
                let mut line = Vec::new();
                from.read_until(b'\n', &mut line).await?;
                let digits = String::from_utf8_lossy(&line).trim().to_owned();
                let Ok(size) = u64::from_str_radix(&digits, 16) else { return Ok(false) };
                to.write_all(&line).await?;
                // Includes the line break after the chunk. After the last chunk there are no trailers, only the line
                // break.
                let wanted = size + 2;
                if copy(from, to, wanted.min(left)).await? < wanted {
                    return Ok(false);
                }
                left -= wanted;
                if size == 0 {
                    return Ok(true);
                }
            }
        }
    }
}

/// Copies and flushes immediately, like a proxy without buffering.
async fn copy<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    from: &mut BufReader<R>,
    to: &mut W,
    most: u64,
) -> io::Result<u64> {
    let copied = tokio::io::copy_buf(&mut from.take(most), to).await?;
    to.flush().await?;
    Ok(copied)
}

/// Reads a whole body and removes the chunk framing.
pub async fn whole<R: AsyncRead + Unpin>(from: &mut BufReader<R>, framing: Framing) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    pass(from, &mut bytes, framing, u64::MAX).await?;
    if framing != Framing::Chunked {
        return Ok(bytes);
    }
    let (mut plain, mut rest) = (Vec::new(), &bytes[..]);
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let digits = std::str::from_utf8(&rest[..end]).map_err(|_| ErrorKind::InvalidData)?;
        let size = usize::from_str_radix(digits.trim(), 16).map_err(|_| ErrorKind::InvalidData)?;
        let begin = end + 2;
        let chunk = rest.get(begin..begin + size).ok_or(ErrorKind::UnexpectedEof)?;
        plain.extend_from_slice(chunk);
        rest = rest.get(begin + size + 2..).unwrap_or_default();
        if size == 0 {
            break;
        }
    }
    Ok(plain)
}
