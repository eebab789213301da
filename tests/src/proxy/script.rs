//! The steps that replace an answer (no I/O).

use std::io::Write;
use std::time::Duration;

use super::fault::{Fault, Point, What};
use super::message::Head;

/// Size of fake answers of several gigabytes, of which a client must read only a little.
const HUGE: u64 = 10 << 30;
/// The pause between single bytes.
pub const PAUSE: Duration = Duration::from_millis(700);
/// The number of single bytes.
const TRICKLING: usize = 4;
/// The number of interim answers in a row.
const INTERIMS: usize = 50;
/// Nested deeper than any answer of Qdrant.
const DEPTH: usize = 100;
/// The length of a long header, and the number of headers.
const LONG: usize = 64 << 10;
const MANY: usize = 10_000;

/// The server's complete answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// Status line and headers.
    pub head: Head,
    /// Its body without chunk framing.
    pub body: Vec<u8>,
}

/// One step on the client's connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// These bytes.
    Send(Vec<u8>),
    /// Wait before the next step.
    Pause,
    /// This many zeros.
    Zeros(u64),
    /// Endless chunks.
    Chunks,
    /// Nothing, until the client closes the connection.
    Silence,
    /// The connection is reset.
    Reset,
    /// The connection is closed.
    Close,
}

/// The steps for a fault, from the server's answer if it was asked. `elsewhere` is the target of redirects.
pub fn script(fault: &Fault, answer: Option<&Response>, elsewhere: &str) -> Vec<Step> {
    let made = Response::json(200, "{\"result\":true,\"status\":\"ok\",\"time\":0.0}");
    let real = answer.unwrap_or(&made);
    let (head, body) = (real.sized(real.body.len() as u64).bytes(), real.body.clone());
    let whole = [head.clone(), body.clone()].concat();
    let closing = |bytes: Vec<u8>| vec![Step::Send(bytes), Step::Close];
    let text =
        |status: u16, kind: &str, text: &str| vec![Step::Send(Response::of(status, kind, text).bytes())];
    match fault.what {
        What::CutRequest(_) | What::Refuse => vec![Step::Reset],
        What::CloseAfter => closing(whole),
        What::Status(status) => {
            let message = format!("{{\"status\":{{\"error\":\"a proxy says {status}\"}},\"time\":0.0}}");
            text(status, "application/json", &message)
        }
        What::Redirect(status) => {
            let mut response = Response::of(status, "text/html", "<html>moved</html>");
            response.head.set("location", &format!("{elsewhere}/collections"));
            vec![Step::Send(response.bytes())]
        }
        What::Reset(point) => vec![Step::Send(until(&head, &body, point)), Step::Reset],
        What::Close(point) => closing(until(&head, &body, point)),
        What::Stall(point) => vec![Step::Send(until(&head, &body, point)), Step::Silence],
        What::Trickle => {
            let slow = TRICKLING.min(body.len());
            let mut steps = vec![Step::Send(head)];
            for byte in &body[..slow] {
                steps.extend([Step::Send(vec![*byte]), Step::Pause]);
            }
            steps.push(Step::Send(body[slow..].to_vec()));
            steps
        }
        What::LengthTooLarge => closing([real.sized(body.len() as u64 + 10).bytes(), body].concat()),
        What::LengthTooSmall => {
            closing([real.sized((body.len() as u64).saturating_sub(10)).bytes(), body].concat())
        }
        What::NoLength => {
            let mut head = real.sized(0);
            head.remove("content-length");
            closing([head.bytes(), body].concat())
        }
        What::BothLengths => {
            let mut head = real.sized(body.len() as u64 / 2);
            head.set("transfer-encoding", "chunked");
            closing(
                [head.bytes(), format!("{:x}\r\n", body.len()).into_bytes(), body, b"\r\n0\r\n\r\n".to_vec()]
                    .concat(),
            )
        }
        What::Endless => vec![Step::Send(real.chunked().bytes()), Step::Chunks],
        What::Huge => vec![Step::Send(real.sized(HUGE).bytes()), Step::Zeros(HUGE)],
        What::Overrun => vec![Step::Send(whole), Step::Zeros(HUGE)],
        What::BrokenChunk => {
            let first = body.len() / 2;
            let begun =
                [format!("{first:x}\r\n").into_bytes(), body[..first].to_vec(), b"\r\n".to_vec()].concat();
            closing([real.chunked().bytes(), begun, b"many\r\nrest".to_vec()].concat())
        }
        What::GzipSaid => vec![Step::Send([real.with("content-encoding", "gzip"), body].concat())],
        What::GzipDone => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            let packed = encoder.write_all(&body).and_then(|()| encoder.finish()).unwrap_or_default();
            let mut head = real.sized(packed.len() as u64);
            head.set("content-encoding", "gzip");
            vec![Step::Send([head.bytes(), packed].concat())]
        }
        What::Http10 => {
            let mut head = real.sized(body.len() as u64);
            head.first = head.first.replacen("HTTP/1.1", "HTTP/1.0", 1);
            closing([head.bytes(), body].concat())
        }
        What::ContinueOften => {
            vec![Step::Send([b"HTTP/1.1 100 Continue\r\n\r\n".repeat(INTERIMS), whole].concat())]
        }
        What::ContinueOnly => vec![Step::Send(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()), Step::Close],
        What::Upgrade => closing(
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n".to_vec(),
        ),
        What::LongHeader => {
            vec![Step::Send([real.with("x-long", &"x".repeat(LONG)), body].concat())]
        }
        What::ManyHeaders => {
            let mut head = real.sized(body.len() as u64);
            head.headers.extend((0..MANY).map(|number| (format!("x-{number}"), "x".to_owned())));
            vec![Step::Send([head.bytes(), body].concat())]
        }
        What::Garbage => closing(b"\x16\x03\x01 SSH-2.0 what?\r\n\0\0\0\xff\xfe\r\n\r\n".to_vec()),
        What::Html => text(200, "text/html", "<html><body>Please log in</body></html>"),
        What::Empty => text(200, "application/json", ""),
        What::NoContent => vec![Step::Send(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec())],
        What::WrongShape => {
            text(200, "application/json", "{\"result\":[[\"what\",{\"is\":7}]],\"status\":[],\"time\":\"x\"}")
        }
        What::NullResult => text(200, "application/json", "{\"result\":null,\"status\":\"ok\",\"time\":0.0}"),
        What::CutBody => {
            let half = body[..body.len() / 2].to_vec();
            vec![Step::Send([real.sized(half.len() as u64).bytes(), half].concat())]
        }
        What::Deep => {
            let deep = format!(
                "{{\"result\":{}{},\"status\":\"ok\",\"time\":0.0}}",
                "[".repeat(DEPTH),
                "]".repeat(DEPTH)
            );
            text(200, "application/json", &deep)
        }
        What::Twice => vec![Step::Send([whole.clone(), whole].concat())],
    }
}

