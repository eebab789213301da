//! Mutants of a rule, one change each, from a fixed list of mutators.

use super::rules::Rule;

/// A rule with one change, and a description of it.
#[derive(Debug, Clone)]
pub(super) struct Mutant {
    pub(super) mutator: &'static str,
    /// The description of the change, unique within the rule.
    pub(super) change: String,
    pub(super) rule: Rule,
}

/// The mutators, in the order of the table.
pub(super) const MUTATORS: &[&str] =
    &["comparison flipped", "threshold doubled", "threshold halved", "for", "matcher dropped", "arm removed"];

/// Every mutant of a rule.
pub(super) fn mutants(rule: &Rule) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for (mutator, change, expr) in expressions(&rule.expr) {
        mutants.push(Mutant { mutator, change, rule: Rule { expr, ..rule.clone() } });
    }
    if let Some(seconds) = rule.hold.as_deref().and_then(seconds_of).filter(|seconds| *seconds > 0) {
        let double = Some(format!("{}s", seconds * 2));
        let half = Some(format!("{}s", seconds / 2));
        for (change, hold) in [("for removed", None), ("for doubled", double), ("for halved", half)] {
            mutants.push(Mutant {
                mutator: "for",
                change: change.to_owned(),
                rule: Rule { hold, ..rule.clone() },
            });
        }
    }
    // The same change at several places gets a number.
    for index in 0..mutants.len() {
        let earlier = mutants[..index].iter().filter(|other| other.change == mutants[index].change).count();
        if earlier > 0 {
            let change = format!("{} #{}", mutants[index].change, earlier + 1);
            mutants[index].change = change;
        }
    }
    mutants
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Word,
    Number,
    Text,
    Comparison,
    Open,
    Close,
    Other,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    kind: Kind,
    pub(super) text: &'a str,
    pub(super) at: usize,
    /// The bracket depth.
    pub(super) depth: usize,
    /// The innermost open bracket.
    pub(super) inside: char,
}

impl Token<'_> {
    pub(super) fn end(&self) -> usize {
        self.at + self.text.len()
    }

    /// The precedence of a set operator.
    fn set_operator(&self) -> Option<u8> {
        match (self.kind, self.text) {
            (Kind::Word, "or") => Some(1),
            (Kind::Word, "and" | "unless") => Some(2),
            _ => None,
        }
    }
}

/// The tokens of an expression: words, numbers, strings and operators.
pub(super) fn tokens(expr: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut open: Vec<char> = Vec::new();
    let mut at = 0;
    while let Some(first) = expr[at..].chars().next() {
        let rest = &expr[at..];
        let run = |part: fn(char) -> bool| rest.find(|c| !part(c)).unwrap_or(rest.len());
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let (kind, length) = match first {
            '"' => (Kind::Text, rest[1..].find('"').map_or(rest.len(), |end| end + 2)),
            '0'..='9' => (Kind::Number, run(|c| c.is_ascii_alphanumeric() || c == '.')),
            _ if word(first) => (Kind::Word, run(word)),
            '=' | '!' | '<' | '>' => (Kind::Comparison, run(|c| "=!<>~".contains(c))),
            '(' | '{' | '[' => (Kind::Open, 1),
            ')' | '}' | ']' => (Kind::Close, 1),
            _ => (Kind::Other, first.len_utf8()),
        };
        if kind == Kind::Close {
            open.pop();
        }
        if !first.is_whitespace() {
            let inside = open.last().copied().unwrap_or(' ');
            tokens.push(Token { kind, text: &rest[..length], at, depth: open.len(), inside });
        }
        if kind == Kind::Open {
            open.push(first);
        }
        at += length;
    }
    tokens
}

fn expressions(expr: &str) -> Vec<(&'static str, String, String)> {
    let tokens = tokens(expr);
    let replaced = |from: usize, to: usize, with: &str| format!("{}{with}{}", &expr[..from], &expr[to..]);
    let mut found = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Comparison if token.inside != '{' => {
                let flipped = match token.text {
                    "==" => "!=",
                    "!=" => "==",
                    ">" => "<",
                    "<" => ">",
                    ">=" => "<=",
                    _ => ">=",
                };
                let change = format!("{} becomes {flipped}", token.text);
                found.push(("comparison flipped", change, replaced(token.at, token.end(), flipped)));
            }
            Kind::Number if token.inside != '{' => {
                for (mutator, factor) in [("threshold doubled", 2.0), ("threshold halved", 0.5)] {
                    if let Some(scaled) = scaled(token.text, factor) {
                        let change = format!("{} becomes {scaled}", token.text);
                        found.push((mutator, change, replaced(token.at, token.end(), &scaled)));
                    }
                }
            }
            // A matcher: name, comparison, string.
            Kind::Comparison => {
                let (name, text) = (tokens[index - 1], tokens[index + 1]);
                let matcher = &expr[name.at..text.end()];
                let before = tokens[index - 2];
                let after = tokens[index + 2];
                let (from, to) = match (before.text, after.text) {
                    ("{", "}") => (before.at, after.end()),
                    ("{", _) => (name.at, after.end()),
                    _ => (before.at, text.end()),
                };
                found.push(("matcher dropped", format!("without {matcher}"), replaced(from, to, "")));
            }
            Kind::Word | Kind::Text | Kind::Open | Kind::Close | Kind::Other | Kind::Number => {}
        }
        if let Some(binding) = token.set_operator() {
            let arms = arms(expr, &tokens, index, binding);
            let (left, right) = (&expr[arms.start..token.at], &expr[arms.right..arms.end]);
            found.push((
                "arm removed",
                format!("without {} {}", token.text, one_line(right)),
                replaced(token.at, arms.end, ""),
            ));
            if token.text != "unless" {
                let change = format!("without {} {}", one_line(left), token.text);
                found.push(("arm removed", change, replaced(arms.start, arms.right, "")));
            }
        }
    }
    found
}

