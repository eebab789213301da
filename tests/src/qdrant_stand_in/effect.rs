//! The effects that a fault can have, each for the requests to which it applies.

use std::time::Duration;

use serde_json::{Value, json};

use super::content::Content;
use super::route::Endpoint;

/// An answer that replaces the server's answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Headers besides `content-length`, `vary` and `date`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// This status with an error body in Qdrant's form.
    pub fn status(status: u16) -> Answer {
        let error = json!({ "status": { "error": format!("answered {status} on purpose") }, "time": 0.0 });
        Answer { status, headers: Vec::new(), body: String::new() }.json(&error)
    }

    /// This status without a body.
    pub fn empty(status: u16) -> Answer {
        Answer { status, headers: Vec::new(), body: String::new() }
    }

    /// A redirect to another URL, with status 301, 302, 307 or 308.
    pub fn redirect(status: u16, location: &str) -> Answer {
        Answer::empty(status).header("location", location)
    }

    /// Sets a JSON body.
    pub fn json(self, body: &Value) -> Answer {
        Answer { body: body.to_string(), ..self.with_content_type("application/json") }
    }

    /// Sets a plain text body, as proxies use.
    pub fn text(self, body: &str) -> Answer {
        Answer { body: body.to_owned(), ..self.with_content_type("text/plain; charset=utf-8") }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Answer {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds `Retry-After`: seconds or an HTTP date.
    pub fn retry_after(self, value: &str) -> Answer {
        self.header("retry-after", value)
    }

    fn with_content_type(mut self, content_type: &str) -> Answer {
        self.headers.retain(|(name, _)| name != "content-type");
        self.header("content-type", content_type)
    }
}

/// How the client loses the connection to a creation that continues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The connection closes without an answer.
    HangUp,
    /// A proxy answers this status (502, 503, 504).
    Status(u16),
    /// No answer, and the connection stays open.
    Silence,
}

/// What a fault does. The comments say to which requests each effect applies.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Any request: this answer; nothing is done.
    Answer(Answer),
    /// Any request: the connection closes before an answer; nothing is done.
    HangUp,
    /// Any request: no answer ever; nothing is done.
    NeverAnswer,
    /// Any request: the server is killed just before it, like [`super::StandIn::go_down`].
    Dies,
    /// Any request: handled normally, but after this delay.
    Delay(Duration),
    /// Any request: handled normally, but this is the answer, as if a proxy lost the server's answer.
    AnswerAfter(Answer),
    /// Any request: handled normally, with this `date` header, as if a proxy had a different clock.
    Date(String),
    /// Requests with a collection in the path: the collection is dropped just before.
    DropCollection,
    /// Requests with a snapshot in the path: the snapshot is deleted just before.
    DeleteSnapshot,

    /// Downloads: the connection closes after this many bytes of the body.
    TruncateAfter(u64),
    /// Downloads: the body stalls after some bytes, temporarily or forever.
    StallAfter {
        /// The number of bytes before the stall.
        bytes: u64,
        /// The duration. `None` is forever.
        lasting: Option<Duration>,
    },
    /// Downloads: sets `content-length`. The body does not change; if it is shorter, the connection closes at its
    /// end.
    ContentLength(u64),
    /// Downloads: the body is truncated or padded with zeros to this length, and `content-length` matches.
    BodyLength(u64),
    /// Downloads: inverts the bits of the byte at this offset of the file.
    FlipByte(u64),
    /// Downloads: this many bytes per second.
    BytesPerSecond(u64),
    /// Downloads: ignores `Range` and sends the whole file.
    IgnoreRange,
    /// Downloads: replaces or removes this header.
    Header {
        /// Name of the header.
        name: &'static str,
        /// The value. None removes the header.
        value: Option<String>,
    },

    /// Creation: takes this long, and continues if the client hangs up. The name contains the start time.
    CreationTakes(Duration),
    /// Creation: the client loses the connection.
    CreationCut {
        /// What the client sees immediately.
        cut: Cut,
        /// When the snapshot appears in the list. `None` is never.
        appears_after: Option<Duration>,
    },
    /// Creation: the recorded 500 of a full disk; nothing is kept.
    CreationNoSpace,
    /// Creation: this checksum (or none) in the response only.
    CreationChecksum(Option<String>),
    /// Creation: this size in the response only.
    CreationSize(u64),
    /// Creation: this content instead of the collection's.
    CreationContent(Content),
    /// Creation: the snapshot contains this many points, whatever a count returns, as if other clients wrote at the
    /// same time.
    CreationHoldsPoints(u64),
    /// Creation: another tool's snapshot appears in the list before ours.
    AnotherSnapshotAppears {
        /// Its start relative to our request in seconds. With 0 it has the same name as ours, and ours replaces it.
        seconds_after_request: i64,
        /// Its content.
        content: Content,
    },
    /// Creation: right after the response, another creation in the same second replaces our file: same name, this
    /// content, another checksum.
    ReplacedAfterCreation(Content),

    /// `GET /collections`: returns an empty list.
    NoCollections,
    /// Counting: returns this number.
    PointsCount(u64),

    /// Upload: the recorded 500 of a full disk; nothing is kept.
    UploadNoSpace,
    /// Upload: after the file has arrived, a proxy sends this answer, and the server starts the restore after a
    /// delay.
    UploadCut {
        /// The proxy's status.
        status: u16,
        /// The delay before the restore starts.
        begins_after: Duration,
        /// The duration of the restore.
        takes: Duration,
    },
    /// Upload: the restored collection has this many points fewer.
    RestoredLacksPoints(u64),
    /// Upload: for this many polls of `…/cluster` the replicas are `Dead` and the count is 0.
    ReplicasDeadForPolls(u32),
    /// Upload: for this many polls the collection has queued updates and counts half of its points.
    UpdatesQueuedForPolls(u32),
    /// Upload: the restored point at this index has a different vector.
    RestoredVectorDiffers(u64),
}

