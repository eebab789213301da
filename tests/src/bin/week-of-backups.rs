//! A Prometheus with a week of backups, for the screenshot of the dashboard. The answers are the exporter's. The disk
//! is simulated, because the real disk of the machine has nothing to do with these backups.

use std::io::{self, Read, Write};

use e2e::exporter::now;
use e2e::week::Week;
use e2e::{Directory, Exporter, History, Prometheus, eventually};

const INSTANCE: &str = "backup-host:19854";

/// The size of the simulated disk in bytes.
const DISK: f64 = (64_u64 << 30) as f64;
/// What other files use on it, in bytes.
const OTHERS: f64 = (21_u64 << 30) as f64;

fn main() -> io::Result<()> {
    let place = Directory::repository();
    let exporter = Exporter::start(place.path(), &[]);
    let directory = tempfile::tempdir()?;
    let mut history = History::of(INSTANCE);
    let _week = Week::lived(place, &exporter, &mut history, now());
    history.imagine_disk(DISK, OTHERS);
    history.store(directory.path());
    // Without newer samples, the simulated disk stays visible for five more minutes.
    let more = ", metric_relabel_configs: [{source_labels: [__name__], regex: 'qdrant_backup_storage_.*', action: drop}]";
    let prometheus = Prometheus::with_shipped_rules(directory.path(), INSTANCE, exporter.address(), more);
    eventually("the watchdog fires", || !prometheus.query("ALERTS").is_empty());
    let mut stdout = io::stdout();
    writeln!(stdout, "listening on http://{}", prometheus.address())?;
    stdout.flush()?;
    // Runs until standard input closes, when the parent process has ended.
    io::stdin().read_to_end(&mut Vec::new())?;
    drop(prometheus);
    Ok(())
}
