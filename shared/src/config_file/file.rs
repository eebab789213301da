//! Parses the whole file into a `ConfigFile`, or a list of all problems.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use super::keys::{self, SECTIONS};
use super::kinds::{Located, Place, Reading, Written, is_null};
use super::knob::{Declared, Knob};
use super::problem::Problem;
use super::suggest::closest;
use super::tree::{self, Entry, Node, Value};
use crate::text::shortened;

/// Size limit. A larger file is not a configuration.
const MAX_BYTES: usize = 1 << 20;

/// The contents of a `backup.yaml`: the value of each key as written, with its line. `Debug` shows only the keys, because values
/// may contain passwords.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ConfigFile {
    values: BTreeMap<&'static str, Located<Node>>,
}

/// A file with problems. Displayed as one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))]
pub struct InvalidConfigFile {
    /// All problems, in the order of the file. Never empty.
    pub problems: Vec<Problem>,
    /// The values that could be read, to report their problems too. Not for use in a run.
    pub readable: Box<ConfigFile>,
}

impl ConfigFile {
    /// Parses the text of a `backup.yaml`. `file` is only used in messages. An empty file is valid.
    ///
    /// # Errors
    /// All problems at once: invalid YAML, unknown or duplicate keys, values of the wrong type or out of range.
    pub fn parse(file: &Path, text: &str) -> Result<Self, InvalidConfigFile> {
        let mut reader =
            Reader { file: file.display().to_string(), config: Self::default(), problems: Vec::new() };
        reader.document(text);
        if reader.problems.is_empty() {
            return Ok(reader.config);
        }
        reader.problems.sort_by_key(|problem| problem.line);
        Err(InvalidConfigFile { problems: reader.problems, readable: Box::new(reader.config) })
    }

    /// The value of a key as written, valid or not.
    pub fn written(&self, key: &str) -> Option<&Located<Node>> {
        self.values.get(key)
    }

    /// The value of a setting. None if the file does not contain it, or if it is invalid.
    pub fn get<T: Default + Send + Sync + 'static>(&self, knob: &Knob<T>) -> Option<Located<T>> {
        let Located { value, line } = self.written(knob.about().key)?;
        Some(Located { value: knob.value(Place::File, Written::Yaml(value))?, line: *line })
    }

    /// Parses each section separately, so that a syntax error in one does not hide the others. Line numbers are not those of the
    /// text.
    pub fn readable_sections(text: &str) -> Self {
        let mut reader = Reader { file: String::new(), config: Self::default(), problems: Vec::new() };
        let mut section = String::new();
        for line in text.lines() {
            if !line.starts_with([' ', '\t', '#']) && !line.is_empty() {
                reader.document(&std::mem::take(&mut section));
            }
            section.push_str(line);
            section.push('\n');
        }
        reader.document(&section);
        reader.config
    }
}

impl fmt::Debug for ConfigFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

struct Reader {
    file: String,
    config: ConfigFile,
    problems: Vec<Problem>,
}

impl Reader {
    fn document(&mut self, text: &str) {
        if text.len() > MAX_BYTES {
            self.report(None, None, format!("larger than {MAX_BYTES} bytes; is this a configuration file?"));
            return;
        }
        let (root, findings) = tree::parse(text.strip_prefix('\u{feff}').unwrap_or(text));
        for (line, message) in findings {
            self.report(Some(line), None, message);
        }
        let Some(root) = root else { return };
        for section in self.entries(&root, "", root.line) {
            self.section(section);
        }
    }

    fn section(&mut self, section: &Entry) {
        let Some((name, known)) = SECTIONS.iter().find(|(name, _)| *name == section.key) else {
            let known: Vec<&str> = SECTIONS.iter().map(|(name, _)| *name).collect();
            self.unknown_key(&section.key, section.line, &section.key, &known);
            return;
        };
        // A section that is a single setting with a list.
        if known.iter().any(|setting| setting.about().key == *name) {
            let is_empty =
                matches!(&section.value.value, Value::Scalar { text, plain: true } if is_null(text));
            if !is_empty {
                self.key(known, name, section);
            }
            return;
        }
        for entry in self.entries(&section.value, name, section.line) {
            self.key(known, &format!("{name}.{}", entry.key), entry);
        }
    }

