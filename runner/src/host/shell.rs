//! Text for a shell.

/// A word for the shell.
pub fn quoted(text: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:=,@%+".contains(character);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// This command line, quoted for a shell.
pub fn this_call() -> String {
    let words = std::env::args_os().map(|argument| quoted(&argument.to_string_lossy()));
    words.collect::<Vec<_>>().join(" ")
}
