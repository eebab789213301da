//! Downloads: ranges, headers, and all faults that concern the body.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::answers::{Reply, error, no_collection, reply, set, text};
use super::body::ReplyBody;
use super::content::Content;
use super::effect::Effect;
use super::request::{Asked, Core};
use super::snapshots_api::missing;

const CHUNK_BYTES: u64 = 1 << 20;
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
/// Gives the client time to receive the data before a cut, so that it gets exactly this many bytes.
const BEFORE_CUT: Duration = Duration::from_millis(50);
/// How often a slow body sends data.
const SLOW_STEPS_PER_SECOND: u64 = 20;

/// `GET /collections/{c}/snapshots/{name}` and `…/shards/{id}/snapshots/{name}`
pub(crate) fn snapshot(core: &Arc<Core>, asked: &Asked) -> Reply {
    let state = core.state();
    if let Some(refused) = missing(&state, asked, "local or queue proxy") {
        return refused;
    }
    let snapshots = state.snapshots(asked.node, &asked.folder(&state));
    let Some(stored) = snapshots.into_iter().find(|stored| stored.name == asked.route.item) else {
        return text(404, format!("Not found: Snapshot {} not found", asked.route.item));
    };
    let size = stored.content.size_bytes();
    let disposition = format!("attachment; filename=\"{}\"", stored.name);
    if state.s3 {
        let body = Sending::new(stored.content, 0..size, &asked.effects);
        let mut streamed = reply(200, body.start_chunked());
        set(&mut streamed, "content-type", "application/octet-stream");
        set(&mut streamed, "content-disposition", &disposition);
        return streamed;
    }

    let ignored = asked.effects.iter().any(|effect| matches!(effect, Effect::IgnoreRange));
    let wanted = asked.headers.get("range").filter(|_| !ignored).and_then(|value| value.to_str().ok());
    // `If-Range` is ignored, like on the recorded server.
    let range = wanted.and_then(|range| parse_range(range, size));
    let mut answer = match range {
        Some(None) => {
            let mut answer = reply(416, ReplyBody::Full(Some(Bytes::new())));
            set(&mut answer, "content-range", &format!("bytes */{size}"));
            answer
        }
        Some(Some(range)) => {
            let content_range = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            let mut answer = sized(206, Sending::new(stored.content, range, &asked.effects));
            set(&mut answer, "content-range", &content_range);
            answer
        }
        None => sized(200, Sending::new(stored.content, 0..size, &asked.effects)),
    };
    let modified = stored.created_at.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    for (name, value) in [
        ("etag", stored.etag.as_str()),
        ("content-type", "application/octet-stream"),
        ("last-modified", modified.as_str()),
        ("accept-ranges", "bytes"),
        ("content-disposition", disposition.as_str()),
    ] {
        set(&mut answer, name, value);
    }
    for effect in &asked.effects {
        if let Effect::Header { name, value } = effect {
            answer.headers_mut().remove(*name);
            if let Some(value) = value {
                set(&mut answer, name, value);
            }
        }
    }
    answer
}

/// `GET /collections/{c}/shards/{id}/snapshot`: produced while it is sent, so without a length.
pub(crate) fn shard(core: &Arc<Core>, asked: &Asked) -> Reply {
    let state = core.state();
    let Some(collection) = state.find(&asked.route.collection) else {
        return no_collection(&asked.route.collection, asked.started);
    };
    let id = asked.route.shard.parse().ok();
    let local = collection.shards.iter().find(|shard| Some(shard.id) == id);
    let Some(shard) = local.filter(|shard| shard.has_replica_on(asked.node)) else {
        let message = format!("Not found: shard {} not found", asked.route.shard);
        return error(404, &message, asked.started);
    };
    let content = collection.shard_stream(shard.id);
    let time = state.clock.now().format("%Y-%m-%d-%H-%M-%S");
    let disposition =
        format!("attachment; filename=\"{}-shard-{}-{time}.snapshot\"", collection.name, shard.id);
    let size = content.size_bytes();
    let mut streamed = reply(200, Sending::new(content, 0..size, &asked.effects).start_chunked());
    set(&mut streamed, "content-type", "application/octet-stream");
    set(&mut streamed, "content-disposition", &disposition);
    streamed
}

fn sized(status: u16, sending: Sending) -> Reply {
    let length = sending.content_length.to_string();
    let mut answer = reply(status, sending.start());
    set(&mut answer, "content-length", &length);
    answer
}

/// `None`: no supported range, so the whole file. `Some(None)`: beyond the end.
fn parse_range(header: &str, size: u64) -> Option<Option<Range<u64>>> {
    let (from, to) = header.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (from.trim().parse::<u64>(), to.trim()) {
        (Ok(from), "") => from..size,
        (Ok(from), to) => from..to.parse::<u64>().ok()?.saturating_add(1).min(size),
        (Err(_), to) if from.is_empty() => size.saturating_sub(to.parse().ok()?)..size,
        (Err(_), _) => return None,
    };
    Some(Some(range).filter(|range| range.start < range.end))
}