    /// Reads the value of `entry`, whose dotted name is `key`, in a section of `known` settings.
    fn key(&mut self, known: &[&'static dyn Declared], key: &str, entry: &Entry) {
        if let Some(setting) = known.iter().find(|setting| setting.about().key == key) {
            let mut reading = Reading {
                file: &self.file,
                key: key.to_owned(),
                line: entry.line,
                place: Place::File,
                problems: Vec::new(),
            };
            setting.read(Written::Yaml(&entry.value), &mut reading);
            self.problems.append(&mut reading.problems);
            let located = Located { value: entry.value.clone(), line: entry.line };
            self.config.values.insert(setting.about().key, located);
            return;
        }
        let is_within = |known: &str| known.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
        if known.iter().any(|setting| is_within(setting.about().key)) {
            for inner in self.entries(&entry.value, key, entry.line) {
                self.key(known, &format!("{key}.{}", inner.key), inner);
            }
            return;
        }
        let name = key.split_once('.').map_or(key, |(_, name)| name);
        let names = known.iter().map(|setting| setting.about()).filter(|about| !about.secret);
        self.unknown_key(key, entry.line, name, &names.map(|about| about.name()).collect::<Vec<_>>());
    }

    /// The entries of a mapping, each key once; duplicates are reported. A missing value is an empty mapping, so that all keys of
    /// a section can be commented out.
    fn entries<'n>(&mut self, node: &'n Node, prefix: &str, line: usize) -> Vec<&'n Entry> {
        let entries = match &node.value {
            Value::Mapping(entries) => entries,
            Value::Scalar { text, plain: true } if is_null(text) => return Vec::new(),
            Value::Refused => return Vec::new(),
            Value::Scalar { .. } | Value::Sequence(_) => {
                let name = (!prefix.is_empty()).then_some(prefix);
                self.report(Some(line), name, "expected a mapping of keys to values".to_owned());
                return Vec::new();
            }
        };
        let mut first_lines: BTreeMap<&str, usize> = BTreeMap::new();
        let mut unique = Vec::new();
        for entry in entries {
            if let Some(first) = first_lines.get(entry.key.as_str()) {
                let key =
                    if prefix.is_empty() { entry.key.clone() } else { format!("{prefix}.{}", entry.key) };
                self.report(
                    Some(entry.line),
                    Some(&key),
                    format!("duplicate key; it is already on line {first}"),
                );
            } else {
                first_lines.insert(&entry.key, entry.line);
                unique.push(entry);
            }
        }
        unique
    }

    fn unknown_key(&mut self, full: &str, line: usize, key: &str, known: &[&str]) {
        let elsewhere = || {
            let mut all = keys::all().map(|setting| setting.about());
            all.find(|about| about.name() == key && !about.secret).map(|about| about.key)
        };
        let advice = match closest(key, known.iter().copied()).or_else(elsewhere) {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("known here: {}", known.join(", ")),
        };
        // A key can be as long as the file, but a message must be short.
        self.report(Some(line), Some(&shortened(full, 80)), format!("unknown key; {advice}"));
    }

    fn report(&mut self, line: Option<usize>, key: Option<&str>, message: String) {
        self.problems.push(Problem { file: self.file.clone(), line, key: key.map(str::to_owned), message });
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::{Compression, Located, LogLevel};
    use super::keys::*;
    use super::*;

    fn parse(text: &str) -> Result<ConfigFile, InvalidConfigFile> {
        ConfigFile::parse(Path::new("backup.yaml"), text)
    }

    #[test]
    fn a_key_within_a_mapping_of_its_own_has_a_dotted_name() {
        let config = parse("qdrant:\n  tls:\n    cert_file: /c\n    key_file: /k\n").unwrap();
        let key = config.get(&TLS_KEY_FILE).unwrap();
        assert_eq!((key.value.as_deref(), key.line), (Some(Path::new("/k")), 4));
        assert_eq!(parse("qdrant:\n  tls:\n").unwrap(), ConfigFile::default());
        assert_eq!(
            problems("qdrant:\n  tls:\n    cert_flie: /c\n    key_file: /k\n    key_file: /l\n"),
            [
                "backup.yaml:3: qdrant.tls.cert_flie: unknown key; did you mean tls.cert_file?",
                "backup.yaml:5: qdrant.tls.key_file: duplicate key; it is already on line 4",
            ]
        );
        assert_eq!(
            problems("qdrant: {tls: true}\n"),
            ["backup.yaml:1: qdrant.tls: expected a mapping of keys to values"]
        );
    }

    fn problems(text: &str) -> Vec<String> {
        parse(text).unwrap_err().problems.iter().map(Problem::to_string).collect()
    }

    const EVERY_KEY: &str = r#"# Everything.
qdrant:
  url: https://qdrant.example/prefix
  api_key_file: /etc/qdrant-backup/api-key
  ca_file: /etc/ssl/own.pem
  proxy: http://proxy:3128
  connect_timeout: 5s
  stall_timeout: "90m"
  request_timeout: 1d
  create_timeout: 6h
  retries: 0
backup:
  path: "/srv/backups"
  state_dir: /var/lib/qdrant-backup
  compression: true
  include: [docs, "wiki_*"]
  exclude:
    - "*_tmp"
    - scratch
  keep_server_snapshots: true
  lock_wait: 0s
  limit_rate: 50MiB
  jobs: 4
schedule: {cron: "0 2 * * *", timezone: Europe/Berlin}
retention:
  keep_days: 7
  keep_last: 1
  keep_hourly: 24
  keep_daily: 7
  keep_weekly: 4
  keep_monthly: 12
  keep_yearly: 4294967295
  overrides:
    - {match: "logs-*", keep_days: 3}
    - match: scratch
      keep_last: 2
restore: {settle_timeout: 10m}
drill:
  url: https://test.example
  api_key_file: /etc/qdrant-backup/test-key
  cron: "0 4 * * 0"
  max_size: 1GiB
run: {verify: true, prune: false}
log:
  level: debug
"#;

    #[test]
    fn every_key_is_read_with_its_line() {
        let config = parse(EVERY_KEY).unwrap();
        assert_eq!(config.get(&QDRANT_URL).unwrap().value.unwrap().expose(), "https://qdrant.example/prefix");
        assert_eq!(config.get(&STALL_TIMEOUT), Some(Located { value: Duration::from_secs(5400), line: 8 }));
        assert_eq!(config.get(&RETRIES), Some(Located { value: 0, line: 11 }));
        assert_eq!(config.get(&COMPRESSION), Some(Located { value: Compression::Gzip, line: 15 }));
        let exclude = config.get(&EXCLUDE).unwrap();
        assert_eq!((exclude.line, exclude.value[1].line), (17, 19));
        assert_eq!(exclude.value[1].value, "scratch");
        assert_eq!(config.get(&LIMIT_RATE).unwrap().value.unwrap().get(), 50 << 20);
        assert_eq!(config.get(&JOBS).unwrap().value.unwrap().get(), 4);
        assert_eq!(config.get(&TIMEZONE).unwrap().line, 24);
        assert_eq!(config.get(&KEEP_DAYS), Some(Located { value: NonZeroU32::new(7), line: 26 }));
        let overrides = config.get(&OVERRIDES).unwrap();
        assert_eq!(overrides.value[0].glob, Located { value: "logs-*".to_owned(), line: 34 });
        assert_eq!(overrides.value[0].policy.keep_days, NonZeroU32::new(3));
        assert_eq!(overrides.value[1].glob.line, 35);
        assert_eq!(overrides.value[1].policy.keep_last, NonZeroU32::new(2));
        assert_eq!(config.get(&DRILL_MAX_SIZE), Some(Located { value: 1 << 30, line: 42 }));
        assert_eq!(config.get(&LOG_LEVEL), Some(Located { value: LogLevel::Debug, line: 45 }));
    }

    #[test]
    fn a_file_without_settings_is_valid() {
        for text in
            ["", "\n\n", "# only a comment\n", "---\n", "qdrant:\nbackup:\n  # path: /x\n", "\u{feff}log:\n"]
        {
            assert_eq!(parse(text), Ok(ConfigFile::default()), "{text:?}");
        }
    }

    #[test]
    fn all_problems_are_reported_at_once_with_their_lines() {
        let text = "qdrant:\n  url: 6333\n  api_key: secret-value\n  retries: \"4\"\n  connect_timeout: 0s\n\
                    backup:\n  path:\n  compression: lzma\n  include: docs\n  exclude: [a, 1, \"\"]\n  keep_server_snapshots: yes\n\
                    \n  lock_wait: 5\n  lock_wait: 5s\nretentoin:\n  keep_days: 1\nretention:\n  keep_dayz: 7\n  keep_days: 0\n  \
                    keep_last: 1.5\n  cron: \"* * * * *\"\n  nonsense_altogether: 1\nlog: [a]\nbackup:\n  path: /x\nkeep_daily: 3\n";
        let expected = [
            "backup.yaml:2: qdrant.url: expected text, got a number or boolean; put it in quotes",
            "backup.yaml:3: qdrant.api_key: not allowed in this file, which may be copied or shared; use qdrant.api_key_file, QDRANT_API_KEY or QDRANT_API_KEY_FILE",
            "backup.yaml:4: qdrant.retries: expected a whole number, got the text \"4\"; remove the quotes",
            "backup.yaml:5: qdrant.connect_timeout: expected a duration longer than zero",
            "backup.yaml:7: backup.path: no value; give one or remove the line",
            "backup.yaml:8: backup.compression: expected true, false, gzip, zstd or none, got \"lzma\"",
            "backup.yaml:9: backup.include: expected a list such as [\"docs\", \"wiki_*\"]",
            "backup.yaml:10: backup.exclude: expected text, got a number or boolean; put it in quotes",
            "backup.yaml:10: backup.exclude: the text is empty; give a value or remove the line",
            "backup.yaml:11: backup.keep_server_snapshots: expected true or false, got \"yes\"",
            "backup.yaml:13: backup.lock_wait: expected a duration such as 30s, 90m, 6h or 1d, got \"5\"",
            "backup.yaml:14: backup.lock_wait: duplicate key; it is already on line 13",
            "backup.yaml:15: retentoin: unknown key; did you mean retention?",
            "backup.yaml:18: retention.keep_dayz: unknown key; did you mean keep_days?",
            "backup.yaml:19: retention.keep_days: expected a whole number from 1 to 4294967295, got \"0\"",
            "backup.yaml:20: retention.keep_last: expected a whole number from 1 to 4294967295, got \"1.5\"",
            "backup.yaml:21: retention.cron: unknown key; did you mean schedule.cron?",
            "backup.yaml:22: retention.nonsense_altogether: unknown key; known here: keep_days, keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly, gone_after_days, overrides",
            "backup.yaml:23: log: expected a mapping of keys to values",
            "backup.yaml:24: backup: duplicate key; it is already on line 6",
            "backup.yaml:26: keep_daily: unknown key; did you mean retention.keep_daily?",
        ];
        let found = problems(text);
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(found, expected);
        }
        assert_eq!(found.len(), expected.len());
        assert!(!found.iter().any(|line| line.contains("secret-value")));
    }

    #[test]
    fn problems_of_overrides_name_their_own_lines() {
        let text = "retention:\n  overrides:\n    - match: a\n      keep_dayz: 3\n      keep_days: 0\n      keep_last: 1\n      \
                    keep_last: 2\n    - keep_days: 1\n    - match: b\n    - match: \"\"\n      keep_days: 1\n    - c\n";
        let expected = [
            "backup.yaml:4: retention.overrides: unknown key keep_dayz; did you mean keep_days?",
            "backup.yaml:5: retention.overrides.keep_days: expected a whole number from 1 to 4294967295, got \"0\"",
            "backup.yaml:7: retention.overrides.keep_last: duplicate key; it is already on line 6",
            "backup.yaml:8: retention.overrides: missing `match`: the glob of the collections that this is for",
            "backup.yaml:9: retention.overrides: missing rule: set what to keep, as in `keep_days: 3`",
            "backup.yaml:10: retention.overrides.match: the text is empty; give a value or remove the line",
            "backup.yaml:12: retention.overrides: expected a mapping such as {match: \"logs-*\", keep_days: 3}",
        ];
        assert_eq!(problems(text), expected);
        assert_eq!(
            problems("retention: {overrides: 3}\n"),
            [
                "backup.yaml:1: retention.overrides: expected a list such as [{match: \"logs-*\", keep_days: 3}]"
            ]
        );
    }

    #[test]
    fn what_could_be_read_survives_the_problems() {
        let invalid = parse("log: {level: loud}\nschedule: {cron: 0 2 * * *}\n").unwrap_err();
        assert_eq!(invalid.readable.get(&SCHEDULE_CRON).unwrap().value.unwrap(), "0 2 * * *");
        assert_eq!(
            invalid.problems[0].to_string(),
            "backup.yaml:1: log.level: expected error, warn, info, debug or trace, got \"loud\""
        );
    }

    #[test]
    fn broken_syntax_is_one_line_with_file_and_line() {
        for text in
            ["a: [1\n", "a: \"x\n", "qdrant:\n\turl: x\n", "a: b: c\n", "qdrant:\n  url: x\n url: y\n", "}"]
        {
            let found = problems(text);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with("backup.yaml:"), "{found:?}");
            assert!(found[0].contains(": not valid YAML: "), "{found:?}");
            assert_eq!(found[0].lines().count(), 1);
        }
    }

    #[test]
    fn a_file_that_is_no_configuration_is_refused() {
        assert_eq!(problems("just words")[0], "backup.yaml:1: expected a mapping of keys to values");
        assert_eq!(problems("- a\n- b\n")[0], "backup.yaml:1: expected a mapping of keys to values");
        assert!(problems(&"#".repeat(MAX_BYTES + 1))[0].starts_with("backup.yaml: larger than"));
    }

    #[test]
    fn compression_is_a_boolean_or_a_word() {
        let read = |text: &str| {
            parse(&format!("backup:\n  compression: {text}\n")).unwrap().get(&COMPRESSION).unwrap().value
        };
        for text in ["true", "gzip", "\"true\"", "'gzip'", "True"] {
            assert_eq!(read(text), Compression::Gzip, "{text}");
        }
        assert_eq!(read("zstd"), Compression::Zstd);
        for text in ["false", "none", "\"none\""] {
            assert_eq!(read(text), Compression::None, "{text}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_in_no_debug_output_and_no_problem() {
        let text = "qdrant:\n  url: http://u:pass-word@h\n  proxy: http://u:pass-word@h\nx: 1\n";
        let invalid = parse(text).unwrap_err();
        assert!(!format!("{invalid:?} {invalid}").contains("pass-word"));
    }

    #[test]
    fn control_characters_never_reach_the_output() {
        for line in
            problems("\"a\\u001b[31m\\nb\": 1\nlog: {level: \"\\u0007\\n\"}\nbackup: {path: \"a\\0b\"}\n")
        {
            assert!(!line.chars().any(char::is_control), "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_any_text_never_panics(text in any::<String>()) {
            if let Err(invalid) = parse(&text) {
                prop_assert!(!invalid.problems.is_empty());
                for problem in invalid.problems {
                    prop_assert_eq!(problem.to_string().lines().count(), 1);
                }
            }
        }

        #[test]
        fn parsing_anything_like_yaml_never_panics(text in "([ \t\n]{0,4}(qdrant|backup|url|a|7|~|'|\"|:|: |- |\\? |[\\[\\]{},&*!|>%@#\\\\]|---|\\.\\.\\.|<<|\\\\x|é)){0,40}") {
            if let Err(invalid) = parse(&text) {
                prop_assert!(!invalid.problems.is_empty());
            }
        }

        #[test]
        fn a_damaged_file_never_panics(position in 0..EVERY_KEY.len(), length in 0usize..20, patch in "[ -~\n\t]{0,6}") {
            let mut text = EVERY_KEY.to_owned();
            text.replace_range(position..(position + length).min(EVERY_KEY.len()), &patch);
            if let Err(invalid) = parse(&text) {
                prop_assert!(!invalid.problems.is_empty());
            }
        }
    }
}
