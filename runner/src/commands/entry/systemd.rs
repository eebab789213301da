//! The systemd units: a service for one run, and its timer.

use std::path::Path;

use super::calendar;
use super::command_line::{CommandLine, UnusablePath, plain};
use super::fields::CronFields;
use super::installed::MARK;

/// The files of the package.
const SERVICE: &str = include_str!("../../../../deploy/systemd/qdrant-backup.service");
const TIMER: &str = include_str!("../../../../deploy/systemd/qdrant-backup.timer");

/// Machine-specific parts of the service.
#[derive(Debug)]
pub struct Service<'a> {
    /// User that runs the backups.
    pub user: &'a str,
    /// Group of that user.
    pub group: &'a str,
    /// Command that the service starts.
    pub command: &'a CommandLine,
    /// Its writable directories.
    pub writes: &'a [&'a Path],
    /// The file of the API key, which systemd reads as root and passes on.
    pub credential: Option<&'a Path>,
}

/// Form of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Complete, for a machine without the package.
    Whole,
    /// Only the differences from the package's unit, so that upgrades of it take effect.
    DropIn,
}

type Line = (&'static str, Vec<String>);

impl Service<'_> {
    /// The unit.
    ///
    /// # Errors
    /// When a path needs quoting.
    pub fn unit(&self, form: Form) -> Result<String, UnusablePath> {
        let writes = self.writes.iter().map(|path| Ok(format!("-{}", plain(path)?)));
        let writes = writes.collect::<Result<Vec<_>, _>>()?.join(" ");
        // systemd reads the env file itself, as root; so it is in no argument.
        let command = CommandLine { env_file: None, ..self.command.clone() };
        let mut lines: Vec<Line> = vec![
            ("User", vec![self.user.to_owned()]),
            ("Group", vec![self.group.to_owned()]),
            ("ExecStart", vec![command.words(&[])?]),
            ("ReadWritePaths", vec![writes]),
        ];
        if let Some(file) = &self.command.env_file {
            lines.push(("EnvironmentFile", vec![plain(file)?]));
        }
        if let Some(file) = self.credential {
            lines.push(("LoadCredential", vec![format!("api-key:{}", plain(file)?)]));
        }
        Ok(write(SERVICE, "Service", &lines, form))
    }
}

/// The timer of `fields`, in `zone` or in the machine's time zone.
pub fn timer(fields: &CronFields, zone: Option<&str>, form: Form) -> String {
    write(TIMER, "Timer", &[("OnCalendar", calendar::events(fields, zone))], form)
}

fn write(shipped: &str, section: &str, lines: &[Line], form: Form) -> String {
    let unit = match form {
        Form::Whole => lines.iter().fold(shipped.to_owned(), |unit, (key, values)| with(&unit, key, values)),
        Form::DropIn => {
            // An empty value resets the package's value.
            let settings = lines.iter().flat_map(|(key, values)| {
                std::iter::once(format!("{key}="))
                    .chain(values.iter().map(move |value| format!("{key}={value}")))
            });
            format!("[{section}]\n{}\n", settings.collect::<Vec<_>>().join("\n"))
        }
    };
    format!("{MARK}\n{unit}")
}

/// `unit` with `key` set to `values`, one line each, at the position of the first one.
fn with(unit: &str, key: &str, values: &[String]) -> String {
    let is_key = |line: &str| line.split_once('=').is_some_and(|(name, _)| name == key);
    let mut lines = Vec::new();
    let mut placed = false;
    for line in unit.lines() {
        if !is_key(line) {
            lines.push(line.to_owned());
        } else if !placed {
            lines.extend(values.iter().map(|value| format!("{key}={value}")));
            placed = true;
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(form: Form) -> String {
        let command = CommandLine {
            program: "/opt/qb".into(),
            config: Some("/c.yaml".into()),
            env_file: Some("/e".into()),
        };
        let writes = [Path::new("/srv/backups"), Path::new("/srv/state")];
        let credential = Some(Path::new("/k"));
        Service { user: "u", group: "g", command: &command, writes: &writes, credential }.unit(form).unwrap()
    }

    #[test]
    fn the_shipped_units_get_the_configured_lines_once_each() {
        let service = service(Form::Whole);
        for line in [
            "User=u",
            "Group=g",
            "ExecStart=/opt/qb run --config /c.yaml",
            "ReadWritePaths=-/srv/backups -/srv/state",
            "EnvironmentFile=/e",
            "LoadCredential=api-key:/k",
            "Type=oneshot",
            "ProtectSystem=strict",
        ] {
            assert_eq!(service.lines().filter(|found| *found == line).count(), 1, "{line}: {service}");
        }
        for key in ["User=", "ExecStart=", "ReadWritePaths=", "EnvironmentFile=", "LoadCredential="] {
            assert_eq!(service.lines().filter(|line| line.starts_with(key)).count(), 1, "{key}");
        }
        let timer = timer(&CronFields::parse("0 3 1 * 0").unwrap(), None, Form::Whole);
        assert_eq!(timer.lines().filter(|line| line.starts_with("OnCalendar=")).count(), 2, "{timer}");
        assert!(timer.contains("\nPersistent=yes\n"), "{timer}");
    }

    #[test]
    fn a_drop_in_takes_back_what_the_packages_unit_says() {
        let service = service(Form::DropIn);
        assert!(service.contains("\nExecStart=\nExecStart=/opt/qb run --config /c.yaml\n"), "{service}");
        assert!(!service.contains("Type="), "{service}");
        let timer = timer(&CronFields::parse("0 2 * * *").unwrap(), Some("Europe/Berlin"), Form::DropIn);
        assert_eq!(
            timer.trim_start_matches(MARK),
            "\n[Timer]\nOnCalendar=\nOnCalendar=*-*-* 02:00:00 Europe/Berlin\n"
        );
    }
}
