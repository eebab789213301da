//! Shared code of the benchmarks of complete commands: the programs, a server with one collection, and measurements
//! with both.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::sample::{self, Sample};
use crate::{
    serving::Serving,
    sh::{Cmd, Context, Result},
    tools, tree, workspace,
};

/// The generated collection.
pub(super) const COLLECTION: &str = "bench";

/// Nodes and shards of the cluster.
pub(super) const NODES: u32 = 3;
pub(super) const SHARDS: u32 = 6;

/// The values of `backup.compression`.
pub(super) const COMPRESSIONS: [&str; 3] = ["none", "gzip", "zstd"];

/// The content of the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    /// Random vectors of length 1, as float32
    Unit,
    /// Realistic vectors like those of models, as float32, and payload
    Embeddings,
    /// Zeros and files with holes
    Sparse,
}

impl Kind {
    /// The stand-in's name for it.
    fn name(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::Embeddings => "embeddings",
            Self::Sparse => "sparse",
        }
    }

    /// A description.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Unit => "random unit vectors",
            Self::Embeddings => "embeddings with payload",
            Self::Sparse => "mostly zeros and holes",
        }
    }
}

/// Options for content and repetitions.
#[derive(clap::Args)]
pub(super) struct Scale {
    /// Size of the generated snapshot
    #[arg(long, default_value = "64MiB")]
    pub(super) size: String,
    /// Content of the snapshot [default: all kinds, one after the other]
    #[arg(long)]
    pub(super) kind: Option<Kind>,
    /// Repetitions of each measurement
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) rounds: u32,
}

impl Scale {
    pub(super) fn kinds(&self) -> Vec<Kind> {
        self.kind.map_or_else(|| vec![Kind::Unit, Kind::Embeddings, Kind::Sparse], |kind| vec![kind])
    }
}

/// A running server with a snapshot of one kind, and a directory for results.
pub(super) struct Lab {
    stand_in: Serving,
    runner: PathBuf,
    directory: tempfile::TempDir,
}

impl Lab {
    pub(super) fn new(size: &str, kind: Kind) -> Result<Self> {
        Self::serving(size, kind, &[])
    }

    /// The same with the collection's shards on several nodes.
    pub(super) fn of_cluster(size: &str, kind: Kind) -> Result<Self> {
        let (nodes, shards) = (NODES.to_string(), SHARDS.to_string());
        Self::serving(size, kind, &["--nodes", &nodes, "--shards", &shards])
    }

    fn serving(size: &str, kind: Kind, more: &[&str]) -> Result<Self> {
        let bin_dir = workspace::bin_dir("release")?;
        let generated = format!("{COLLECTION}={size}:{}", kind.name());
        let stand_in =
            Serving::stand_in(&bin_dir, &[&["--empty", "--generated", &generated], more].concat())?;
        let directory = tempfile::tempdir().context("temporary directory")?;
        Ok(Self { stand_in, runner: bin_dir.join("qdrant-backup"), directory })
    }

    pub(super) fn url(&self) -> &str {
        self.stand_in.url()
    }

    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Measures a runner command on the backups in `backups`.
    pub(super) fn measure(
        &self,
        scratch: &Path,
        backups: &Path,
        compression: &str,
        args: &[&str],
    ) -> Result<Sample> {
        let envs = self.envs(backups, compression);
        sample::measure(scratch, |time| time.arg(&self.runner).args(args).quiet_envs(&envs))
    }

    /// Creates an empty backup directory at `backups`.
    pub(super) fn init(&self, backups: &Path) -> Result<()> {
        Cmd::new(&self.runner).arg("init").quiet_envs(&self.envs(backups, "none")).read().map(drop)
    }

    /// Makes a backup of the collection, and returns its size in bytes.
    pub(super) fn backup(&self, compression: &str) -> Result<(PathBuf, u64)> {
        let backups = self.directory().join(compression);
        self.init(&backups)?;
        Cmd::new(&self.runner).arg("backup").quiet_envs(&self.envs(&backups, compression)).read()?;
        let bytes = stored_bytes(&backups)?;
        Ok((backups, bytes))
    }

    /// The plain snapshot of the backup in `backups`, as a file.
    pub(super) fn export(&self, backups: &Path) -> Result<PathBuf> {
        let file = self.directory().join("snapshot");
        let export =
            Cmd::new(&self.runner).args(["export", "--collection", COLLECTION, "--output"]).arg(&file);
        export.quiet_envs(&self.envs(backups, "none")).read()?;
        Ok(file)
    }

    /// The archive in `backups`.
    pub(super) fn archive(&self, backups: &Path) -> Result<PathBuf> {
        let directory = backups.join("collections").join(COLLECTION);
        let entries = std::fs::read_dir(&directory).context(directory.display())?;
        let names = entries.flatten().map(|entry| entry.path());
        names
            .filter(|path| path.to_string_lossy().contains(".snapshot"))
            .find(|path| path.extension().is_some_and(|extension| extension != "json"))
            .ok_or_else(|| format!("no archive in {}", directory.display()))
    }

    fn envs(&self, backups: &Path, compression: &str) -> [(&'static str, OsString); 3] {
        [
            ("QDRANT_URL", self.url().into()),
            ("QDRANT_BACKUP_PATH", backups.as_os_str().to_owned()),
            ("BACKUP_COMPRESSION", compression.into()),
        ]
    }
}

/// Builds the measured programs, and installs the tools for comparison.
pub(super) fn prepare() -> Result<()> {
    for (package, path) in [
        ("curl", "/usr/bin/curl"),
        ("openssl", "/usr/bin/openssl"),
        ("pigz", "/usr/bin/pigz"),
        ("zstd", "/usr/bin/zstd"),
        ("time", "/usr/bin/time"),
    ] {
        tools::debian(package, path)?;
    }
    let packages = ["--package", "qdrant-backup-runner", "--package", "e2e", "--bins"];
    workspace::cargo().args(["build", "--release", "--locked"]).args(packages).run()
}

/// The total size of archives and manifests in `backups`.
pub(super) fn stored_bytes(backups: &Path) -> Result<u64> {
    tree::size_bytes(&backups.join("collections"))
}

/// Measures a shell script with arguments.
pub(super) fn shell(scratch: &Path, script: &str, args: &[&dyn AsRef<std::ffi::OsStr>]) -> Result<Sample> {
    sample::measure(scratch, |time| {
        let command = time.args(["bash", "-c", script, "bash"]);
        args.iter().fold(command, |command, arg| command.arg(arg))
    })
}
