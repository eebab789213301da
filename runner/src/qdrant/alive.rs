//! Long requests: the server is checked for life during the wait.

use std::pin::pin;
use std::time::Duration;

use super::client::Client;

/// Interval of the checks.
const INTERVAL: Duration = Duration::from_secs(30);
/// Timeout of a check.
const PATIENCE: Duration = Duration::from_secs(10);

impl Client {
    /// Awaits `request`, and calls `beat` regularly as long as the server answers other requests.
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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::client::tests::client;
    use super::*;

    #[tokio::test]
    async fn the_heart_beats_while_the_server_answers_and_not_while_it_hangs() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers = Arc::new(AtomicBool::new(true));
        let served = Arc::clone(&answers);
        std::thread::spawn(move || {
            let mut hung = Vec::new();
            for mut stream in listener.incoming().flatten() {
                if !served.load(Ordering::Relaxed) {
                    hung.push(stream);
                    continue;
                }
                let body = r#"{"title":"qdrant","version":"1.18.3"}"#;
                let (mut head, length) = ([0; 1024], body.len());
                drop(stream.read(&mut head));
                drop(write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
                ));
            }
        });
        let client = client(&url);
        let mut beats = 0;
        let long = tokio::time::sleep(Duration::from_millis(500));
        client.asking_every(Duration::from_millis(50), || beats += 1, long).await;
        assert!(beats > 0);

        answers.store(false, Ordering::Relaxed);
        let mut beats = 0;
        let long = tokio::time::sleep(Duration::from_millis(500));
        client.asking_every(Duration::from_millis(50), || beats += 1, long).await;
        assert_eq!(beats, 0);
    }
}
