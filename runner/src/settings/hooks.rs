//! Settings for notifications: hooks and the dead man's switch.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use qdrant_backup_shared::config_file::keys::{
    ON_FAILURE, ON_PARTIAL, ON_SKIPPED, ON_SUCCESS, PING_STYLE, PING_URL,
};
use qdrant_backup_shared::config_file::{HookCommand, Knob, PingStyle};
use rustix::fs::{Access, access};
use url::Url;

use super::layers::Layers;
use super::server_url::UrlError;
use super::setting::Source;

/// The settings that are commands.
pub static HOOKS: [&Knob<Option<HookCommand>>; 4] = [&ON_SUCCESS, &ON_FAILURE, &ON_PARTIAL, &ON_SKIPPED];

/// Replaces a program's name with its path in `PATH`.
pub(super) fn find_programs(layers: &mut Layers<'_>) {
    // Without one, a shell takes these.
    let path = layers.variable("PATH").unwrap_or(OsStr::new("/usr/bin:/bin")).to_owned();
    for hook in HOOKS {
        if let Some(HookCommand::Program { program, arguments }) = layers.values.get(hook)
            && let Some(program) = find_program(&program, &path)
        {
            let source = layers.values.source(hook.key());
            layers.values.set(hook, Some(HookCommand::Program { program, arguments }), source);
        }
    }
}

/// Why the program of a hook cannot be started. Commands for the shell cannot be checked.
pub fn hook_problem(command: &HookCommand) -> Option<String> {
    let HookCommand::Program { program, .. } = command else { return None };
    if !program.is_absolute() {
        return Some(format!(
            "there is no program {} in PATH; give its absolute path, because a schedule may have another PATH",
            program.display()
        ));
    }
    (!is_program(program)).then(|| format!("{} is not an executable file", program.display()))
}

/// The path of a program in `PATH`. Relative directories are ignored, because they depend on the working directory.
pub(super) fn find_program(name: &Path, path: &OsStr) -> Option<PathBuf> {
    if name.is_absolute() {
        return None;
    }
    let directories = std::env::split_paths(path).filter(|directory| directory.is_absolute());
    directories.map(|directory| directory.join(name)).find(|program| is_program(program))
}

fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

/// The URL of a dead man's switch. It is secret, so `Debug` and `Display` only show its host.
#[derive(Clone)]
pub struct PingUrl(Url);

impl PingUrl {
    /// Reads the URL. If the style is not set, it is derived from the URL.
    pub(super) fn choose(layers: &mut Layers<'_>) -> Option<Self> {
        let url = layers.convert(&PING_URL, |text, _| Self::parse(text.expose()), Self::to_string);
        if layers.values.get(&PING_STYLE).is_none() {
            let style = url.as_ref().map_or(PingStyle::Healthchecks, |url| url.value.looks_like());
            layers.values.set(&PING_STYLE, Some(style), Source::Default);
        }
        url.map(|url| url.value)
    }

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

    /// The style of the service, derived from the path.
    fn looks_like(&self) -> PingStyle {
        if self.0.path().contains("/api/push/") { PingStyle::UptimeKuma } else { PingStyle::Healthchecks }
    }

    /// The URL, only for the request.
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
