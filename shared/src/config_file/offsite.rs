//! `offsite`: a list of mappings, one for each offsite place.

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::kinds::{self, Kind, Located, MASK, Reading, Written};
use super::policy::Policy;
use super::suggest::closest;
use super::tree::{Entry, Node, Value};
use super::types::{SecretText, parse_duration, parse_rate};
use crate::place_name::is_place_name;
use crate::text::{one_line, shortened};

/// An offsite place: a restic repository and its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsitePlace {
    /// Its name, with the line.
    pub name: Located<String>,
    /// The repository, as for restic's `-r`. It may contain a password.
    pub repository: SecretText,
    /// The file with the repository's password.
    pub password_file: PathBuf,
    /// A file with environment variables for restic.
    pub environment_file: Option<PathBuf>,
    /// Retention of the copies. If unset, that of the backup directory.
    pub retention: Option<Policy>,
    /// Whether deletion there is impossible.
    pub append_only: bool,
    /// Maximum upload rate, in bytes per second.
    pub limit_upload: Option<NonZeroU64>,
    /// Time in which everything there is read back once. None to never do it.
    pub check: Option<Duration>,
    /// When to remove data that no copy needs, as a cron expression, with its line.
    pub prune_schedule: Located<String>,
    /// The restic program.
    pub restic: PathBuf,
    /// Additional arguments for every restic command.
    pub extra_options: Vec<String>,
}

/// Every key of a place, in the order of the documentation.
const KEYS: [&str; 11] = [
    "name",
    "repository",
    "password_file",
    "environment_file",
    "retention",
    "append_only",
    "limit_upload",
    "check",
    "prune_schedule",
    "restic",
    "extra_options",
];
const DEFAULT_CHECK: Duration = Duration::from_secs(30 * 86_400);
/// Minimum length of a part of a password that is masked, in bytes.
const PIECE: usize = 3;
const DEFAULT_PRUNE: &str = "@weekly";
const EXPECTED: &str = "expected a list such as [{name: nas, repository: /mnt/nas/restic, password_file: /etc/qdrant-backup/restic-password}]";

/// A list of places. Only the name and the repository without secrets are shown.
pub(super) const PLACES: Kind<Vec<OffsitePlace>> = Kind { read: places, show: |places| shown(places) };

fn shown(places: &[OffsitePlace]) -> Json {
    places.iter().map(|place| json!(format!("{}: {}", place.name.value, place.shown_repository()))).collect()
}

impl OffsitePlace {
    /// The repository for display, without user and password.
    pub fn shown_repository(&self) -> String {
        shown_repository(self.repository.expose())
    }
}

/// A restic repository without secrets: removes everything between `//` and the last `@` of the host, and the parameters of an
/// rclone connection string.
pub fn shown_repository(repository: &str) -> String {
    if let Some((remote, parameters)) = rclone_parameters(repository) {
        // A colon in quotes belongs to a value.
        let path = repository.rsplit_once(':').filter(|(_, path)| !path.contains(['"', '\'']));
        let path = path.filter(|_| parameters.len() < repository.len() - remote.len() - 1);
        return one_line(&format!(
            "{remote},{MASK}{}",
            path.map(|(_, path)| format!(":{path}")).unwrap_or_default()
        ));
    }
    let Some((scheme, rest)) = repository.split_once("//") else { return one_line(repository) };
    let (host, path) = match rest.find('/') {
        // A password may contain a slash; the host is then after it.
        Some(end) if !rest[end..].contains('@') => rest.split_at(end),
        Some(_) | None => match rest.rfind('@').and_then(|at| rest[at..].find('/').map(|end| at + end)) {
            Some(end) => rest.split_at(end),
            None => (rest, ""),
        },
    };
    let host = match host.rsplit_once('@') {
        Some((_, host)) => format!("{MASK}@{host}"),
        None => host.to_owned(),
    };
    one_line(&format!("{scheme}//{host}{path}"))
}

/// The remote before the parameters of `rclone:REMOTE,NAME=VALUE,…:PATH`, and the parameters.
fn rclone_parameters(repository: &str) -> Option<(&str, &str)> {
    let rest = repository.strip_prefix("rclone:")?;
    let connection = rest.rsplit_once(':').map_or(rest, |(connection, _)| connection);
    let (remote, parameters) = connection.split_once(',')?;
    Some((&repository[.."rclone:".len() + remote.len()], parameters))
}