impl Response {
    /// A fake answer.
    fn of(status: u16, kind: &str, body: &str) -> Self {
        let mut head = Head { first: format!("HTTP/1.1 {status} Made up"), headers: Vec::new() };
        head.set("content-type", kind);
        Self { head, body: body.as_bytes().to_vec() }
    }

    fn json(status: u16, body: &str) -> Self {
        Self::of(status, "application/json", body)
    }

    /// The head with that content-length.
    fn sized(&self, length: u64) -> Head {
        let mut head = self.head.clone();
        for name in ["transfer-encoding", "connection", "keep-alive"] {
            head.remove(name);
        }
        head.set("content-length", &length.to_string());
        head
    }

    fn chunked(&self) -> Head {
        let mut head = self.sized(0);
        head.remove("content-length");
        head.set("transfer-encoding", "chunked");
        head
    }

    fn with(&self, name: &str, value: &str) -> Vec<u8> {
        let mut head = self.sized(self.body.len() as u64);
        head.set(name, value);
        head.bytes()
    }

    fn bytes(&self) -> Vec<u8> {
        [self.sized(self.body.len() as u64).bytes(), self.body.clone()].concat()
    }
}

/// The answer up to this point.
fn until(head: &[u8], body: &[u8], point: Point) -> Vec<u8> {
    let of_body = match point {
        Point::Nothing => return Vec::new(),
        Point::Head => return head[..head.len() / 2].to_vec(),
        Point::FirstByte => body.len().min(1),
        Point::Half => body.len() / 2,
        Point::LastByte => body.len().saturating_sub(1),
    };
    [head, &body[..of_body]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_goes_wrong_looks_like_the_right_answer() {
        let answer = Response::json(200, "{\"result\":{\"points\":[1,2,3]},\"status\":\"ok\",\"time\":0.1}");
        let right = vec![Step::Send(answer.bytes())];
        for fault in Fault::shapes().into_iter().chain(Fault::statuses()) {
            assert_ne!(script(&fault, Some(&answer), "http://elsewhere"), right, "{fault:?}");
        }
    }
}
