//! Parses the rule file as text in the repository's own layout. Anything else is an error, so nothing is overlooked.

use std::path::{Path, PathBuf};

use crate::{
    sh::{Context, Result},
    workspace,
};

/// The text before the first rule of the only group.
pub(super) const GROUP: &str = "groups:\n  - name: qdrant-backup\n    rules:\n";

/// An alert or a recording rule.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) is_alert: bool,
    /// The expression, with only its own indentation.
    pub(super) expr: String,
    /// The `for` duration as written.
    pub(super) hold: Option<String>,
    pub(super) severity: String,
    pub(super) runbook_url: String,
    /// The text after the expression and `for`: labels and annotations as written.
    pub(super) rest: String,
}

impl Rule {
    /// The rule as text of the file.
    pub(super) fn text(&self) -> String {
        let kind = if self.is_alert { "alert" } else { "record" };
        let mut text = format!("      - {kind}: {}\n        expr: |\n", self.name);
        for line in self.expr.lines() {
            text.push_str(&format!("          {line}\n"));
        }
        if let Some(hold) = &self.hold {
            text.push_str(&format!("        for: {hold}\n"));
        }
        text + &self.rest
    }
}

/// All rules of a file, in order.
pub(super) fn parse(text: &str) -> Result<Vec<Rule>> {
    let (_, body) = text.split_once(GROUP).ok_or("the rule file does not begin its group as expected")?;
    let mut rules: Vec<Rule> = Vec::new();
    let mut in_expr = false;
    for (number, line) in (1..).zip(body.lines()) {
        let odd = || format!("line {number} of the rules is not understood: {line:?}");
        if line.is_empty() || line.starts_with("      # ") {
            in_expr = false;
        } else if let Some(head) = line.strip_prefix("      - ") {
            let (kind, name) = head.split_once(": ").ok_or_else(odd)?;
            if !["alert", "record"].contains(&kind) {
                return Err(odd());
            }
            rules.push(Rule {
                name: name.to_owned(),
                is_alert: kind == "alert",
                expr: String::new(),
                hold: None,
                severity: String::new(),
                runbook_url: String::new(),
                rest: String::new(),
            });
        } else {
            let rule = rules.last_mut().ok_or_else(odd)?;
            match line.strip_prefix("        ").ok_or_else(odd)? {
                "expr: |" => in_expr = true,
                within if in_expr && within.starts_with("  ") => {
                    rule.expr.push_str(&within[2..]);
                    rule.expr.push('\n');
                }
                within => {
                    in_expr = false;
                    if let Some(hold) = within.strip_prefix("for: ") {
                        rule.hold = Some(hold.to_owned());
                        continue;
                    }
                    if let Some(severity) = within.strip_prefix("  severity: ") {
                        severity.clone_into(&mut rule.severity);
                    }
                    if let Some(url) = within.strip_prefix("  runbook_url: ") {
                        url.clone_into(&mut rule.runbook_url);
                    }
                    rule.rest.push_str(line);
                    rule.rest.push('\n');
                }
            }
        }
    }
    for rule in &rules {
        if rule.expr.is_empty() || rule.is_alert && (rule.severity.is_empty() || rule.runbook_url.is_empty())
        {
            return Err(format!("{} lacks its expression, severity or runbook_url", rule.name));
        }
    }
    Ok(rules)
}

/// A rule file with these rules.
pub(super) fn file_of<'a>(rules: impl IntoIterator<Item = &'a Rule>) -> String {
    rules.into_iter().fold(GROUP.to_owned(), |text, rule| text + &rule.text())
}

pub(super) const RULES: &str = "alerts/qdrant-backup.rules.yml";

pub(super) fn read(file: &str) -> Result<String> {
    std::fs::read_to_string(workspace::root().join(file)).context(file)
}

/// The unit tests of an alert.
pub(super) fn test_file(alert: &str) -> PathBuf {
    Path::new("alerts/tests").join(format!("{alert}.yml"))
}

pub(super) fn alerts(rules: &[Rule]) -> impl Iterator<Item = &Rule> {
    rules.iter().filter(|rule| rule.is_alert)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# About\n\ngroups:\n  - name: qdrant-backup\n    rules:\n      # Why.\n      - record: a:b\n        expr: |\n          x\n\n      - alert: A\n        expr: |\n          y\n            > 1\n        for: 5m\n        labels:\n          severity: info\n        annotations:\n          summary: >-\n            S\n          runbook_url: U\n";

    #[test]
    fn a_file_is_read_and_written_again_without_its_comments() {
        let rules = parse(TEXT).unwrap();
        assert_eq!(rules.len(), 2);
        assert_eq!((rules[1].expr.as_str(), rules[1].hold.as_deref()), ("y\n  > 1\n", Some("5m")));
        assert_eq!((rules[1].severity.as_str(), rules[1].runbook_url.as_str()), ("info", "U"));
        assert_eq!(parse(&file_of(&rules)).unwrap(), rules);
    }

    #[test]
    fn what_is_not_in_the_layout_is_named() {
        for (from, to) in
            [("- alert", "- alarm"), ("        labels", "     labels"), ("          runbook_url: U\n", "")]
        {
            assert!(parse(&TEXT.replace(from, to)).is_err(), "{to}");
        }
    }
}
