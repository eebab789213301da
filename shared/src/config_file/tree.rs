//! YAML text as a small tree. Every node knows its line.
//!
//! Built from parser events instead of a loader, so that there is no recursion, nesting is limited, and duplicate keys can be
//! reported. Aliases and tags are errors: no setting needs them. The exporter also uses it for its web.config.file.

use std::borrow::Cow;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

/// A configuration needs four levels. More is a mistake or an attack.
const MAX_DEPTH: usize = 16;

/// A value and its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Line number, counted from 1.
    pub line: usize,
    /// Scalar, list or mapping.
    pub value: Value,
}

/// A value in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text as written. `plain` if it was not quoted: `7` is a number, `"7"` is not.
    Scalar {
        /// The text without its quotes.
        text: String,
        /// Whether it was not quoted.
        plain: bool,
    },
    /// The items of a list, in order.
    Sequence(Vec<Node>),
    /// Keys and values in the order of the file, including duplicate keys.
    Mapping(Vec<Entry>),
    /// A value that was already reported as a problem.
    Refused,
}

/// One key of a mapping with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// The key's line, counted from 1. Problems with the value name this line.
    pub line: usize,
    /// Value of this key.
    pub value: Node,
}

/// A line number and the problem.
pub type Finding = (usize, String);

/// Parses a document. There is no tree if the file is empty or its syntax is invalid.
pub fn parse(text: &str) -> (Option<Node>, Vec<Finding>) {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let message = format!("not valid YAML: {}", error.info());
                return builder.broken(error.marker().line(), message);
            }
        };
        if let Err(message) = builder.take(event, span.start.line()) {
            return builder.broken(span.start.line(), message);
        }
    }
    (builder.root, builder.findings)
}

/// An open list or mapping, with the key that has no value yet.
struct Open {
    node: Node,
    key: Option<(String, usize)>,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    findings: Vec<Finding>,
}

impl Builder {
    /// Stops: an incomplete tree would only cause misleading messages.
    fn broken(mut self, line: usize, message: String) -> (Option<Node>, Vec<Finding>) {
        self.findings.push((line, message));
        (None, self.findings)
    }

    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), String> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    Err("a second document; a file must contain only one".to_owned())
                } else {
                    Ok(())
                }
            }
            Event::Alias(_) => {
                self.findings.push((line, "aliases (*name) are not supported".to_owned()));
                self.place(Node { line, value: Value::Refused })
            }
            Event::Scalar(text, style, _, tag) => {
                let plain = style == ScalarStyle::Plain;
                let value = Value::Scalar { text: text.into_owned(), plain };
                let value = if self.has_tag(tag, line) { Value::Refused } else { value };
                self.place(Node { line, value })
            }
            Event::SequenceStart(_, tag) => {
                self.begin(Node { line, value: Value::Sequence(Vec::new()) }, tag)
            }
            Event::MappingStart(_, tag) => self.begin(Node { line, value: Value::Mapping(Vec::new()) }, tag),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(ended) => self.place(ended.node),
                None => Err("unbalanced brackets".to_owned()),
            },
        }
    }

    fn has_tag(&mut self, tag: Option<Cow<'_, Tag>>, line: usize) -> bool {
        if tag.is_some() {
            self.findings.push((line, "tags (!name) are not supported".to_owned()));
        }
        tag.is_some()
    }

    fn begin(&mut self, node: Node, tag: Option<Cow<'_, Tag>>) -> Result<(), String> {
        self.has_tag(tag, node.line);
        if self.open.len() >= MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH} levels"));
        }
        if let Some(Open { node: Node { value: Value::Mapping(_), .. }, key: None }) = self.open.last() {
            return Err("a list or mapping cannot be a key".to_owned());
        }
        self.open.push(Open { node, key: None });
        Ok(())
    }

    /// Adds a finished node to the root, a list, or a mapping (as a key or a value).
    fn place(&mut self, node: Node) -> Result<(), String> {
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut parent.node.value {
            Value::Sequence(items) => items.push(node),
            Value::Mapping(entries) => match parent.key.take() {
                Some((key, line)) => entries.push(Entry { key, line, value: node }),
                None => match node.value {
                    Value::Scalar { text, .. } => parent.key = Some((text, node.line)),
                    Value::Refused | Value::Sequence(_) | Value::Mapping(_) => {
                        return Err("this cannot be a key".to_owned());
                    }
                },
            },
            Value::Scalar { .. } | Value::Refused => return Err("unbalanced brackets".to_owned()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> Vec<Finding> {
        parse(text).1
    }

    #[test]
    fn deep_nesting_is_refused_instead_of_exhausting_the_stack() {
        for text in ["[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(100_000), "? ".repeat(100_000)]
        {
            let (root, findings) = parse(&text);
            assert!(root.is_none());
            assert_eq!(findings.len(), 1, "{findings:?}");
        }
    }

    #[test]
    fn what_no_setting_needs_is_refused_with_its_line() {
        assert_eq!(findings("a: &x 1\nb: *x\n"), [(2, "aliases (*name) are not supported".to_owned())]);
        assert_eq!(findings("a: 1\nb: !!int 3\n"), [(2, "tags (!name) are not supported".to_owned())]);
        assert_eq!(findings("[a]: 1\n"), [(1, "a list or mapping cannot be a key".to_owned())]);
        assert_eq!(findings("a: 1\n---\nb: 2\n")[0].0, 2);
    }

    #[test]
    fn a_syntax_error_names_its_line() {
        let findings = findings("a: 1\nb: [1, 2\nc: 3\n");
        assert_eq!(findings.len(), 1);
        assert!(findings[0].0 >= 2, "{findings:?}");
        assert!(findings[0].1.starts_with("not valid YAML: "));
    }
}
