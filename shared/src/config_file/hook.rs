//! The command of a hook: a string for the shell, or a program with arguments.

use std::path::PathBuf;

use serde_json::{Value as Json, json};

use super::kinds::{self, Kind, MASK, Reading, Written};
use super::tree::{Node, Value};
use crate::text::one_line;

/// The command of a hook as written. Its arguments may contain a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookCommand {
    /// A string for the shell.
    Shell(String),
    /// A program that runs without a shell: a list that begins with the program.
    Program {
        /// An absolute path, or a name without `/` in `PATH`.
        program: PathBuf,
        /// The arguments, unchanged.
        arguments: Vec<String>,
    },
}

/// A command, shown by its first word.
pub(super) const COMMAND: Kind<Option<HookCommand>> = Kind { read: hook, show: shown };

/// A command, as a string or a list.
fn hook(written: Written<'_>, reading: &mut Reading<'_>) -> Option<Option<HookCommand>> {
    let Written::Yaml(Node { value: Value::Sequence(items), .. }) = written else {
        return kinds::text(written, reading).map(HookCommand::Shell).map(Some);
    };
    let Some((first, rest)) = items.split_first() else {
        reading.refuse("the list is empty; its first item is the program to run");
        return None;
    };
    let before = reading.problems.len();
    let program = kinds::text(Written::Yaml(first), reading)?;
    if program.contains('/') && !program.starts_with('/') {
        let problem = "expected a program: an absolute path, or a name that is in PATH";
        reading.refuse_at(first.line, problem);
    }
    let arguments = rest.iter().filter_map(|item| argument(item, reading)).collect();
    let command = HookCommand::Program { program: PathBuf::from(program), arguments };
    (reading.problems.len() == before).then_some(Some(command))
}

/// One argument of a program: any scalar. It may be empty or contain a token, so messages never repeat it.
fn argument(node: &Node, reading: &mut Reading<'_>) -> Option<String> {
    let (text, plain) = match &node.value {
        Value::Scalar { text, plain } => (text, *plain),
        Value::Sequence(_) | Value::Mapping(_) => {
            reading.refuse_at(node.line, "expected an argument, got a list or a mapping; put it in quotes");
            return None;
        }
        Value::Refused => return None,
    };
    if plain && kinds::is_null(text) {
        reading.refuse_at(node.line, "an argument has no value; put it in quotes or remove it");
    } else if text.chars().any(char::is_control) {
        reading.refuse_at(node.line, "an argument contains a control character");
    } else {
        return Some(text.clone());
    }
    None
}

/// The first word of a command. The rest may contain a token.
fn shown(command: &Option<HookCommand>) -> Json {
    json!(command.as_ref().map(|command| match command {
        HookCommand::Shell(text) => match text.trim().split_once(char::is_whitespace) {
            Some((program, _)) => format!("{program} {MASK}"),
            None => text.trim().to_owned(),
        },
        HookCommand::Program { program, arguments } => {
            let program = one_line(&program.display().to_string());
            if arguments.is_empty() { program } else { format!("{program} {MASK}") }
        }
    }))
}
