//! What can go wrong between the program and a server.

/// The statuses that proxies and Qdrant refuse with.
pub const STATUSES: [u16; 26] = [
    400, 401, 403, 404, 405, 408, 409, 413, 418, 421, 422, 429, 431, 451, 499, 500, 501, 502, 503, 504, 507,
    508, 520, 522, 524, 530,
];

const REDIRECTS: [u16; 4] = [301, 302, 307, 308];
const POINTS: [Point; 5] = [Point::Nothing, Point::Head, Point::FirstByte, Point::Half, Point::LastByte];

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What goes wrong.
    pub what: What,
    /// Whether the server does the request first.
    pub forwarded: bool,
    /// Whether it continues for all later requests.
    pub lasting: bool,
}

/// How much had come.
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
    /// The connection is reset when so much of the request's body has come.
    CutRequest(Point),
    /// The connection is closed after the answer without notice, so that the next request fails.
    CloseAfter,
    /// Nobody listens any more.
    Refuse,
    /// This status instead of the answer.
    Status(u16),
    /// To another host.
    Redirect(u16),
    /// The connection is reset when so much of the answer was sent.
    Reset(Point),
    /// The connection is closed as if all were well.
    Close(Point),
    /// Nothing more comes, for ever.
    Stall(Point),
    /// A few bytes come one by one, with long pauses.
    Trickle,
    /// A content-length that is larger than the body.
    LengthTooLarge,
    /// One that is smaller.
    LengthTooSmall,
    /// No content-length; the end of the connection is the end.
    NoLength,
    /// Content-length and chunks, which disagree.
    BothLengths,
    /// Chunks that never end.
    Endless,
    /// A content-length of 10 GB, and as many bytes.
    Huge,
    /// The right content-length, and after it 10 GB more.
    Overrun,
    /// A chunk whose size is no number.
    BrokenChunk,
    /// Announced as compressed, but is not.
    GzipSaid,
    /// Compressed, though not requested.
    GzipDone,
    /// In HTTP/1.0.
    Http10,
    /// Interim answers before the real one: many.
    ContinueOften,
    /// An interim answer, and nothing after it.
    ContinueOnly,
    /// A switch to another protocol.
    Upgrade,
    /// A header of 64 KiB.
    LongHeader,
    /// 10,000 headers.
    ManyHeaders,
    /// No HTTP at all.
    Garbage,
    /// A web page, with 200.
    Html,
    /// Nothing, with 200.
    Empty,
    /// No content, with 204.
    NoContent,
    /// JSON of another kind, with 200.
    WrongShape,
    /// The answer of another request, with `null` for a result.
    NullResult,
    /// Half of the body, with the right length of that.
    CutBody,
    /// JSON that is too deep.
    Deep,
    /// The answer twice.
    Twice,
}

impl What {
    /// Whether it can only happen to a request with a body.
    pub fn is_of_body(self) -> bool {
        matches!(self, Self::CutRequest(_))
    }

    /// Whether bytes come without an end, so that memory has to be watched.
    pub fn has_no_end(self) -> bool {
        matches!(self, Self::Endless | Self::Huge | Self::Overrun | Self::ManyHeaders | Self::LongHeader)
    }

    /// Whether the server's own answer is needed for it.
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

    /// Everything but the statuses.
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
    /// Every shape of an answer or of a connection that is wrong, happening once.
    pub fn shapes() -> Vec<Fault> {
        What::shapes().into_iter().flat_map(Fault::each).collect()
    }

    /// Every status, before the server did it and after.
    pub fn statuses() -> Vec<Fault> {
        STATUSES.into_iter().flat_map(|status| Fault::each(What::Status(status))).collect()
    }

    /// Once, before the server did anything and after it did, where both can be.
    pub fn each(what: What) -> Vec<Fault> {
        let before = Fault { what, forwarded: false, lasting: false };
        let after = Fault { what, forwarded: true, lasting: false };
        match what {
            _ if what.is_of_answer() => vec![after],
            What::CutRequest(_) | What::Refuse => vec![before],
            _ => vec![before, after],
        }
    }

    /// The same from then on.
    pub fn lasting(self) -> Fault {
        Fault { lasting: true, ..self }
    }
}