/// Secrets in the address of a restic repository, the longest first. restic also repeats parts of an address that it cannot read,
/// such as the password up to a slash.
pub fn repository_secrets(repository: &str) -> Vec<String> {
    let mut secrets = Vec::new();
    if let Some((_, parameters)) = rclone_parameters(repository) {
        secrets.push(parameters);
        let values = parameters.split(',').map(|one| one.split_once('=').map_or(one, |(_, value)| value));
        secrets
            .extend(values.map(|value| value.trim_matches(['"', '\''])).filter(|value| value.len() >= PIECE));
    } else if let Some((_, rest)) = repository.split_once("//")
        && let Some((user, _)) = rest.rsplit_once('@')
    {
        secrets.push(user);
        if let Some((_, password)) = user.split_once(':') {
            secrets.push(password);
            secrets.extend(password.split(['/', '@', ':', '?', '#']).filter(|piece| piece.len() >= PIECE));
        }
    }
    secrets.retain(|secret| !secret.is_empty());
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.into_iter().map(str::to_owned).collect()
}

/// A list of places. None if one of them is invalid.
fn places(written: Written<'_>, reading: &mut Reading<'_>) -> Option<Vec<OffsitePlace>> {
    let items = kinds::list(written, reading, EXPECTED)?;
    let before = reading.problems.len();
    let places: Vec<OffsitePlace> = items.iter().filter_map(|item| one(item, reading)).collect();
    let mut names = BTreeSet::new();
    for place in &places {
        if !names.insert(&place.name.value) {
            let name = &place.name.value;
            reading.refuse_at(place.name.line, format!("two places have the name {name}"));
        }
    }
    (reading.problems.len() == before).then_some(places)
}

/// The keys of a place read so far.
#[derive(Default)]
struct Draft {
    name: Option<Located<String>>,
    repository: Option<SecretText>,
    password_file: Option<PathBuf>,
    environment_file: Option<PathBuf>,
    retention: Option<Policy>,
    append_only: Option<bool>,
    limit_upload: Option<NonZeroU64>,
    check: Option<Option<Duration>>,
    prune_schedule: Option<Located<String>>,
    restic: Option<PathBuf>,
    extra_options: Option<Vec<String>>,
}

fn one(item: &Node, reading: &mut Reading<'_>) -> Option<OffsitePlace> {
    let Value::Mapping(entries) = &item.value else {
        if !matches!(item.value, Value::Refused) {
            reading.refuse_at(item.line, EXPECTED);
        }
        return None;
    };
    let before = reading.problems.len();
    let mut draft = Draft::default();
    let mut seen = BTreeSet::new();
    for entry in entries {
        if !seen.insert(entry.key.as_str()) {
            reading.refuse_at(entry.line, format!("duplicate key {}", shortened(&entry.key, 80)));
            continue;
        }
        if !KEYS.contains(&entry.key.as_str()) {
            reading.refuse_at(entry.line, unknown(&entry.key, &KEYS));
            continue;
        }
        let mut of_key = reading.within(&entry.key, entry.line);
        draft.take(entry, &mut of_key);
        reading.problems.append(&mut of_key.problems);
    }
    for (key, why) in [
        ("name", "it identifies the place in copies, metrics and alerts"),
        ("repository", "it is the repository, as for restic's -r"),
        ("password_file", "it is the file with the repository's password"),
    ] {
        if !seen.contains(key) {
            reading.refuse_at(item.line, format!("missing `{key}`: {why}"));
        }
    }
    if reading.problems.len() > before {
        return None;
    }
    Some(OffsitePlace {
        name: draft.name?,
        repository: draft.repository?,
        password_file: draft.password_file?,
        environment_file: draft.environment_file,
        retention: draft.retention,
        append_only: draft.append_only.unwrap_or(false),
        limit_upload: draft.limit_upload,
        check: draft.check.unwrap_or(Some(DEFAULT_CHECK)),
        prune_schedule: draft
            .prune_schedule
            .unwrap_or_else(|| Located { value: DEFAULT_PRUNE.to_owned(), line: item.line }),
        restic: draft.restic.unwrap_or_else(|| PathBuf::from("restic")),
        extra_options: draft.extra_options.unwrap_or_default(),
    })
}

