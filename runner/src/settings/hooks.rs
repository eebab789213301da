//! The settings about who is told how a scheduled run ended.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qdrant_backup_shared::config_file::{ConfigFile, HookCommand as Written, Located, PingStyle};
use rustix::fs::{Access, access};
use url::Url;

use super::layers::{Layers, as_is, optional};
use super::server_url::UrlError;
use super::setting::Setting;

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// Commands and an address that hear how a scheduled run ended.
#[derive(Debug, Clone)]
pub struct HooksSettings {
    /// For a run that succeeded.
    pub on_success: Setting<Option<HookCommand>>,
    /// For a run that failed.
    pub on_failure: Setting<Option<HookCommand>>,
    /// For a run in which only some collections failed.
    pub on_partial: Setting<Option<HookCommand>>,
    /// For a run that found the lock held.
    pub on_skipped: Setting<Option<HookCommand>>,
    /// How long a command may take; not zero.
    pub timeout: Setting<Duration>,
    /// A dead man's service.
    pub ping_url: Setting<Option<PingUrl>>,
    /// How it wants to be called.
    pub ping_style: Setting<PingStyle>,
}

impl HooksSettings {
    /// Chooses each value.
    pub(super) fn choose(layers: &mut Layers<'_>, config: &ConfigFile) -> Self {
        let file = &config.hooks;
        // Without one, a shell takes these.
        let path = layers.environment.get(&OsString::from("PATH")).cloned();
        let path = path.unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
        let mut command = |key, located: &Option<Located<Written>>| {
            let found = |written| as_is(HookCommand::of(written, &path));
            optional(layers.choose([layers.config(key, located, found)]))
        };
        let on_success = command("hooks.on_success", &file.on_success);
        let on_failure = command("hooks.on_failure", &file.on_failure);
        let on_partial = command("hooks.on_partial", &file.on_partial);
        let on_skipped = command("hooks.on_skipped", &file.on_skipped);
        let ping_url = layers.choose([
            layers.environment("BACKUP_PING_URL", PingUrl::parse),
            layers.env_file("BACKUP_PING_URL", PingUrl::parse),
            layers.config("hooks.ping_url", &file.ping_url, |text| PingUrl::parse(text.expose())),
        ]);
        let looks_like = ping_url.as_ref().map_or(PingStyle::Healthchecks, |url| url.value.looks_like());
        Self {
            on_success,
            on_failure,
            on_partial,
            on_skipped,
            timeout: layers
                .choose_or([layers.config("hooks.timeout", &file.timeout, as_is)], DEFAULT_TIMEOUT),
            ping_url: optional(ping_url),
            ping_style: layers
                .choose_or([layers.config("hooks.ping_style", &file.ping_style, as_is)], looks_like),
        }
    }
}

impl HooksSettings {
    /// The commands that are set, with their keys.
    pub fn commands(&self) -> impl Iterator<Item = (&'static str, &HookCommand)> {
        let all = [
            ("hooks.on_success", &self.on_success),
            ("hooks.on_failure", &self.on_failure),
            ("hooks.on_partial", &self.on_partial),
            ("hooks.on_skipped", &self.on_skipped),
        ];
        all.into_iter().filter_map(|(key, setting)| Some((key, setting.as_ref()?)))
    }
}

/// What a hook runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookCommand {
    /// This, by the shell.
    Shell(String),
    /// This program, with these arguments.
    Program {
        /// Where it is; only a name where `PATH` has none of that name.
        program: PathBuf,
        /// What it is given.
        arguments: Vec<String>,
    },
}

impl HookCommand {
    fn of(written: Written, path: &OsStr) -> Self {
        match written {
            Written::Shell(text) => Self::Shell(text),
            Written::Program { program, arguments } => {
                let program = PathBuf::from(program);
                Self::Program { program: find(&program, path).unwrap_or(program), arguments }
            }
        }
    }

