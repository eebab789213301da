//! The questions on a terminal, one line each.

use std::io::{self, BufRead, Write};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use super::super::Refusal;
use super::answers::Answers;
use crate::settings::QdrantUrl;

/// Asks all questions, with defaults. An empty line accepts the default.
pub fn ask(answers: &mut Answers) -> Result<(), Refusal> {
    let mut dialog = Dialog { input: io::stdin().lock() };
    let url = dialog.ask("Qdrant's REST URL", &answers.url, |text| {
        QdrantUrl::parse(text).map(drop).map_err(|error| error.to_string())
    })?;
    answers.url = url;
    let key_file = answers.api_key_file.as_deref().map_or("none".to_owned(), shown);
    let key_file = dialog.ask("File with Qdrant's API key (none: no key)", &key_file, |text| {
        if text == "none" { Ok(()) } else { absolute_file(text) }
    })?;
    answers.api_key_file = (key_file != "none").then(|| PathBuf::from(key_file));
    let path = dialog.ask("Backup directory", &shown(&answers.path), absolute)?;
    answers.path = PathBuf::from(path);
    let days = dialog.ask("Days to keep backups", &answers.keep_days.to_string(), |text| {
        text.parse::<NonZeroU32>().map(drop).map_err(|_| "enter a whole number of at least 1".to_owned())
    })?;
    answers.keep_days = days.parse().map_err(Refusal::failed)?;
    let cron = dialog.ask(
        "Schedule, as a cron expression (minute hour day month weekday)",
        &answers.cron,
        |text| answers.check_cron(text),
    )?;
    answers.cron = cron;
    Ok(())
}

struct Dialog<R> {
    input: R,
}

impl<R: BufRead> Dialog<R> {
    /// Asks until the answer is valid.
    fn ask(
        &mut self,
        question: &str,
        offer: &str,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Result<String, Refusal> {
        loop {
            say(&format!("{question} [{offer}]: "))?;
            let mut line = String::new();
            let read = self.input.read_line(&mut line).map_err(|error| {
                let not_text = error.kind() == io::ErrorKind::InvalidData;
                let why = if not_text { "it is not text (UTF-8)".to_owned() } else { error.to_string() };
                Refusal::failed(format!(
                    "the answer to \"{question}\" cannot be read: {why}; nothing was written"
                ))
            })?;
            if read == 0 {
                return Err(Refusal::configuration("the input ended early; nothing was written"));
            }
            let answer = match line.trim() {
                "" => offer,
                answer => answer,
            };
            match check(answer) {
                Ok(()) => return Ok(answer.to_owned()),
                Err(problem) => say(&format!("  {problem}\n"))?,
            }
        }
    }
}

/// Writes to the terminal.
pub fn say(text: &str) -> Result<(), Refusal> {
    let mut stderr = io::stderr();
    stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush()).map_err(Refusal::failed)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn absolute(text: &str) -> Result<(), String> {
    if Path::new(text).is_absolute() { Ok(()) } else { Err("enter a path that begins with /".to_owned()) }
}

fn absolute_file(text: &str) -> Result<(), String> {
    absolute(text)?;
    std::fs::metadata(text).map(drop).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(input: impl AsRef<[u8]>) -> Result<String, Refusal> {
        Dialog { input: input.as_ref() }.ask("Directory", "/offer", absolute)
    }

    #[test]
    fn an_empty_line_takes_the_offer_and_a_bad_answer_is_asked_for_again() {
        assert_eq!(answered("\n").unwrap(), "/offer");
        assert_eq!(answered("relative\n  /srv/b \n").unwrap(), "/srv/b");
        assert!(answered("relative\n").is_err());
        assert_eq!(
            answered(b"/srv/\xff\n").unwrap_err().message,
            "the answer to \"Directory\" cannot be read: it is not text (UTF-8); nothing was written"
        );
    }
}