impl Draft {
    fn take(&mut self, entry: &Entry, reading: &mut Reading<'_>) {
        let written = Written::Yaml(&entry.value);
        match entry.key.as_str() {
            "name" => {
                let name = kinds::text(written, reading).filter(|name| {
                    let good = is_place_name(name);
                    if !good {
                        reading.refuse(
                            "expected 1 to 32 characters a-z, 0-9, - and _, beginning with a letter or digit",
                        );
                    }
                    good
                });
                self.name = name.map(|value| Located { value, line: entry.line });
            }
            "repository" => {
                self.repository = kinds::text(written, reading).map(SecretText::new);
            }
            "password_file" => self.password_file = (kinds::FILE.read)(written, reading).flatten(),
            "environment_file" => self.environment_file = (kinds::FILE.read)(written, reading).flatten(),
            "retention" => self.retention = rules(&entry.value, reading),
            "append_only" => self.append_only = (kinds::SWITCH.read)(written, reading),
            "limit_upload" => {
                let text = kinds::text(written, reading);
                self.limit_upload = text.and_then(|text| accepted(parse_rate(&text), reading));
            }
            "check" => {
                let text = kinds::text(written, reading);
                self.check = text.and_then(|text| within(&text, reading));
            }
            "prune_schedule" => {
                let text = kinds::text(written, reading);
                self.prune_schedule = text.map(|value| Located { value, line: entry.line });
            }
            "restic" => {
                let program = kinds::text(written, reading);
                self.restic = program.filter(|program| is_program(program, reading)).map(PathBuf::from);
            }
            _ => {
                let texts = (kinds::TEXTS.read)(written, reading);
                self.extra_options = texts.map(|texts| texts.into_iter().map(|text| text.value).collect());
            }
        }
    }
}

fn accepted<T>(read: Result<T, super::types::BadValue>, reading: &mut Reading<'_>) -> Option<T> {
    read.map_err(|error| reading.refuse(error.to_string())).ok()
}

/// `none` or a duration.
fn within(text: &str, reading: &mut Reading<'_>) -> Option<Option<Duration>> {
    if text == "none" {
        return Some(None);
    }
    let duration = accepted(parse_duration(text), reading)?;
    if duration.is_zero() {
        reading.refuse("expected a duration longer than zero, or none");
        return None;
    }
    Some(Some(duration))
}

fn is_program(program: &str, reading: &mut Reading<'_>) -> bool {
    let good = !program.contains('/') || program.starts_with('/');
    if !good {
        reading.refuse("expected a program: an absolute path, or a name that is in PATH");
    }
    good
}

/// Rules of retention; at least one.
fn rules(node: &Node, reading: &mut Reading<'_>) -> Option<Policy> {
    let Value::Mapping(entries) = &node.value else {
        if !matches!(node.value, Value::Refused) {
            reading.refuse("expected a mapping such as {keep_daily: 14, keep_monthly: 12}");
        }
        return None;
    };
    let mut policy = Policy::default();
    for entry in entries {
        let mut of_key = reading.within(&entry.key, entry.line);
        match policy.number_mut(&entry.key) {
            Some(number) if number.is_some() => of_key.refuse("duplicate key"),
            Some(number) => {
                *number = kinds::positive(Written::Yaml(&entry.value), &mut of_key).and_then(NonZeroU32::new);
            }
            None => {
                let names: Vec<&str> = Policy::names().collect();
                reading.refuse_at(entry.line, unknown(&entry.key, &names));
            }
        }
        reading.problems.append(&mut of_key.problems);
    }
    if entries.is_empty() {
        reading.refuse("missing rule: set what to keep, as in `keep_daily: 14`, or remove the key");
    }
    Some(policy)
}

