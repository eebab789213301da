//! All points of a collection in the order of their ids, page by page, read ahead.

use std::num::NonZeroU32;
use std::time::Duration;

use qdrant_backup_shared::CollectionName;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::error::PointsError;
use super::page_size::PageSize;
use super::point::Point;
use crate::qdrant::{Client, Error, Page, PageWanted};

/// So many pages wait to be taken, besides the one that is being read.
const READ_AHEAD: usize = 1;
/// How long together a busy server may have one page wait.
pub const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Points in the order of their ids, page by page.
pub trait Pages: Send {
    /// The next page, which has points; nothing at the end.
    fn next(&mut self) -> impl Future<Output = Result<Option<Vec<Point>>, PointsError>> + Send;
}

/// The pages of a collection on a server.
#[derive(Debug)]
pub struct ServerPages {
    pages: mpsc::Receiver<Result<Vec<Point>, PointsError>>,
    reading: JoinHandle<()>,
}

/// What is read of a collection, and how fast.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Only points that this filter lets through.
    pub filter: Option<Value>,
    /// At most so many points a second.
    pub most_a_second: Option<NonZeroU32>,
}

impl ServerPages {
    /// Begins to read.
    pub fn read(client: Client, collection: CollectionName, reading: Reading) -> Self {
        let (sender, pages) = mpsc::channel(READ_AHEAD);
        let reading = tokio::spawn(async move {
            let mut source = Source { client, collection, size: PageSize::default(), next: None, reading };
            loop {
                let page = source.page().await;
                let is_last = !matches!(&page, Ok((_, true)));
                let page = page.map(|(points, _)| points);
                // Nobody takes it any more.
                if sender.send(page).await.is_err() || is_last {
                    break;
                }
            }
        });
        Self { pages, reading }
    }
}

impl Pages for ServerPages {
    async fn next(&mut self) -> Result<Option<Vec<Point>>, PointsError> {
        loop {
            match self.pages.recv().await.transpose()? {
                Some(page) if page.is_empty() => {}
                other => return Ok(other),
            }
        }
    }
}

impl Drop for ServerPages {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

struct Source {
    client: Client,
    collection: CollectionName,
    size: PageSize,
    next: Option<Value>,
    reading: Reading,
}

impl Source {
    /// The next page, and whether there is another one.
    async fn page(&mut self) -> Result<(Vec<Point>, bool), PointsError> {
        let begun = Instant::now();
        let page = self.ask().await?;
        self.size.was(page.points.len(), page.size_bytes);
        self.next = page.next;
        let points = page.points.into_iter().map(Point::of).collect::<Result<Vec<_>, _>>()?;
        if let Some(most) = self.reading.most_a_second {
            let count = u32::try_from(points.len()).unwrap_or(u32::MAX);
            let due = Duration::from_secs_f64(f64::from(count) / f64::from(most.get()));
            self.client.pause(due.saturating_sub(begun.elapsed())).await?;
        }
        Ok((points, self.next.is_some()))
    }

    async fn ask(&mut self) -> Result<Page, Error> {
        let (mut retries, mut patience) = (0, PATIENCE);
        loop {
            let limit = match self.reading.most_a_second {
                // A page a second at least, so that it is a flow and no pulse.
                Some(most) => self.size.points().min(usize::try_from(most.get()).unwrap_or(usize::MAX)),
                None => self.size.points(),
            };
            let wanted = PageWanted { from: self.next.clone(), limit, filter: self.reading.filter.clone() };
            let error = match self.client.page(&self.collection, &wanted).await {
                Ok(page) => return Ok(page),
                Err(error) => error,
            };
            if may_be_too_much(&error) && self.size.was_too_much() {
                tracing::debug!("{error}; asking for {} points at a time", self.size.points());
                continue;
            }
            self.client.wait_after(error, &mut retries, &mut patience).await?;
        }
    }
}

/// Whether fewer points at a time may do: also where an answer was too long for us, or took too long.
pub fn may_be_too_much(error: &Error) -> bool {
    error.is_too_much() || matches!(error, Error::Unexpected { .. } | Error::Timeout { .. })
}
