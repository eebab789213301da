//! Queries, read with Grafana's variables in them.

use std::{convert::Infallible, time::Duration};

use promql_parser::{
    label::MatchOp,
    parser::{self, Expr, VectorSelector},
    util::{ExprVisitor, walk_expr},
};

/// What `$__rate_interval` is taken for: nobody writes this by hand.
pub(super) const RATE_INTERVAL: Duration = Duration::from_secs(11_277_964);

/// A metric that a query asks for.
#[derive(Debug, PartialEq)]
pub(super) struct Selector {
    /// Its name; empty when there is none.
    pub(super) metric: String,
    /// Label, operator and value of each condition.
    pub(super) matchers: Vec<(String, &'static str, String)>,
    /// How far it looks back, where it does.
    pub(super) range: Option<Duration>,
    /// The function that it is given to, where it is.
    pub(super) function: Option<&'static str>,
}

/// Every metric that a query asks for.
///
/// # Errors
/// When it is no PromQL.
pub(super) fn selectors(expr: &str) -> Result<Vec<Selector>, String> {
    let seconds = format!("{}s", RATE_INTERVAL.as_secs());
    let plain =
        expr.replace("$__rate_interval", &seconds).replace("$__interval", "1m").replace("$__range", "7d");
    let parsed = parser::parse(&plain)?;
    let mut collector = Collector { within: Vec::new(), found: Vec::new() };
    match walk_expr(&mut collector, &parsed) {
        Ok(_) => Ok(collector.found),
        Err(never) => match never {},
    }
}

struct Collector {
    /// The functions around the place that is visited; nothing where an operator or an aggregation is.
    within: Vec<Option<&'static str>>,
    found: Vec<Selector>,
}

impl Collector {
    fn add(&mut self, selector: &VectorSelector, range: Option<Duration>) {
        let operator = |op: &MatchOp| match op {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Re(_) => "=~",
            MatchOp::NotRe(_) => "!~",
        };
        let matchers = &selector.matchers.matchers;
        self.found.push(Selector {
            metric: selector.name.clone().unwrap_or_default(),
            matchers: matchers
                .iter()
                .map(|one| (one.name.clone(), operator(&one.op), one.value.clone()))
                .collect(),
            range,
            function: self.within.last().copied().flatten(),
        });
    }
}

impl ExprVisitor for Collector {
    type Error = Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Infallible> {
        match expr {
            Expr::VectorSelector(selector) => self.add(selector, None),
            Expr::MatrixSelector(selector) => self.add(&selector.vs, Some(selector.range)),
            _ => {}
        }
        match expr {
            Expr::Call(call) => self.within.push(Some(call.func.name)),
            // Parentheses change nothing.
            Expr::Paren(_) => self.within.push(self.within.last().copied().flatten()),
            _ => self.within.push(None),
        }
        Ok(true)
    }

    fn post_visit(&mut self, _: &Expr) -> Result<bool, Infallible> {
        self.within.pop();
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_found_with_their_conditions_range_and_function() {
        let found = selectors("sum(rate((a_total{job=~\"$job\"}[$__rate_interval]))) / 2 > b").unwrap();
        assert_eq!(
            found,
            [
                Selector {
                    metric: "a_total".to_owned(),
                    matchers: vec![("job".to_owned(), "=~", "$job".to_owned())],
                    range: Some(RATE_INTERVAL),
                    function: Some("rate"),
                },
                Selector { metric: "b".to_owned(), matchers: Vec::new(), range: None, function: None },
            ]
        );
    }

    #[test]
    fn what_is_no_query_is_an_error() {
        for wrong in ["sum(", "rate(a)", "a{job=~\"(\"}", ""] {
            assert!(selectors(wrong).is_err(), "{wrong}");
        }
    }
}