/// A body that is being sent, with its faults.
struct Sending {
    content: Content,
    range: Range<u64>,
    zeros_after: u64,
    content_length: u64,
    truncate_after: Option<u64>,
    stall: Option<(u64, Option<Duration>)>,
    flip: Option<u64>,
    bytes_per_second: Option<u64>,
}

impl Sending {
    fn new(content: Content, range: Range<u64>, effects: &[Effect]) -> Sending {
        let mut sending = Sending {
            content_length: range.end - range.start,
            content,
            range,
            zeros_after: 0,
            truncate_after: None,
            stall: None,
            flip: None,
            bytes_per_second: None,
        };
        for effect in effects {
            match effect {
                Effect::TruncateAfter(bytes) => sending.truncate_after = Some(*bytes),
                Effect::StallAfter { bytes, lasting } => sending.stall = Some((*bytes, *lasting)),
                Effect::ContentLength(length) => sending.content_length = *length,
                Effect::BodyLength(length) => sending.resize(*length),
                Effect::FlipByte(offset) => sending.flip = Some(*offset),
                Effect::BytesPerSecond(rate) => sending.bytes_per_second = Some((*rate).max(1)),
                _ => {}
            }
        }
        sending
    }

    fn resize(&mut self, length: u64) {
        let whole = self.range.end - self.range.start;
        self.zeros_after = length.saturating_sub(whole);
        self.range.end = self.range.start + length.min(whole);
        self.content_length = length;
    }

    /// Without a content-length: the last chunk ends the body.
    fn start_chunked(self) -> ReplyBody {
        Sending { content_length: 0, ..self }.start()
    }

    fn start(self) -> ReplyBody {
        let (sender, receiver) = mpsc::channel(2);
        tokio::spawn(self.send(sender));
        ReplyBody::Stream(receiver)
    }

    async fn send(self, sender: mpsc::Sender<io::Result<Bytes>>) {
        let data = self.range.end - self.range.start;
        let begun = Instant::now();
        let mut sent = 0;
        let mut stall = self.stall;
        loop {
            if let Some((bytes, lasting)) = stall.filter(|(bytes, _)| sent >= *bytes) {
                if stop_sending(&sender, lasting).await {
                    return;
                }
                stall = stall.filter(|(after, _)| *after != bytes);
            }
            let all_sent = sent >= data + self.zeros_after;
            let too_short = all_sent && sent < self.content_length;
            if too_short || self.truncate_after.is_some_and(|after| sent >= after) {
                sleep(BEFORE_CUT).await;
                let cut = io::Error::new(io::ErrorKind::ConnectionAborted, "cut on purpose");
                // The client has already hung up.
                drop(sender.send(Err(cut)).await);
                return;
            }
            if all_sent {
                return;
            }
            let step = self.step_until(stall.map(|(bytes, _)| bytes), sent);
            let chunk = if sent < data {
                self.content.read_at(self.range.start + sent, step.min(data - sent) as usize)
            } else {
                let zeros = (ZEROS.len() as u64).min(step).min(data + self.zeros_after - sent);
                Ok(Bytes::from_static(&ZEROS).slice(..zeros as usize))
            };
            let chunk = chunk.map(|chunk| self.flipped(chunk, self.range.start + sent));
            sent += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
            if sender.send(chunk).await.is_err() {
                return;
            }
            if let Some(rate) = self.bytes_per_second {
                sleep_until(begun + Duration::from_secs_f64(sent as f64 / rate as f64)).await;
            }
        }
    }

    /// How many bytes to send next, up to the next fault.
    fn step_until(&self, stall_at: Option<u64>, sent: u64) -> u64 {
        let slow = self.bytes_per_second.map(|rate| (rate / SLOW_STEPS_PER_SECOND).max(1));
        let next = [stall_at, self.truncate_after].into_iter().flatten().map(|at| at.saturating_sub(sent));
        next.filter(|left| *left > 0).chain(slow).fold(CHUNK_BYTES, u64::min)
    }

    fn flipped(&self, chunk: Bytes, offset: u64) -> Bytes {
        let position = self.flip.and_then(|flip| flip.checked_sub(offset));
        let Some(position) = position.filter(|position| *position < chunk.len() as u64) else {
            return chunk;
        };
        let mut changed = BytesMut::from(chunk.as_ref());
        changed[position as usize] ^= 0xff;
        changed.freeze()
    }
}

/// Waits until a stall ends. Returns whether the client has disconnected.
async fn stop_sending(sender: &mpsc::Sender<io::Result<Bytes>>, lasting: Option<Duration>) -> bool {
    match lasting {
        None => sender.closed().await,
        Some(time) => tokio::select! {
            () = sender.closed() => {}
            () = sleep(time) => return false,
        },
    }
    true
}
