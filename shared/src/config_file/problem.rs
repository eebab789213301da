//! One problem of a configuration file, as one line of text.

use std::fmt;

use crate::text::one_line;

/// One problem of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file as given by the user.
    pub file: String,
    /// Line number, from 1. Absent for the file as a whole.
    pub line: Option<usize>,
    /// Dotted key such as `retention.keep_days`. Absent for syntax errors.
    pub key: Option<String>,
    /// What is wrong and what to do. Never a secret.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = self.file.clone();
        if let Some(number) = self.line {
            line.push_str(&format!(":{number}"));
        }
        if let Some(key) = &self.key {
            line.push_str(&format!(": {key}"));
        }
        write!(f, "{}: {}", one_line(&line), one_line(&self.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line_whatever_the_file_is_called() {
        let problem = Problem {
            file: "a\nb\u{1b}[31m.yaml".to_owned(),
            line: Some(3),
            key: Some("backup.p\rath".to_owned()),
            message: "bad \u{202e} value".to_owned(),
        };
        assert_eq!(problem.to_string(), r"a\nb\u{1b}[31m.yaml:3: backup.p\rath: bad \u{202e} value");
    }
}
