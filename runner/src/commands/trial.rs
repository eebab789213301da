//! A trial backup of the smallest collection, in the same way as a scheduled run: another process, as the scheduled user, with
//! only the configuration files. So it shows missing permissions of that user.

use std::path::{Path, PathBuf};

use qdrant_backup_shared::config_file::keys::{LOG_FORMAT, LOG_LEVEL};
use qdrant_backup_shared::{CollectionName, PointsCount};
use tokio_util::sync::CancellationToken;

use super::checks::Check;
use super::{client, itself};
use crate::host::user::User;
use crate::settings::Settings;

/// With more collections, the smallest one is not searched.
const LOOKED_AT: usize = 100;

/// The line of the trial. With `schedule`, like a scheduled run with that configuration file and user, without this process's
/// environment; otherwise as the caller.
pub async fn of_smallest(
    settings: &Settings,
    selected: &[CollectionName],
    schedule: Option<(&Path, Option<&User>)>,
) -> Check {
    let what = "trial backup";
    let (collection, points) = match smallest(settings, selected).await {
        Ok(Some(found)) => found,
        Ok(None) => {
            return Check::doubtful(
                what,
                "there is no collection to test with; run `qdrant-backup config check --trial` later",
            );
        }
        Err(problem) => return Check::of(what, Err(problem)),
    };
    let made = back_up(settings, &collection, schedule);
    Check::of(
        what,
        made.map(|()| {
            format!("\"{collection}\" ({points} points): snapshot created, downloaded, verified, and deleted on the server")
        })
        .map_err(|problem| format!("of \"{collection}\": {problem}")),
    )
}

async fn smallest(
    settings: &Settings,
    selected: &[CollectionName],
) -> Result<Option<(CollectionName, String)>, String> {
    let client = client(settings, CancellationToken::new()).map_err(|refusal| refusal.message)?;
    let mut smallest: Option<(CollectionName, Option<PointsCount>)> = None;
    let size = |points: &Option<PointsCount>| points.map_or(u64::MAX, |count| count.points);
    for collection in selected.iter().take(LOOKED_AT) {
        let points = match client.count(collection).await {
            Ok(points) => Some(points),
            Err(error) if error.is_refusal() => None,
            Err(error) => return Err(error.to_string()),
        };
        if smallest.as_ref().is_none_or(|(_, least)| size(&points) < size(least)) {
            smallest = Some((collection.clone(), points));
        }
    }
    Ok(smallest.map(|(collection, points)| {
        (collection, points.map_or_else(|| "an unknown number of".to_owned(), |points| points.to_string()))
    }))
}

fn back_up(
    settings: &Settings,
    collection: &CollectionName,
    schedule: Option<(&Path, Option<&User>)>,
) -> Result<(), String> {
    let mut command = itself::command()?;
    // Always in text format, because the reason is read from it.
    command.args(["backup", "--quiet", "--log-format", "text", "--collection", collection.as_str()]);
    let config: Option<PathBuf> = match schedule {
        Some((config, _)) => Some(config.to_owned()),
        None => settings.config_file.clone(),
    };
    if let Some(config) = config {
        command.arg("--config").arg(config);
    }
    match schedule {
        Some((_, user)) => {
            itself::without_settings(&mut command);
            if user.is_some() {
                command.current_dir("/");
            }
        }
        None => {
            if let Some(env_file) = &settings.env_file {
                command.arg("--env-file").arg(env_file);
            }
            let of_log =
                [LOG_LEVEL.about(), LOG_FORMAT.about()].map(|about| about.option.map(|option| option.long));
            for (option, value) in
                settings.given.iter().filter(|(option, _)| !of_log.contains(&Some(**option)))
            {
                command.arg(option).arg(value);
            }
        }
    }
    let output = itself::run(command, schedule.and_then(|(_, user)| user))
        .map_err(|error| format!("cannot start this program as the user of the schedule: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(itself::reason(&output).unwrap_or_else(|| format!("failed ({})", output.status)))
}
