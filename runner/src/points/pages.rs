//! Reads all points of a collection in the order of ids, page by page, ahead of the consumer.

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

/// Number of pages read ahead.
const READ_AHEAD: usize = 1;
/// Maximum total wait for one page, if the server is busy.
pub const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Points in the order of their ids, page by page.
pub trait Pages: Send {
    /// The next page, never empty. None at the end.
    fn next(&mut self) -> impl Future<Output = Result<Option<Vec<Point>>, PointsError>> + Send;
}

/// The pages of a collection on a server.
#[derive(Debug)]
pub struct ServerPages {
    pages: mpsc::Receiver<Result<Vec<Point>, PointsError>>,
    reading: JoinHandle<()>,
}

/// Options for reading a collection.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Only points that match this filter.
    pub filter: Option<Value>,
    /// Maximum number of points per second.
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
                // The receiver has been dropped.
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
                // At least one page per second, for an even rate.
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

/// Whether a smaller request may succeed: also if an answer was too large, or took too long.
pub fn may_be_too_much(error: &Error) -> bool {
    error.is_too_much() || matches!(error, Error::Unexpected { .. } | Error::Timeout { .. })
}