fn unknown(key: &str, known: &[&'static str]) -> String {
    let shown = shortened(key, 80);
    match closest(key, known.iter().copied()) {
        Some(meant) => format!("unknown key {shown}; did you mean {meant}?"),
        None => format!("unknown key {shown}; known here: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::keys::OFFSITE;
    use super::super::{ConfigFile, Problem};
    use super::*;

    fn read(text: &str) -> Result<Vec<OffsitePlace>, Vec<String>> {
        let config = ConfigFile::parse(Path::new("backup.yaml"), text)
            .map_err(|invalid| invalid.problems.iter().map(Problem::to_string).collect::<Vec<_>>())?;
        Ok(config.get(&OFFSITE).map(|located| located.value).unwrap_or_default())
    }

    #[test]
    fn a_place_needs_three_things_and_has_defaults_for_the_rest() {
        let places =
            read("offsite:\n  - name: nas\n    repository: /mnt/nas\n    password_file: /p\n").unwrap();
        let [place] = places.as_slice() else { panic!("{places:?}") };
        assert_eq!((place.name.value.as_str(), place.name.line), ("nas", 2));
        assert_eq!(place.check, Some(Duration::from_secs(30 * 86_400)));
        assert_eq!(place.prune_schedule.value, "@weekly");
        assert!(place.retention.is_none() && !place.append_only && place.extra_options.is_empty());
        assert_eq!(read("offsite: []\n").unwrap(), []);
        assert_eq!(read("offsite:\n").unwrap(), []);
    }

    #[test]
    fn every_key_is_read() {
        let text = "offsite:\n- {name: b2, repository: \"b2:x:y\", password_file: /p, environment_file: /e, \
            retention: {keep_daily: 3}, append_only: true, limit_upload: 5MiB, check: none, prune_schedule: \"@monthly\", \
            restic: /opt/restic, extra_options: [\"-o\", \"x=y\"]}\n";
        let place = read(text).unwrap().remove(0);
        assert_eq!(place.retention.unwrap().keep_daily, NonZeroU32::new(3));
        assert_eq!(place.limit_upload.map(NonZeroU64::get), Some(5 << 20));
        assert_eq!((place.check, place.append_only), (None, true));
        assert_eq!(place.extra_options, ["-o", "x=y"]);
        assert_eq!(place.restic, Path::new("/opt/restic"));
    }

    #[test]
    fn what_is_wrong_with_places_is_told_with_lines_and_without_secrets() {
        let text = "offsite:\n  - name: A B\n    repository: rest:https://u:s3cret@h/\n    password_fiel: x\n  - name: a\n    \
            repository: r\n    password_file: rel\n    check: 0s\n    retention: {keep_dayz: 1}\n  - x\n";
        let problems = read(text).unwrap_err();
        let expected = [
            "backup.yaml:2: offsite: missing `password_file`: it is the file with the repository's password",
            "backup.yaml:2: offsite.name: expected 1 to 32 characters a-z, 0-9, - and _, beginning with a letter or digit",
            "backup.yaml:4: offsite: unknown key password_fiel; did you mean password_file?",
            "backup.yaml:7: offsite.password_file: expected an absolute path, beginning with /",
            "backup.yaml:8: offsite.check: expected a duration longer than zero, or none",
            "backup.yaml:9: offsite.retention: unknown key keep_dayz; did you mean keep_days?",
        ];
        for line in expected {
            assert!(problems.iter().any(|problem| problem == line), "{line}: {problems:?}");
        }
        assert!(problems.last().unwrap().contains("backup.yaml:10: offsite: expected a list such as"));
        assert!(!problems.iter().any(|problem| problem.contains("s3cret")));
        let twice = "offsite:\n- {name: a, repository: r, password_file: /p}\n- {name: a, repository: r, password_file: /p}\n";
        assert_eq!(read(twice).unwrap_err(), ["backup.yaml:3: offsite: two places have the name a"]);
        assert_eq!(read("offsite: {name: a}\n").unwrap_err().len(), 1);
    }

    #[test]
    fn a_repository_is_shown_without_its_password() {
        for (repository, shown) in [
            ("/mnt/nas", "/mnt/nas"),
            ("s3:https://s3.example.org/bucket", "s3:https://s3.example.org/bucket"),
            ("rest:https://me:pa:ss@h:8000/x/", "rest:https://********@h:8000/x/"),
            ("rest:http://me:pa/ss@h/x", "rest:http://********@h/x"),
            ("rest:http://me:p@ss@h", "rest:http://********@h"),
            ("sftp:me@h:/x", "sftp:me@h:/x"),
            ("rclone:drive:a,b", "rclone:drive:a,b"),
            ("rclone::local:/x", "rclone::local:/x"),
            ("rclone:,user=x,pass=s3cretpw:foo", "rclone:,********:foo"),
            ("rclone::webdav,url=\"https://u:p@h/\",pass=pw:a/b", "rclone::webdav,********:a/b"),
            ("rclone:drive,pass=\"a:b\"", "rclone:drive,********"),
            ("rclone:drive,pass=ab", "rclone:drive,********"),
        ] {
            assert_eq!(shown_repository(repository), shown);
        }
    }

    #[test]
    fn every_piece_of_a_password_is_a_secret() {
        for (repository, secrets) in [
            ("/mnt/nas", &[][..]),
            ("rest:http://user:s3cret/pw@localhost:1/", &["user:s3cret/pw", "s3cret/pw", "s3cret"]),
            (
                "rest:http://u:ab@cde?fgh#i:jkl@h/",
                &["u:ab@cde?fgh#i:jkl", "ab@cde?fgh#i:jkl", "cde", "fgh", "jkl"],
            ),
            ("rclone:,user=x,pass=s3cretpw:foo", &["user=x,pass=s3cretpw", "s3cretpw"]),
            ("rclone:drive,pass=\"a,b:cde\":foo", &["pass=\"a,b:cde\"", "b:cde"]),
        ] {
            assert_eq!(repository_secrets(repository), secrets, "{repository}");
        }
    }
}