/// The positions of the operands of a set operator.
struct Arms {
    start: usize,
    /// The start of the right operand, after `ignoring (…)` and similar.
    right: usize,
    end: usize,
}

fn arms(expr: &str, tokens: &[Token<'_>], index: usize, binding: u8) -> Arms {
    let depth = tokens[index].depth;
    // Operators of one kind are left-associative: the left operand is everything before, and the right one ends at
    // the next operator.
    let is_end = |token: &Token<'_>, least: u8| {
        token.depth < depth
            || token.depth == depth && token.set_operator().is_some_and(|other| other <= least)
    };
    let closes = |token: &Token<'_>| token.kind == Kind::Close && token.depth < depth;
    let end = tokens[index + 1..]
        .iter()
        .find(|token| closes(token) || is_end(token, binding))
        .map_or(expr.len(), |token| token.at);
    let start = tokens[..index]
        .iter()
        .rev()
        .find(|token| token.depth < depth || is_end(token, binding - 1))
        .map_or(0, Token::end);
    let mut next = index + 1;
    while ["ignoring", "on", "group_left", "group_right"].contains(&tokens[next].text) {
        next += 1;
        if tokens[next].text == "(" {
            next += tokens[next..].iter().position(|token| token.text == ")").map_or(0, |close| close + 1);
        }
    }
    Arms { start, right: tokens[next].at, end }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A number or duration times `factor`. None if the value does not change.
fn scaled(text: &str, factor: f64) -> Option<String> {
    if let Ok(number) = text.parse::<f64>() {
        return (number != 0.0).then(|| format!("{}", number * factor));
    }
    let seconds = seconds_of(text)?;
    Some(if factor > 1.0 { format!("{}s", seconds * 2) } else { format!("{}s", seconds / 2) })
}

/// A duration with a single unit, in seconds.
pub(super) fn seconds_of(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match &text[digits..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    Some(number * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(expr: &str) -> Vec<(String, String)> {
        expressions(expr).into_iter().map(|(_, change, expr)| (change, one_line(&expr))).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn comparisons_are_flipped_and_numbers_scaled() {
        assert_eq!(
            of("x2[1h] >= 0.5"),
            pairs(&[
                ("1h becomes 7200s", "x2[7200s] >= 0.5"),
                ("1h becomes 1800s", "x2[1800s] >= 0.5"),
                (">= becomes <=", "x2[1h] <= 0.5"),
                ("0.5 becomes 1", "x2[1h] >= 1"),
                ("0.5 becomes 0.25", "x2[1h] >= 0.25"),
            ])
        );
        assert_eq!(of("x == 0"), pairs(&[("== becomes !=", "x != 0")]));
    }

    #[test]
    fn matchers_are_dropped_one_at_a_time() {
        assert_eq!(of("x{a=\"1\"}"), pairs(&[("without a=\"1\"", "x")]));
        assert_eq!(
            of("x{a=\"1\",b!~\"2\"}"),
            pairs(&[("without a=\"1\"", "x{b!~\"2\"}"), ("without b!~\"2\"", "x{a=\"1\"}")])
        );
    }

    #[test]
    fn arms_end_where_precedence_says() {
        assert_eq!(
            of("a and ignoring (l) (b unless c) or d unless e"),
            pairs(&[
                ("without and (b unless c)", "a or d unless e"),
                ("without a and", "(b unless c) or d unless e"),
                ("without unless c", "a and ignoring (l) (b ) or d unless e"),
                ("without or d unless e", "a and ignoring (l) (b unless c)"),
                ("without a and ignoring (l) (b unless c) or", "d unless e"),
                ("without unless e", "a and ignoring (l) (b unless c) or d"),
            ])
        );
    }
}
