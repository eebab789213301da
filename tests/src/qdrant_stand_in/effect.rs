//! What can go wrong: the effects a fault can have, each on the requests it makes sense for.

use std::time::Duration;

use serde_json::{Value, json};

use super::content::Content;
use super::route::Endpoint;

/// An answer given instead of the server's own.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Headers besides `content-length`, `vary` and `date`.
    pub headers: Vec<(String, String)>,
    /// Body of the answer.
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

    /// With this JSON for a body.
    pub fn json(self, body: &Value) -> Answer {
        Answer { body: body.to_string(), ..self.with_content_type("application/json") }
    }

    /// With this plain text for a body, as proxies answer.
    pub fn text(self, body: &str) -> Answer {
        Answer { body: body.to_owned(), ..self.with_content_type("text/plain; charset=utf-8") }
    }

    /// With this header as well.
    pub fn header(mut self, name: &str, value: &str) -> Answer {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With `Retry-After`: seconds or an HTTP date.
    pub fn retry_after(self, value: &str) -> Answer {
        self.header("retry-after", value)
    }

    fn with_content_type(mut self, content_type: &str) -> Answer {
        self.headers.retain(|(name, _)| name != "content-type");
        self.header("content-type", content_type)
    }
}

/// How the client loses contact with a creation that continues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The connection closes without an answer.
    HangUp,
    /// A proxy answers this status (502, 503, 504).
    Status(u16),
    /// Nothing comes, and the connection stays open.
    Silence,
}

/// What a fault does. The comments say to which requests each applies.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Any request: this answer, and nothing done.
    Answer(Answer),
    /// Any request: the connection closes before an answer, and nothing is done.
    HangUp,
    /// Any request: no answer ever, and nothing done.
    NeverAnswer,
    /// Any request: the server is killed right before, as [`super::StandIn::go_down`] does.
    Dies,
    /// Any request: handled normally, but only after this time.
    Delay(Duration),
    /// Any request: handled normally, and answered with this, as a proxy does that loses the server's answer.
    AnswerAfter(Answer),
    /// Any request: handled normally, and the answer's `date` says this, as behind a proxy with a clock of its own.
    Date(String),
    /// Requests that name a collection: somebody drops it right before.
    DropCollection,
    /// Requests that name a snapshot: somebody deletes it right before.
    DeleteSnapshot,

    /// Downloads: the connection closes after so many bytes of the body.
    TruncateAfter(u64),
    /// Downloads: nothing more comes after so many bytes, for this time or for ever.
    StallAfter {
        /// How many bytes come before.
        bytes: u64,
        /// For how long; `None` is for ever.
        lasting: Option<Duration>,
    },
    /// Downloads: `content-length` says this. The body stays; where it is shorter, the connection closes.
    ContentLength(u64),
    /// Downloads: the body is cut or filled with zeros to this length, and `content-length` agrees.
    BodyLength(u64),
    /// Downloads: the bits of the byte at this offset of the file are flipped.
    FlipByte(u64),
    /// Downloads: so many bytes a second.
    BytesPerSecond(u64),
    /// Downloads: `Range` is ignored, so the whole file comes.
    IgnoreRange,
    /// Downloads: this header says this, or is not there.
    Header {
        /// Name of the header.
        name: &'static str,
        /// Value instead of the real one; none removes the header.
        value: Option<String>,
    },

    /// Creation: it takes this long. It continues if the client hangs up; the name has the time of the beginning.
    CreationTakes(Duration),
    /// Creation: the client loses contact with it.
    CreationCut {
        /// What the client sees, at once.
        cut: Cut,
        /// When the snapshot is in the list after all; `None` is never.
        appears_after: Option<Duration>,
    },
    /// Creation: the recorded 500 of a full disk; nothing is kept.
    CreationNoSpace,
    /// Creation: this checksum in the response (and only there), or none.
    CreationChecksum(Option<String>),
    /// Creation: this size in the response, and only there.
    CreationSize(u64),
    /// Creation: this snapshot's content, whatever the collection's is.
    CreationContent(Content),
    /// Creation: the snapshot holds so many points, whatever is counted: others write to the collection meanwhile.
    CreationHoldsPoints(u64),
    /// Creation: another tool's snapshot is in the list before ours is.
    AnotherSnapshotAppears {
        /// When it was begun against our request, in seconds: 0 gives the same name as ours, and ours
        /// replaces it.
        seconds_after_request: i64,
        /// Contents of that snapshot.
        content: Content,
    },
    /// Creation: right after the response was made, another creation in the same second replaces our
    /// file: same name, this content, another checksum.
    ReplacedAfterCreation(Content),

    /// `GET /collections`: none are listed.
    NoCollections,
    /// Counting: this number.
    PointsCount(u64),

    /// Upload: the recorded 500 of a full disk; nothing is kept.
    UploadNoSpace,
    /// Upload: once the file is whole a proxy answers this, and the server begins to restore it after this time.
    UploadCut {
        /// The proxy's status.
        status: u16,
        /// When the restore begins.
        begins_after: Duration,
        /// How long it takes.
        takes: Duration,
    },
    /// Upload: the restored collection has so many points fewer.
    RestoredLacksPoints(u64),
    /// Upload: so many polls of `…/cluster` show `Dead` replicas, and the count is 0 meanwhile.
    ReplicasDeadForPolls(u32),
    /// Upload: so many polls of the collection show updates in its queue, and half of the points are counted meanwhile.
    UpdatesQueuedForPolls(u32),
    /// Upload: the restored point at this index has another vector than the original.
    RestoredVectorDiffers(u64),
}

impl Effect {
    /// Whether the effect has a meaning for requests to this endpoint.
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

    /// Whether the effect is the whole answer, so that no other one can show.
    pub(crate) fn is_whole_answer(&self) -> bool {
        matches!(self, Effect::Answer(_) | Effect::HangUp | Effect::NeverAnswer | Effect::Dies)
    }
}

fn downloads(endpoint: Endpoint) -> bool {
    matches!(endpoint, Endpoint::DownloadSnapshot | Endpoint::DownloadShardSnapshot | Endpoint::ShardSnapshot)
}
