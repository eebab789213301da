//! What a hook runs: a text for the shell, or a program with its arguments.

use super::tree::{Node, Value};
use super::values::{self, Reading};

/// The command of a hook as written. Its arguments may hold a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookCommand {
    /// A text for the shell.
    Shell(String),
    /// A program that is run without a shell: a list, of which it is the first.
    Program {
        /// An absolute path, or a name without `/` that is looked for in `PATH`.
        program: String,
        /// What it is given, each as it stands.
        arguments: Vec<String>,
    },
}

/// A command, as text or as a list.
pub(super) fn hook(node: &Node, reading: &mut Reading<'_>) -> Option<HookCommand> {
    let Value::Sequence(items) = &node.value else {
        return values::text(node, reading).map(HookCommand::Shell);
    };
    let Some((first, rest)) = items.split_first() else {
        reading.refuse("the list is empty; its first item is the program to run");
        return None;
    };
    let before = reading.problems.len();
    let program = values::text(first, reading)?;
    if program.contains('/') && !program.starts_with('/') {
        let problem = "expected a program as an absolute path, or as a name that is looked for in PATH";
        reading.refuse_at(first.line, problem);
    }
    let arguments = rest.iter().filter_map(|item| values::argument(item, reading)).collect();
    (reading.problems.len() == before).then_some(HookCommand::Program { program, arguments })
}
