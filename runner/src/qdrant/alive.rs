//! Requests that a server may rightly take long to answer: meanwhile it is asked whether it lives.

use std::pin::pin;
use std::time::Duration;

use super::client::Client;

/// How often it is asked.
const INTERVAL: Duration = Duration::from_secs(30);
/// How long that answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

impl Client {
    /// Awaits `request`, and calls `beat` now and then for as long as the server answers other questions meanwhile.
    pub async fn while_it_lives<T>(&self, beat: impl FnMut(), request: impl Future<Output = T>) -> T {
        self.asking_every(INTERVAL, beat, request).await
    }

    async fn asking_every<T>(
        &self,
        interval: Duration,
        mut beat: impl FnMut(),
        request: impl Future<Output = T>,
    ) -> T {
        let probe = self.for_cleanup(PATIENCE);
        let mut request = pin!(request);
        loop {
            tokio::select! {
                result = &mut request => return result,
                () = tokio::time::sleep(interval) => {
                    if probe.version().await.is_ok() {
                        beat();
                    }
                }
            }
        }
    }
}
