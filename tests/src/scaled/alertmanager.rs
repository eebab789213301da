//! Alertmanager's configuration.

use serde_json::{Value, json};

use super::Scale;
use super::yaml::{Mapping, mapping, mappings, parse, text, unknown};

/// With a shorter wait, a busy machine could send an alert before the alert that inhibits it has arrived.
const LEAST_WAIT_MILLISECONDS: u64 = 1_000;

/// The configuration with all waits shortened and all receivers posting to `url`: the notification itself to
/// `URL/RECEIVER`, and the text rendered from the receiver's templates to `URL/RECEIVER/text`.
///
/// # Errors
/// When the file contains an unknown construct.
pub fn alertmanager(file: &str, scale: Scale, url: &str) -> Result<String, String> {
    let mut scaled = Mapping::new();
    for (key, value) in parse(file)? {
        let value = match key.as_str() {
            "global" => {
                // The mail settings are not used here.
                if let Some(key) = mapping("global", value)?.keys().find(|key| !key.starts_with("smtp_")) {
                    return unknown("global", key);
                }
                continue;
            }
            "templates" => value,
            "route" => route(mapping("route", value)?, scale)?,
            "inhibit_rules" => {
                for rule in mappings("inhibit_rules", value.clone())? {
                    let is_known = |key: &&String| {
                        ["source_matchers", "target_matchers", "equal"].contains(&key.as_str())
                    };
                    if let Some(key) = rule.keys().find(|key| !is_known(key)) {
                        return unknown("an inhibit rule", key);
                    }
                }
                value
            }
            "receivers" => {
                let receivers = mappings("receivers", value)?.into_iter().map(|one| receiver(one, url));
                receivers.collect::<Result<Vec<_>, _>>()?.into()
            }
            _ => return unknown("Alertmanager's configuration", &key),
        };
        scaled.insert(key, value);
    }
    Ok(Value::from(scaled).to_string())
}

fn route(route: Mapping, scale: Scale) -> Result<Value, String> {
    let mut scaled = Mapping::new();
    for (key, value) in route {
        let value = match key.as_str() {
            "receiver" | "group_by" | "matchers" => value,
            "group_wait" | "group_interval" | "repeat_interval" => {
                scale.duration_of_at_least(LEAST_WAIT_MILLISECONDS, &text(&key, &value)?)?.into()
            }
            "routes" => {
                let routes = mappings("routes", value)?.into_iter().map(|one| self::route(one, scale));
                routes.collect::<Result<Vec<_>, _>>()?.into()
            }
            _ => return unknown("a route", &key),
        };
        scaled.insert(key, value);
    }
    Ok(scaled.into())
}

fn receiver(mut receiver: Mapping, url: &str) -> Result<Value, String> {
    let name = text("a receiver's name", &receiver.remove("name").unwrap_or_default())?;
    let (mut webhooks, mut texts) = (Vec::new(), Vec::new());
    for (key, value) in receiver {
        for way in mappings(&key, value)? {
            let send_resolved =
                way.get("send_resolved").cloned().ok_or(format!("{name} leaves send_resolved open"))?;
            let known: &[&str] = match key.as_str() {
                "email_configs" => {
                    texts.push(as_text(&name, &way, url)?);
                    &["to", "send_resolved", "headers", "html", "text"]
                }
                "webhook_configs" => &["url", "send_resolved", "http_config"],
                _ => return unknown(&name, &key),
            };
            if let Some(key) = way.keys().find(|key| !known.contains(&key.as_str())) {
                return unknown(&name, key);
            }
            webhooks.push(json!({ "url": format!("{url}/{name}"), "send_resolved": send_resolved }));
        }
    }
    Ok(json!({ "name": name, "webhook_configs": webhooks, "slack_configs": texts }))
}

/// Besides mail, only the Slack receiver renders templates, so it posts the mail's templates here.
fn as_text(name: &str, mail: &Mapping, url: &str) -> Result<Value, String> {
    let headers = mapping("headers", mail.get("headers").cloned().unwrap_or_default())?;
    let (Some(subject), 1, Some(text)) = (headers.get("Subject"), headers.len(), mail.get("text")) else {
        return Err(format!("{name} sends mail with other parts than a subject and a text"));
    };
    Ok(json!({
        "api_url": format!("{url}/{name}/text"), "channel": "test", "send_resolved": mail["send_resolved"],
        "title": subject, "text": text,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
global: {smtp_from: a@example.org}
templates: [t/*.tmpl]
route:
  receiver: a
  group_wait: 30s
  routes:
    - matchers: [alertname="W", severity=~"x.+"]
      receiver: b
      group_wait: 0s
      repeat_interval: 12h
inhibit_rules:
  - source_matchers: [alertname="A"]
    target_matchers: [alertname="B"]
    equal: [job]
receivers:
  - name: a
    email_configs:
      - {to: a@example.org, send_resolved: true, headers: {Subject: '{{ s }}'}, html: "", text: '{{ t }}'}
  - name: b
    webhook_configs: [{url: 'https://example.org', send_resolved: false}]
"#;

    #[test]
    fn waits_are_shortened_messages_come_here_and_the_rest_stays() {
        let scaled: Value =
            serde_json::from_str(&alertmanager(FILE, Scale(60), "http://h").unwrap()).unwrap();
        assert_eq!(
            scaled,
            json!({
                "templates": ["t/*.tmpl"],
                "route": {
                    "receiver": "a",
                    "group_wait": "1000ms",
                    "routes": [{
                        "matchers": ["alertname=\"W\"", "severity=~\"x.+\""],
                        "receiver": "b",
                        "group_wait": "0s",
                        "repeat_interval": "720000ms",
                    }],
                },
                "inhibit_rules": [{
                    "source_matchers": ["alertname=\"A\""],
                    "target_matchers": ["alertname=\"B\""],
                    "equal": ["job"],
                }],
                "receivers": [
                    {
                        "name": "a",
                        "webhook_configs": [{ "url": "http://h/a", "send_resolved": true }],
                        "slack_configs": [{
                            "api_url": "http://h/a/text", "channel": "test", "send_resolved": true,
                            "title": "{{ s }}", "text": "{{ t }}",
                        }],
                    },
                    {
                        "name": "b",
                        "webhook_configs": [{ "url": "http://h/b", "send_resolved": false }],
                        "slack_configs": [],
                    },
                ],
            })
        );
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        for (from, to) in [
            ("{smtp_from: a@example.org}", "{resolve_timeout: 5m}"),
            ("templates:", "mute_time_intervals:"),
            ("group_wait: 30s", "continue: true"),
            ("group_wait: 30s", "group_wait: soon"),
            ("equal: [job]", "equals: [job]"),
            ("email_configs", "pagerduty_configs"),
            ("send_resolved: false", "max_alerts: 1"),
            ("send_resolved: false", "send_resolved: false, max_alerts: many"),
            ("{Subject: '{{ s }}'}", "{}"),
            ("  - name: b", "  - title: b"),
        ] {
            assert!(FILE.contains(from), "{from}");
            assert!(alertmanager(&FILE.replacen(from, to, 1), Scale(60), "http://h").is_err(), "{to}");
        }
    }
}