    /// What keeps its program from being started; nothing is known of what a shell will find.
    pub fn problem(&self) -> Option<String> {
        let Self::Program { program, .. } = self else { return None };
        if !program.is_absolute() {
            return Some(format!(
                "there is no program {} in PATH; give its absolute path, because a schedule may have another PATH",
                program.display()
            ));
        }
        (!is_program(program)).then(|| format!("{} is no file that can be run", program.display()))
    }
}

/// Where `PATH` has a program of this name. What is relative in it depends on where we were started, and is passed over.
fn find(name: &Path, path: &OsStr) -> Option<PathBuf> {
    if name.is_absolute() {
        return None;
    }
    let directories = std::env::split_paths(path).filter(|directory| directory.is_absolute());
    directories.map(|directory| directory.join(name)).find(|program| is_program(program))
}

fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

/// The address of a dead man's service. Whoever knows it can call there, so neither `Debug` nor `Display` shows more than
/// its host.
#[derive(Clone)]
pub struct PingUrl(Url);

impl PingUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// Not http(s), not a URL, or with a fragment, which is never sent.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.chars().any(|character| character.is_whitespace() || character.is_control()) {
            return Err(UrlError::Blank);
        }
        let url = Url::parse(text)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(UrlError::Scheme);
        }
        if url.fragment().is_some() {
            return Err(UrlError::Fragment);
        }
        Ok(Self(url))
    }

    /// How the service wants to be called, by its path.
    fn looks_like(&self) -> PingStyle {
        if self.0.path().contains("/api/push/") { PingStyle::UptimeKuma } else { PingStyle::Healthchecks }
    }

    /// The address itself, for the request and nothing else.
    pub fn expose(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for PingUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/********", self.0.scheme(), self.0.host_str().unwrap_or_default())
    }
}

impl fmt::Debug for PingUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PingUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_in_path_and_what_cannot_be_run_is_none() {
        let named = |program: &str| Written::Program { program: program.to_owned(), arguments: vec![] };
        let of = |program: &str, path: &str| HookCommand::of(named(program), OsStr::new(path));
        let found = |command: &HookCommand| match command {
            HookCommand::Program { program, .. } => program.display().to_string(),
            HookCommand::Shell(_) => String::new(),
        };
        let sh = of("sh", "/nowhere:/bin");
        assert_eq!((found(&sh).as_str(), sh.problem()), ("/bin/sh", None));
        for (program, path, said) in [
            // An empty part of PATH is the directory that we were started in.
            ("Cargo.toml", ":.:src", "in PATH"),
            ("sh", "/nowhere", "in PATH"),
            ("sh", "", "in PATH"),
            ("/no/such/program", "/bin", "can be run"),
            ("/etc/passwd", "/bin", "can be run"),
            ("/etc", "/bin", "can be run"),
        ] {
            let command = of(program, path);
            assert_eq!(found(&command), program);
            assert!(command.problem().is_some_and(|problem| problem.contains(said)), "{program} {path}");
        }
    }

    #[test]
    fn only_the_host_of_an_address_is_shown() {
        let url = PingUrl::parse("https://me:s3cret@ping.example/s3cret-uuid").unwrap();
        assert_eq!(
            format!("{url} {url:?}"),
            "https://ping.example/******** PingUrl(https://ping.example/********)"
        );
        assert_eq!(url.expose().path(), "/s3cret-uuid");
        let url = PingUrl::parse("https://kuma.example/api/push/s3cret?status=up&msg=s3cret&ping=").unwrap();
        assert_eq!(url.to_string(), "https://kuma.example/********");
        assert_eq!(url.looks_like(), PingStyle::UptimeKuma);
    }

    #[test]
    fn what_cannot_be_called_is_refused_without_being_repeated() {
        for text in ["ping.example/s3cret", "ftp://x/s3cret", "https://x/s3cret#a", "https://x/s3 cret"] {
            assert!(!PingUrl::parse(text).unwrap_err().to_string().contains("s3"), "{text}");
        }
    }
}
