//! Writes the manual pages and shell completions of both programs, for `cargo xtask dist`.

mod configuration;
mod inline;
mod page;

use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use clap::{Command, CommandFactory, Parser};
use clap_complete::Shell;
use qdrant_backup_shared::atomic;

use page::Edition;

/// Writes man/*.1, man/*.5 and completions/{bash,zsh,fish}/* to a directory.
#[derive(Parser)]
#[command(name = "manual")]
struct Opts {
    /// Date of the pages, for example 2025-07-15
    #[arg(long)]
    date: String,
    /// Output directory; existing contents are replaced
    directory: std::path::PathBuf,
}

/// A program, and its page template with the handwritten sections.
struct Program {
    command: Command,
    template: &'static str,
}

fn programs() -> [Program; 2] {
    [
        Program {
            command: qdrant_backup_runner::command(),
            template: include_str!("../../../deploy/man/qdrant-backup.1"),
        },
        Program {
            command: qdrant_backup_exporter::cli::Cli::command(),
            template: include_str!("../../../deploy/man/qdrant-backup-exporter.1"),
        },
    ]
}

fn main() -> ExitCode {
    match write(&Opts::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If stderr is closed, the error cannot be reported.
            writeln!(io::stderr(), "manual: {error}").unwrap_or(());
            ExitCode::FAILURE
        }
    }
}

fn write(opts: &Opts) -> io::Result<()> {
    let edition = Edition { date: opts.date.clone(), version: env!("CARGO_PKG_VERSION") };
    let man = opts.directory.join("man");
    fs::create_dir_all(&man)?;
    let file = configuration::page(
        include_str!("../../../deploy/man/qdrant-backup.yaml.5"),
        include_str!("../../../docs/configuration.md"),
        &edition,
    )?;
    atomic::write(&man.join("qdrant-backup.yaml.5"), 0o644, file.as_bytes())?;
    for Program { command, template } in programs() {
        for (name, text) in page::all(&command, template, &edition)? {
            atomic::write(&man.join(name), 0o644, text.as_bytes())?;
        }
        completions(command, &opts.directory)?;
    }
    Ok(())
}

fn completions(mut command: Command, directory: &Path) -> io::Result<()> {
    let name = command.get_name().to_owned();
    for (shell, file_name) in
        [(Shell::Bash, name.clone()), (Shell::Zsh, format!("_{name}")), (Shell::Fish, format!("{name}.fish"))]
    {
        let directory = directory.join("completions").join(shell.to_string());
        fs::create_dir_all(&directory)?;
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command, &name, &mut script);
        atomic::write(&directory.join(file_name), 0o644, &script)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_and_command_has_a_page_and_every_shell_a_completion() {
        let directory = tempfile::tempdir().unwrap();
        let opts = Opts { date: "2025-07-15".to_owned(), directory: directory.path().to_owned() };
        write(&opts).unwrap();
        for page in [
            "qdrant-backup.1",
            "qdrant-backup-run.1",
            "qdrant-backup-config-check.1",
            "qdrant-backup-exporter.1",
            "qdrant-backup.yaml.5",
        ] {
            let text = fs::read_to_string(directory.path().join(format!("man/{page}"))).unwrap();
            assert!(text.contains(".SH NAME") && text.contains("2025-07-15"), "{page}: {text}");
            assert!(!text.lines().any(|line| line.starts_with('@')), "{page}: {text}");
        }
        for script in ["bash/qdrant-backup", "zsh/_qdrant-backup-exporter", "fish/qdrant-backup.fish"] {
            let text = fs::read_to_string(directory.path().join("completions").join(script)).unwrap();
            assert!(text.contains("--"), "{script}");
        }
    }
}