impl Effect {
    /// Whether the effect applies to requests to this endpoint.
    pub(crate) fn applies_to(&self, endpoint: Endpoint) -> bool {
        match self {
            Effect::Answer(_)
            | Effect::HangUp
            | Effect::NeverAnswer
            | Effect::Dies
            | Effect::Delay(_)
            | Effect::AnswerAfter(_)
            | Effect::Date(_)
            | Effect::DropCollection => true,
            Effect::DeleteSnapshot => {
                downloads(endpoint)
                    || matches!(endpoint, Endpoint::DeleteSnapshot | Endpoint::DeleteShardSnapshot)
            }
            Effect::TruncateAfter(_)
            | Effect::StallAfter { .. }
            | Effect::ContentLength(_)
            | Effect::BodyLength(_)
            | Effect::FlipByte(_)
            | Effect::BytesPerSecond(_)
            | Effect::IgnoreRange
            | Effect::Header { .. } => downloads(endpoint),
            Effect::CreationTakes(_)
            | Effect::CreationCut { .. }
            | Effect::CreationNoSpace
            | Effect::CreationChecksum(_)
            | Effect::CreationSize(_)
            | Effect::CreationContent(_)
            | Effect::CreationHoldsPoints(_)
            | Effect::AnotherSnapshotAppears { .. }
            | Effect::ReplacedAfterCreation(_) => {
                matches!(endpoint, Endpoint::CreateSnapshot | Endpoint::CreateShardSnapshot)
            }
            Effect::NoCollections => endpoint == Endpoint::Collections,
            Effect::PointsCount(_) => endpoint == Endpoint::CountPoints,
            Effect::UploadNoSpace
            | Effect::UploadCut { .. }
            | Effect::RestoredLacksPoints(_)
            | Effect::ReplicasDeadForPolls(_)
            | Effect::UpdatesQueuedForPolls(_)
            | Effect::RestoredVectorDiffers(_) => {
                matches!(endpoint, Endpoint::UploadSnapshot | Endpoint::UploadShardSnapshot)
            }
        }
    }

    /// Whether the effect replaces the whole answer, so that no other effect can be visible.
    pub(crate) fn is_whole_answer(&self) -> bool {
        matches!(self, Effect::Answer(_) | Effect::HangUp | Effect::NeverAnswer | Effect::Dies)
    }
}

fn downloads(endpoint: Endpoint) -> bool {
    matches!(endpoint, Endpoint::DownloadSnapshot | Endpoint::DownloadShardSnapshot | Endpoint::ShardSnapshot)
}
