//! Manual pages: clap's description of a command between handwritten sections.

use std::io;

use clap::{Arg, Command};
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};
use qdrant_backup_shared::config_file::{About, keys};

use crate::inline::inline;

/// Date and subject of the pages.
pub(crate) struct Edition {
    /// For example `2025-07-15`.
    pub(crate) date: String,
    pub(crate) version: &'static str,
}

/// File name and text of a page.
type Page = (String, String);

/// The page of a program, which is `template` with its marker lines filled in, and those of its commands.
pub(crate) fn all(command: &Command, template: &str, edition: &Edition) -> io::Result<Vec<Page>> {
    let mut command = command.clone().disable_help_subcommand(true).subcommand_help_heading("COMMANDS");
    command.build();
    let program = command.get_name().to_owned();
    let mut pages = vec![(format!("{program}.1"), fill(template, &edition.of(&command, &program))?)];
    commands(&command, &program, edition, &mut pages)?;
    Ok(pages)
}

/// The template with each line `@TITLE@`, `@OPTIONS@`, `@COMMANDS@` or `@ENVIRONMENT@` replaced.
fn fill(template: &str, man: &Man) -> io::Result<String> {
    let mut text = Vec::new();
    for line in template.lines() {
        match line {
            "@TITLE@" => man.render_title(&mut text)?,
            "@OPTIONS@" => man.render_options_section(&mut text)?,
            "@ENVIRONMENT@" => environment().to_writer(&mut text)?,
            "@COMMANDS@" => man.render_subcommands_section(&mut text)?,
            _ => text.extend_from_slice(format!("{line}\n").as_bytes()),
        }
    }
    utf8(text)
}

/// The variables of the runner's settings, each with the first part of its description.
fn environment() -> Roff {
    let mut roff = Roff::new();
    for about in keys::all().map(|setting| setting.about()) {
        if let Some(name) = about.variable {
            roff.control("TP", []).text([bold(name)]).text(inline(&in_short(about)));
        }
    }
    roff
}

/// A setting's description up to the start of the details.
fn in_short(about: &About) -> String {
    let ends = [". ", ": ", "; "].into_iter().filter_map(|end| about.meaning.find(end));
    let end = ends.min().unwrap_or(about.meaning.len());
    format!("{}.", about.meaning[..end].trim_end_matches('.'))
}

/// The pages of all subcommands of `above`.
fn commands(above: &Command, program: &str, edition: &Edition, pages: &mut Vec<Page>) -> io::Result<()> {
    for command in above.get_subcommands().filter(|command| !command.is_hide_set()) {
        let man = edition.of(&command.clone().mut_args(hide_if_global), program);
        let mut text = Vec::new();
        man.render_title(&mut text)?;
        man.render_name_section(&mut text)?;
        man.render_synopsis_section(&mut text)?;
        man.render_description_section(&mut text)?;
        man.render_options_section(&mut text)?;
        if command.has_subcommands() {
            man.render_subcommands_section(&mut text)?;
        }
        let mut end = Roff::new();
        if let Some(notes) = command.get_after_help() {
            end.control("SH", ["NOTES"]).text([roman(notes.to_string())]);
        }
        end.control("SH", ["SEE ALSO"])
            .text([roman("The options of every command, the exit status and the files are in")])
            .text([bold(program), roman("(1).")]);
        end.to_writer(&mut text)?;
        pages.push((man.get_filename(), utf8(text)?));
        commands(command, program, edition, pages)?;
    }
    Ok(())
}

/// Global options are described only in the program's own page.
fn hide_if_global(arg: Arg) -> Arg {
    let global = arg.is_global_set();
    arg.hide(global)
}

impl Edition {
    fn of(&self, command: &Command, program: &str) -> Man {
        Man::new(command.clone())
            .date(&self.date)
            .source(format!("{program} {}", self.version))
            .manual("User Commands")
    }
}

fn utf8(text: Vec<u8>) -> io::Result<String> {
    String::from_utf8(text).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edition() -> Edition {
        Edition { date: "2025-07-15".to_owned(), version: "1.2.3" }
    }

    fn tool() -> Command {
        let everywhere = Arg::new("everywhere").long("everywhere").global(true).num_args(0);
        let own = Arg::new("own").long("own").num_args(0);
        Command::new("tool")
            .arg(everywhere)
            .subcommand(Command::new("do").about("Does it").after_help("Mind the \\ and -x.").arg(own))
    }

    #[test]
    fn marked_lines_are_filled_in_and_written_ones_stay() {
        let pages = all(&tool(), "@TITLE@\n.SH NAME\ntool\n@COMMANDS@\n.SH FILES\n", &edition());
        let (name, text) = pages.unwrap().swap_remove(0);
        assert_eq!(name, "tool.1");
        assert!(text.contains(".TH tool 1 2025-07-15 \"tool 1.2.3\""), "{text}");
        assert!(text.contains("tool\\-do(1)") && text.ends_with(".SH FILES\n"), "{text}");
    }

    #[test]
    fn every_variable_is_in_the_page_with_what_it_means() {
        let (_, text) = all(&tool(), "@ENVIRONMENT@\n", &edition()).unwrap().swap_remove(0);
        for name in keys::variables() {
            assert!(text.contains(&format!(".TP\n\\fB{name}\\fR\n")), "{name}: {text}");
        }
        // The apostrophe before it is a macro.
        assert!(text.contains("s REST URL, http or https.\n"), "{text}");
    }

    #[test]
    fn a_command_s_page_has_its_own_options_and_leads_to_the_program_s() {
        let (name, text) = all(&tool(), "", &edition()).unwrap().swap_remove(1);
        assert_eq!(name, "tool-do.1");
        assert!(text.contains("\\-\\-own") && !text.contains("everywhere"), "{text}");
        assert!(text.contains(".SH NOTES\nMind the \\\\ and \\-x.\n"), "{text}");
        assert!(text.ends_with("\\fBtool\\fR(1).\n"), "{text}");
    }
}
