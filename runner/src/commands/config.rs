//! `qdrant-backup config show` and `config check`.

use qdrant_backup_shared::FailureKind;
use tokio_util::sync::CancellationToken;

use super::{Refusal, client, place};
use crate::clock::Clock;
use crate::exit::Exit;
use crate::output;
use crate::settings::{Settings, render_settings, settings_json};
use crate::store;

/// Prints every setting and where it came from.
pub fn show(settings: &Settings, json: bool) -> Result<Exit, Refusal> {
    let text = if json {
        serde_json::to_string_pretty(&settings_json(settings)).map_err(Refusal::failed)?
    } else {
        render_settings(settings)
    };
    output::print(text.trim_end()).map_err(Refusal::failed)?;
    Ok(Exit::Success)
}

/// One check's line: what was looked at, and what came of it.
struct Check {
    what: &'static str,
    result: Result<String, String>,
}

/// Checks what the next run will need: the directory, room, the schedule, the server and the key. Changes nothing
/// but a temporary file that is removed at once.
pub async fn check(settings: &Settings, clock: Clock) -> Result<Exit, Refusal> {
    let mut checks = vec![
        directory(settings),
        writable(settings),
        room(settings),
        state(settings),
        schedule(settings, clock),
    ];
    checks.extend(server(settings).await);
    let mut failed = false;
    let rows = checks.iter().map(|check| {
        let (mark, text) = match &check.result {
            Ok(text) => ("ok", text),
            Err(text) => {
                failed = true;
                ("FAIL", text)
            }
        };
        vec![mark.to_owned(), check.what.to_owned(), qdrant_backup_shared::text::one_line(text)]
    });
    let lines: Vec<String> = rows.map(|row| format!("{:4}  {:<18}{}", row[0], row[1], row[2])).collect();
    output::print(&lines.join("\n")).map_err(Refusal::failed)?;
    Ok(if failed { Exit::Configuration } else { Exit::Success })
}

fn directory(settings: &Settings) -> Check {
    let layout = place::layout(settings);
    let result = place::open(&layout)
        .map(|_| format!("{} is a backup repository", layout.root().display()))
        .map_err(|refusal| refusal.message);
    Check { what: "backup directory", result }
}

fn writable(settings: &Settings) -> Check {
    let layout = place::layout(settings);
    let result = store::probe(&layout)
        .map(|()| "files can be made there".to_owned())
        .map_err(|error| format!("no file can be made in {}: {error}", layout.root().display()));
    Check { what: "write access", result }
}

fn room(settings: &Settings) -> Check {
    let layout = place::layout(settings);
    let result = store::available_bytes(layout.root())
        .map(|bytes| format!("{} free", indicatif::HumanBytes(bytes)))
        .map_err(|error| format!("{}: {error}", layout.root().display()));
    Check { what: "room", result }
}

fn state(settings: &Settings) -> Check {
    let layout = place::layout(settings);
    let result = qdrant_backup_shared::atomic::AtomicFile::create(&layout.status_file(), 0o600)
        .map(|file| {
            drop(file);
            format!("{} can be written", layout.status_file().display())
        })
        .map_err(|error| format!("{}: cannot be written: {error}", layout.status_file().display()));
    Check { what: "state directory", result }
}

fn schedule(settings: &Settings, clock: Clock) -> Check {
    let result = match settings.schedule.as_ref() {
        None => Ok("none configured, so `status` cannot say when a backup is too old".to_owned()),
        Some(schedule) => match schedule.next_after(clock.now()) {
            Some(next) => Ok(format!(
                "\"{}\": next at {}, at most {} apart",
                schedule.expression(),
                output::time(next),
                output::span(schedule.longest_gap(clock.now()))
            )),
            None => Err(format!("\"{}\" never comes", schedule.expression())),
        },
    };
    Check { what: "schedule", result }
}

async fn server(settings: &Settings) -> Vec<Check> {
    let client = match client(settings, CancellationToken::new()) {
        Ok(client) => client,
        Err(refusal) => return vec![Check { what: "Qdrant", result: Err(refusal.message) }],
    };
    let version = match client.version().await {
        Ok(version) => version,
        Err(error) => return vec![Check { what: "Qdrant", result: Err(error.to_string()) }],
    };
    let found = Check { what: "Qdrant", result: Ok(format!("{version} at {}", client.url())) };
    let access = match client.collections().await {
        Ok(collections) => {
            let selected =
                collections.iter().filter(|name| settings.backup.selection.selects(name.as_str())).count();
            Ok(format!("may list collections; {selected} of {} are selected", collections.len()))
        }
        Err(error) if error.kind() == FailureKind::Unauthorized => Err(error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    vec![found, Check { what: "access", result: access }]
}
