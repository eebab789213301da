//! Faults between the program and a server.

/// Error statuses of proxies and Qdrant.
pub const STATUSES: [u16; 26] = [
    400, 401, 403, 404, 405, 408, 409, 413, 418, 421, 422, 429, 431, 451, 499, 500, 501, 502, 503, 504, 507,
    508, 520, 522, 524, 530,
];

const REDIRECTS: [u16; 4] = [301, 302, 307, 308];
const POINTS: [Point; 5] = [Point::Nothing, Point::Head, Point::FirstByte, Point::Half, Point::LastByte];

/// A fault and when it applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The fault.
    pub what: What,
    /// Whether the server processes the request first.
    pub forwarded: bool,
    /// Whether the fault continues for all later requests.
    pub lasting: bool,
}

/// How much had been transferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// Nothing.
    Nothing,
    /// A part of the headers.
    Head,
    /// One byte of the body.
    FirstByte,
    /// Half of the body.
    Half,
    /// All but the last byte.
    LastByte,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The connection is reset after this part of the request's body.
    CutRequest(Point),
    /// The connection is closed without notice after the answer, so that the next request fails.
    CloseAfter,
    /// Connections are refused.
    Refuse,
    /// This status instead of the answer.
    Status(u16),
    /// A redirect to another host.
    Redirect(u16),
    /// The connection is reset after this part of the answer.
    Reset(Point),
    /// The connection is closed normally after this part of the answer.
    Close(Point),
    /// The answer stops after this part, and the connection stays open.
    Stall(Point),
    /// A few bytes arrive one by one, with long pauses.
    Trickle,
    /// A content-length that is larger than the body.
    LengthTooLarge,
    /// A content-length that is smaller than the body.
    LengthTooSmall,
    /// No content-length; the body ends with the connection.
    NoLength,
    /// Content-length and chunks that contradict each other.
    BothLengths,
    /// Endless chunks.
    Endless,
    /// A content-length of 10 GB, and that many bytes.
    Huge,
    /// The right content-length, followed by 10 GB more.
    Overrun,
    /// A chunk whose size is not a number.
    BrokenChunk,
    /// Declared as compressed, but not compressed.
    GzipSaid,
    /// Compressed although not requested.
    GzipDone,
    /// An answer in HTTP/1.0.
    Http10,
    /// Many interim answers before the real one.
    ContinueOften,
    /// An interim answer and nothing after it.
    ContinueOnly,
    /// A switch to another protocol.
    Upgrade,
    /// A header of 64 KiB.
    LongHeader,
    /// 10,000 headers.
    ManyHeaders,
    /// Not HTTP at all.
    Garbage,
    /// A web page, with 200.
    Html,
    /// An empty body with 200.
    Empty,
    /// No content, with 204.
    NoContent,
    /// JSON of another shape with 200.
    WrongShape,
    /// A valid answer of another request, with `null` as result.
    NullResult,
    /// Half of the body with a matching content-length.
    CutBody,
    /// JSON that is nested too deeply.
    Deep,
    /// The answer, sent twice.
    Twice,
}

impl What {
    /// Whether it applies only to requests with a body.
    pub fn is_of_body(self) -> bool {
        matches!(self, Self::CutRequest(_))
    }

    /// Whether it sends endless data, so that memory must be watched.
    pub fn has_no_end(self) -> bool {
        matches!(self, Self::Endless | Self::Huge | Self::Overrun | Self::ManyHeaders | Self::LongHeader)
    }

    /// Whether it needs the server's own answer.
    fn is_of_answer(self) -> bool {
        use What::*;
        match self {
            Reset(point) | Close(point) | Stall(point) => point != Point::Nothing,
            Trickle | LengthTooLarge | LengthTooSmall | NoLength | BothLengths | Overrun | BrokenChunk
            | GzipSaid | GzipDone | Http10 | ContinueOften | LongHeader | ManyHeaders | CutBody | Twice
            | CloseAfter => true,
            CutRequest(_) | Refuse | Status(_) | Redirect(_) | Endless | Huge | ContinueOnly | Upgrade
            | Garbage | Html | Empty | NoContent | WrongShape | NullResult | Deep => false,
        }
    }

    /// Every fault except the statuses.
    fn shapes() -> Vec<What> {
        use What::*;
        let mut all =
            vec![CutRequest(Point::FirstByte), CutRequest(Point::Half), CutRequest(Point::LastByte)];
        all.extend(REDIRECTS.map(Redirect));
        all.extend(POINTS.map(Reset));
        all.extend([Point::Nothing, Point::Half].map(Close));
        all.extend([Point::Nothing, Point::Head, Point::Half].map(Stall));
        all.extend([
            CloseAfter,
            Refuse,
            Trickle,
            LengthTooLarge,
            LengthTooSmall,
            NoLength,
            BothLengths,
            Endless,
            Huge,
            Overrun,
            BrokenChunk,
            GzipSaid,
            GzipDone,
            Http10,
            ContinueOften,
            ContinueOnly,
            Upgrade,
            LongHeader,
            ManyHeaders,
            Garbage,
            Html,
            Empty,
            NoContent,
            WrongShape,
            NullResult,
            CutBody,
            Deep,
            Twice,
        ]);
        all
    }
}

impl Fault {
    /// Every fault in an answer or connection, applied once.
    pub fn shapes() -> Vec<Fault> {
        What::shapes().into_iter().flat_map(Fault::each).collect()
    }

    /// Every status, before and after the server processes the request.
    pub fn statuses() -> Vec<Fault> {
        STATUSES.into_iter().flat_map(|status| Fault::each(What::Status(status))).collect()
    }

    /// Applied once, before and after the server processes the request where both make sense.
    pub fn each(what: What) -> Vec<Fault> {
        let before = Fault { what, forwarded: false, lasting: false };
        let after = Fault { what, forwarded: true, lasting: false };
        match what {
            _ if what.is_of_answer() => vec![after],
            What::CutRequest(_) | What::Refuse => vec![before],
            _ => vec![before, after],
        }
    }

    /// The same fault, for all later requests too.
    pub fn lasting(self) -> Fault {
        Fault { lasting: true, ..self }
    }
}
