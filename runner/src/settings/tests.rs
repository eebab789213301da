//! Tests of the settings as a whole: precedence, all problems at once, secrets, and the documentation.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qdrant_backup_shared::config_file::keys::{
    self, API_KEY_FILE, BACKUP_PATH, CA_FILE, COMPRESSION, CREATE_TIMEOUT, KEEP_DAYS, KEEP_SERVER_SNAPSHOTS,
    LOCK_WAIT, LOG_LEVEL, RETRIES, STATE_DIR, TLS_CERT_FILE, TLS_KEY_FILE, variables,
};
use qdrant_backup_shared::config_file::{Compression, LogLevel};
use tempfile::TempDir;

use super::{Opts, Settings, SettingsError, Source, render_settings, settings_json};

/// The sources of settings, in a temporary directory.
struct Places {
    dir: TempDir,
    opts: Opts,
    environment: BTreeMap<OsString, OsString>,
}

impl Places {
    fn new() -> Self {
        Self { dir: TempDir::new().unwrap(), opts: Opts::default(), environment: BTreeMap::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.path(name);
        #[expect(clippy::disallowed_methods, reason = "files of a test need not survive a power failure")]
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn config(mut self, text: &str) -> Self {
        self.opts.config = Some(self.write("backup.yaml", text, 0o644));
        self
    }

    fn env_file(mut self, text: &str) -> Self {
        self.opts.env_file = Some(self.write(".env", text, 0o600));
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    fn give(&mut self, option: &'static str, value: impl Into<OsString>) {
        self.opts.given.insert(option, value.into());
    }

    fn load(&self) -> Result<Settings, SettingsError> {
        Settings::load_with(&self.opts, &self.environment, &[])
    }

    fn problems(&self) -> Vec<String> {
        let dir = format!("{}/", self.dir.path().display());
        self.load().unwrap_err().problems.iter().map(|problem| problem.replace(&dir, "")).collect()
    }
}

/// Every key that may be in a file.
fn keys() -> impl Iterator<Item = &'static str> {
    keys::all().map(|setting| setting.about()).filter(|about| !about.secret).map(|about| about.key)
}

#[test]
fn without_any_place_every_value_is_the_documented_default() {
    let settings = Places::new().load().unwrap();
    assert_eq!(settings.qdrant.url.to_string(), "http://localhost:6333");
    assert_eq!(settings.get(&BACKUP_PATH), Path::new("/opt/qdrant/backups"));
    assert_eq!(settings.layout().state(), Path::new("/opt/qdrant/backups"));
    assert_eq!(settings.get(&COMPRESSION), Compression::Gzip);
    assert_eq!(settings.get(&LOCK_WAIT), Duration::ZERO);
    assert_eq!(settings.get(&CREATE_TIMEOUT), Duration::from_secs(21_600));
    assert_eq!(settings.get(&RETRIES), 4);
    assert!(settings.schedule.is_none() && settings.get(&KEEP_DAYS).is_none());
    assert!(settings.selection.selects("anything"));
    let json = settings_json(&settings);
    for (key, row) in json["settings"].as_object().unwrap() {
        assert_eq!(row["source"], "default", "{key}");
    }
}

#[test]
fn each_place_is_overruled_by_the_one_above_it() {
    let mut places = Places::new();
    let mut seen = Vec::new();
    let mut look = |places: &Places| {
        let settings = places.load().unwrap();
        let source = settings
            .source(&BACKUP_PATH)
            .to_string()
            .replace(&format!("{}/", places.dir.path().display()), "");
        seen.push((settings.get(&BACKUP_PATH).display().to_string(), source));
    };
    look(&places);
    places = places.config("# c\nbackup:\n  path: /from/yaml\n");
    look(&places);
    places = places.env_file("# c\nQDRANT_BACKUP_PATH=/from/env-file\n");
    look(&places);
    places = places.variable("QDRANT_BACKUP_PATH", "/from/environment");
    look(&places);
    places.give("--backup-path", "/from/option");
    look(&places);
    let expected = [
        ("/opt/qdrant/backups", "default"),
        ("/from/yaml", "backup.yaml:3 backup.path"),
        ("/from/env-file", "env file .env:2 QDRANT_BACKUP_PATH"),
        ("/from/environment", "environment QDRANT_BACKUP_PATH"),
        ("/from/option", "command line --backup-path"),
    ];
    assert_eq!(seen, expected.map(|(value, source)| (value.to_owned(), source.to_owned())));
}

#[test]
fn every_option_overrules_the_file() {
    let mut places = Places::new().config(
        "qdrant: {url: 'http://y', ca_file: /y}\nbackup: {path: /y, state_dir: /y, compression: gzip, lock_wait: 1s}\nlog: {level: warn}\n",
    );
    places.give("--url", "http://o");
    places.give("--ca-file", "o.pem");
    places.give("--backup-path", "/o");
    places.give("--state-dir", "/o2");
    places.give("--compression", "false");
    places.give("--lock-wait", "90m");
    places.give("--log-level", "debug");
    places.give("--keep-server-snapshots", "true");
    let settings = places.load().unwrap();
    assert_eq!(settings.qdrant.url.to_string(), "http://o");
    assert_eq!(settings.get(&CA_FILE).as_deref(), Some(Path::new("o.pem")));
    assert_eq!(settings.get(&STATE_DIR).unwrap(), Path::new("/o2"));
    assert_eq!(settings.get(&COMPRESSION), Compression::None);
    assert_eq!(settings.get(&LOCK_WAIT), Duration::from_secs(5400));
    assert_eq!(settings.get(&LOG_LEVEL), LogLevel::Debug);
    assert_eq!(settings.source(&KEEP_SERVER_SNAPSHOTS), Source::CommandLine("--keep-server-snapshots"));
}

#[test]
fn every_variable_is_read_from_the_environment_and_from_the_env_file() {
    let values = [
        ("QDRANT_URL", "http://v"),
        ("QDRANT_CA_FILE", "/v.pem"),
        ("QDRANT_TLS_CERT_FILE", "/c.pem"),
        ("QDRANT_TLS_KEY_FILE", "/k.pem"),
        ("QDRANT_API_KEY", "v"),
        ("QDRANT_BACKUP_PATH", "/v"),
        ("QDRANT_BACKUP_STATE_DIR", "/v2"),
        ("BACKUP_RETENTION_DAYS", "7"),
        ("BACKUP_SCHEDULE", "0 2 * * *"),
        ("BACKUP_COMPRESSION", "none"),
    ];
    let mut from_environment = Places::new();
    for (name, value) in values {
        from_environment = from_environment.variable(name, value);
    }
    let text: String = values.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    for places in [from_environment, Places::new().env_file(&text)] {
        let settings = places.load().unwrap();
        assert_eq!(settings.qdrant.url.to_string(), "http://v");
        assert_eq!(settings.get(&CA_FILE).as_deref(), Some(Path::new("/v.pem")));
        assert_eq!(settings.get(&TLS_CERT_FILE).as_deref(), Some(Path::new("/c.pem")));
        assert_eq!(settings.get(&TLS_KEY_FILE).as_deref(), Some(Path::new("/k.pem")));
        assert_eq!(settings.qdrant.api_key.as_ref().unwrap().expose(), "v");
        assert_eq!(settings.get(&BACKUP_PATH), Path::new("/v"));
        assert_eq!(settings.get(&STATE_DIR).unwrap(), Path::new("/v2"));
        assert_eq!(settings.get(&KEEP_DAYS).unwrap().get(), 7);
        assert_eq!(settings.schedule.as_ref().unwrap().expression(), "0 2 * * *");
        assert_eq!(settings.get(&COMPRESSION), Compression::None);
    }
}

#[test]
fn an_empty_variable_is_an_unset_one() {
    let mut places = Places::new().env_file("QDRANT_URL=\nBACKUP_SCHEDULE=''\nQDRANT_API_KEY=\n");
    for name in variables() {
        places = places.variable(name, "");
    }
    let settings = places.load().unwrap();
    assert_eq!(settings.qdrant.url.source, Source::Default);
    assert!(settings.schedule.is_none() && settings.qdrant.api_key.is_none());
}

#[test]
fn an_empty_key_is_told_of_unless_there_is_one_elsewhere() {
    let places = Places::new().variable("QDRANT_API_KEY", "");
    let warnings = places.load().unwrap().warnings;
    assert_eq!(
        warnings,
        ["QDRANT_API_KEY is empty, and no key is set elsewhere: requests to Qdrant have no API key"]
    );
    let warnings = places.env_file("QDRANT_API_KEY=k\n").load().unwrap().warnings;
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(Places::new().env_file("QDRANT_API_KEY=\n").load().unwrap().warnings.len(), 1);
}

#[test]
fn a_server_without_a_port_is_told_of_wherever_it_is_named() {
    let mut places = Places::new().config("qdrant: {url: 'http://a'}\ndrill: {url: 'http://b'}\n");
    places.opts.to = Some("http://c".to_owned());
    let warnings = places.load().unwrap().warnings;
    let expected = [
        ("backup.yaml:1: qdrant.url: ", "http://a:6333"),
        ("--to: ", "http://c:6333"),
        ("backup.yaml:2: drill.url: ", "http://b:6333"),
    ];
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    for (warning, (place, url)) in warnings.iter().zip(expected) {
        assert!(warning.contains(place) && warning.contains(url), "{warning}");
    }
}

#[test]
fn other_programs_variables_are_ignored_in_the_environment() {
    let places = Places::new()
        .variable("QDRANT__SERVICE__API_KEY", "x")
        .variable("BACKUP_TARGET", "x")
        .variable("QDRANT_URI", "x");
    assert!(places.load().is_ok());
}

#[test]
fn all_problems_of_all_places_are_reported_together() {
    let mut places = Places::new()
        .config(
            "qdrant: {url: 'ftp://h', proxy: 'http://p/x'}\nretention:\n  keep_dayz: 1\nschedule:\n  cron: 0 0 2 * * *\n  timezone: Europe/Berln\n\
             backup:\n  path: backups\n  exclude:\n    - ok\n    - '[x'\n  include: []\n",
        )
        .env_file("BACKUP_COMPRESSION=lzma\nBACKUP_RETENTION_DAY=3\n")
        .variable("BACKUP_RETENTION_DAYS", "0")
        .variable("BACKUP_SCHEDULE", "0 2 * *");
    places.environment.insert("QDRANT_CA_FILE".into(), OsString::from_vec(vec![b'/', 0xff]));
    places.give("--log-level", "loud");
    places.give("--url", "http://user:pass-word@h");
    let expected = [
        ".env:2: BACKUP_RETENTION_DAY: unknown variable; did you mean BACKUP_RETENTION_DAYS?",
        "backup.yaml:3: retention.keep_dayz: unknown key; did you mean keep_days?",
        "--url: every user of this machine can read the command line: put a URL with a password into QDRANT_URL or backup.yaml",
        "backup.yaml:1: qdrant.url: expected a URL that begins with http:// or https://",
        "environment variable QDRANT_CA_FILE: not valid UTF-8",
        "backup.yaml:1: qdrant.proxy: the proxy's URL has a path; only host and port can be used here",
        "backup.yaml:8: backup.path: expected an absolute path, beginning with /",
        ".env:1: BACKUP_COMPRESSION: expected true, false, gzip, zstd or none, got \"lzma\"",
        "backup.yaml:12: backup.include: an empty list includes nothing; remove the line to include everything",
        "backup.yaml:11: backup.exclude: not a glob: unclosed character class; missing ']'",
        "backup.yaml:6: schedule.timezone: unknown time zone; expected local or an IANA name such as Europe/Berlin; did you mean Europe/Berlin?",
        "environment variable BACKUP_SCHEDULE: not a cron expression: it has 4 fields, not 5",
        "backup.yaml:5: schedule.cron: not a cron expression: it has 6 fields, not 5; seconds are not supported",
        "environment variable BACKUP_RETENTION_DAYS: expected a whole number of at least 1; to keep everything, leave it unset",
        "--log-level: expected error, warn, info, debug or trace, got \"loud\"",
    ];
    let mut problems = places.problems();
    let mut expected = expected.map(str::to_owned);
    problems.sort();
    expected.sort();
    assert_eq!(problems, expected);
    assert_eq!(places.load().unwrap_err().to_string().lines().count(), expected.len());
    assert_eq!(SettingsError::EXIT_CODE, 78);
}

#[test]
fn a_file_that_was_named_must_exist_and_a_default_one_need_not() {
    let mut places = Places::new();
    places.opts.config = Some(places.path("missing.yaml"));
    places.opts.env_file = Some(places.path("missing.env"));
    assert_eq!(
        places.problems(),
        [
            "--env-file: cannot read missing.env: No such file or directory (os error 2)",
            "--config: cannot read missing.yaml: No such file or directory (os error 2)"
        ]
    );

    let places = Places::new();
    let second = places.write("second.yaml", "log: {level: trace}\n", 0o644);
    let under_a_file = second.join("backup.yaml");
    let load = |defaults: &[PathBuf]| Settings::load_with(&Opts::default(), &BTreeMap::new(), defaults);
    let settings = load(&[places.path("first.yaml"), under_a_file.clone(), second.clone()]).unwrap();
    assert_eq!((settings.get(&LOG_LEVEL), settings.config_file), (LogLevel::Trace, Some(second.clone())));
    assert_eq!(load(&[under_a_file]).unwrap().config_file, None);

    let first = places.write("first.yaml", "", 0o644);
    assert_eq!(load(&[first.clone(), second]).unwrap().config_file, Some(first));
    // A directory stands for any unreadable file, which is not the same as a missing one.
    let problems = load(&[places.dir.path().to_owned()]).unwrap_err().problems;
    assert!(problems[0].starts_with("configuration: cannot read "), "{problems:?}");
}

#[test]
fn the_key_comes_from_the_highest_place_that_has_one() {
    let places = Places::new();
    let file = places.write("key", "from-file\n", 0o600);
    let yaml = format!("qdrant: {{api_key_file: {}}}\n", file.display());
    let key = |places: &Places| places.load().unwrap().qdrant.api_key.as_ref().unwrap().expose().to_owned();

    let mut places = places.config(&yaml);
    assert_eq!(key(&places), "from-file");
    assert_eq!(places.load().unwrap().get(&API_KEY_FILE).as_deref(), Some(file.as_path()));
    places = places.env_file("QDRANT_API_KEY=from-env-file\n");
    assert_eq!(key(&places), "from-env-file");
    assert_eq!(places.load().unwrap().get(&API_KEY_FILE), None);
    places = places.variable("QDRANT_API_KEY", "from-environment");
    assert_eq!(key(&places), "from-environment");
    places.give("--api-key-file", file);
    assert_eq!(key(&places), "from-file");
}

#[test]
fn two_keys_at_the_same_place_are_an_error() {
    let places = Places::new().variable("QDRANT_API_KEY", "a").variable("QDRANT_API_KEY_FILE", "/k");
    assert_eq!(
        places.problems(),
        ["environment variable QDRANT_API_KEY_FILE: QDRANT_API_KEY is also set; set only one of the two"]
    );
    let places = Places::new().env_file("QDRANT_API_KEY=a\nQDRANT_API_KEY_FILE=/k\n");
    assert_eq!(
        places.problems(),
        [".env:2: QDRANT_API_KEY_FILE: QDRANT_API_KEY is also set; set only one of the two"]
    );
}

#[test]
fn a_bad_key_file_is_named_and_its_content_is_not() {
    for (content, reason) in [
        ("", "the API key is empty"),
        ("s3cret\nmore", "the API key has a line break at position 7; give only the key, in one line"),
    ] {
        let mut places = Places::new();
        places.give("--api-key-file", places.write("key", content, 0o600));
        assert_eq!(places.problems(), [format!("--api-key-file: cannot use the API key file key: {reason}")]);
    }
    let places = Places::new().variable("QDRANT_API_KEY_FILE", "s3cret-pasted-into-the-wrong-variable");
    assert_eq!(
        places.problems(),
        ["environment variable QDRANT_API_KEY_FILE: expected an absolute path, beginning with /"]
    );
    let mut places = Places::new();
    places.give("--api-key-file", places.path("missing"));
    assert!(
        places.problems()[0].starts_with("--api-key-file: cannot use the API key file missing: No such file")
    );
}

#[test]
fn a_key_that_others_can_read_is_a_warning() {
    let mut places = Places::new();
    places.give("--api-key-file", places.write("key", "k\n", 0o644));
    let warnings = places.load().unwrap().warnings;
    assert!(warnings[0].starts_with("the API key file can be read by every user"), "{warnings:?}");
    places.give("--api-key-file", places.write("key", "k\n", 0o640));
    assert!(places.load().unwrap().warnings.is_empty());

    places.opts =
        Opts { env_file: Some(places.write(".env", "QDRANT_API_KEY=k\n", 0o644)), ..Opts::default() };
    assert_eq!(places.load().unwrap().warnings.len(), 1);
    places.opts.env_file = Some(places.write(".env", "QDRANT_URL=http://h:6333\n", 0o644));
    assert!(places.load().unwrap().warnings.is_empty());
}

#[test]
fn a_client_certificate_and_its_key_come_together_from_any_place() {
    let places = Places::new().config("qdrant:\n  tls:\n    cert_file: /c.pem\n");
    assert_eq!(
        places.problems(),
        [
            "backup.yaml:3: qdrant.tls.cert_file: a certificate needs its key: also set qdrant.tls.key_file (QDRANT_TLS_KEY_FILE)"
        ]
    );
    let places = Places::new().env_file("QDRANT_TLS_KEY_FILE=/k.pem\n");
    assert_eq!(
        places.problems(),
        [
            ".env:1: QDRANT_TLS_KEY_FILE: a key needs its certificate: also set qdrant.tls.cert_file (QDRANT_TLS_CERT_FILE)"
        ]
    );
    // Each problem is reported once.
    let places = Places::new().config("qdrant: {tls: {cert_file: /c.pem, key_file: k.pem}}\n");
    assert_eq!(
        places.problems(),
        ["backup.yaml:1: qdrant.tls.key_file: expected an absolute path, beginning with /"]
    );

    let places = Places::new();
    let key = places.write("k.pem", "no key", 0o644);
    let places = places
        .config("qdrant: {tls: {cert_file: /c.pem}}\n")
        .variable("QDRANT_TLS_KEY_FILE", &key.display().to_string());
    let settings = places.load().unwrap();
    assert_eq!(settings.get(&TLS_KEY_FILE).as_deref(), Some(key.as_path()));
    assert!(
        settings.warnings[0].starts_with("the client key file can be read by every user"),
        "{settings:?}"
    );
}

#[test]
fn secrets_are_in_no_output() {
    let places = Places::new()
        .config(
            "qdrant: {url: 'http://hidden-user:hidden-1@h', proxy: 'http://hidden-user:hidden-2@p:3128'}\n",
        )
        .variable("QDRANT_API_KEY", "hidden-3");
    let settings = places.load().unwrap();
    let shown = render_settings(&settings);
    assert!(shown.contains("http://********@h "), "{shown}");
    let json = settings_json(&settings);
    assert_eq!(json["settings"]["qdrant.api_key"]["value"], "********");
    assert_eq!(json["settings"]["qdrant.proxy"]["value"], "http://********@p:3128");
    for output in [shown, json.to_string(), format!("{settings:?}"), format!("{settings:#?}")] {
        assert!(!output.contains("hidden"), "{output}");
    }
}

#[test]
fn show_lists_every_key_with_its_value_and_source() {
    let places = Places::new().config("retention:\n  keep_days: 7\nbackup:\n  exclude: ['*_tmp', x]\n");
    let settings = places.load().unwrap();
    let shown = render_settings(&settings).replace(&format!("{}/", places.dir.path().display()), "");
    let json = settings_json(&settings);
    for name in keys() {
        assert!(json["settings"].get(name).is_some(), "{name}");
        assert!(shown.contains(&format!("\n{name} ")), "{name} in {shown}");
    }
    let line = |key: &str| {
        let line = shown.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("configuration file"), "configuration file: backup.yaml");
    assert_eq!(line("retention.keep_days"), "retention.keep_days 7 backup.yaml:2 retention.keep_days");
    assert_eq!(line("backup.exclude"), "backup.exclude *_tmp, x backup.yaml:4 backup.exclude");
    assert_eq!(line("qdrant.create_timeout"), "qdrant.create_timeout 6h default");
    assert_eq!(line("schedule.cron"), "schedule.cron none default");
}

#[test]
fn the_documentation_names_every_key_and_every_variable() {
    let documentation = include_str!("../../../docs/configuration.md");
    for key in keys() {
        assert!(documentation.contains(&format!("| `{key}` |")), "{key}");
    }
    for name in variables() {
        assert!(documentation.contains(&format!("`{name}`")), "{name}");
    }
    for path in super::DEFAULT_CONFIG_FILES {
        assert!(documentation.contains(path), "{path}");
    }
}

#[test]
fn the_documented_example_is_valid_and_names_every_key() {
    let documentation = include_str!("../../../docs/configuration.md");
    let example = documentation.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let mut places = Places::new();
    let key_file = places.write("key", "k\n", 0o600);
    let example = example.replace("/etc/qdrant-backup/api-key", &key_file.display().to_string());
    places = places.config(&example);
    let json = settings_json(&places.load().unwrap());
    for key in keys() {
        assert_ne!(json["settings"][key]["source"], "default", "{key}");
    }
}
