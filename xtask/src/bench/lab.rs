//! What the benchmarks of whole commands have in common: the programs, a server with one collection, and how both are used.

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

/// Of a cluster: how many nodes and shards.
pub(super) const NODES: u32 = 3;
pub(super) const SHARDS: u32 = 6;

/// What `backup.compression` can be.
pub(super) const COMPRESSIONS: [&str; 3] = ["none", "gzip", "zstd"];

/// What the snapshot is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    /// Random vectors of length 1, as float32
    Unit,
    /// Vectors as models make them, as float32, and payload
    Embeddings,
    /// Zeros and files with holes
    Sparse,
}

impl Kind {
    /// As the stand-in calls it.
    fn name(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::Embeddings => "embeddings",
            Self::Sparse => "sparse",
        }
    }

    /// In words.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Unit => "random unit vectors",
            Self::Embeddings => "embeddings with payload",
            Self::Sparse => "mostly zeros and holes",
        }
    }
}

/// Of what, and how often.
#[derive(clap::Args)]
pub(super) struct Scale {
    /// Size of the generated snapshot
    #[arg(long, default_value = "64MiB")]
    pub(super) size: String,
    /// What the snapshot is made of; all kinds one after the other without it
    #[arg(long)]
    pub(super) kind: Option<Kind>,
    /// How often each way is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) rounds: u32,
}

impl Scale {
    pub(super) fn kinds(&self) -> Vec<Kind> {
        self.kind.map_or_else(|| vec![Kind::Unit, Kind::Embeddings, Kind::Sparse], |kind| vec![kind])
    }
}

/// A running server with a snapshot of one kind, and a directory for what is made of it.
pub(super) struct Lab {
    stand_in: Serving,
    runner: PathBuf,
    directory: tempfile::TempDir,
}

impl Lab {
    pub(super) fn new(size: &str, kind: Kind) -> Result<Self> {
        Self::serving(size, kind, &[])
    }

    /// The same, with the collection's shards on several nodes.
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

    /// Measures a command of the runner on the backups in `backups`.
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

    /// An empty backup directory at `backups`.
    pub(super) fn init(&self, backups: &Path) -> Result<()> {
        Cmd::new(&self.runner).arg("init").quiet_envs(&self.envs(backups, "none")).read().map(drop)
    }

    /// A backup of the collection, and how many bytes it takes.
    pub(super) fn backup(&self, compression: &str) -> Result<(PathBuf, u64)> {
        let backups = self.directory().join(compression);
        self.init(&backups)?;
        Cmd::new(&self.runner).arg("backup").quiet_envs(&self.envs(&backups, compression)).read()?;
        let bytes = stored_bytes(&backups)?;
        Ok((backups, bytes))
    }

    /// The snapshot as Qdrant made it, in a file: what is in the backup in `backups`.
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

/// Builds what is measured, and installs what it is compared with.
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

/// What the archives and manifests in `backups` take.
pub(super) fn stored_bytes(backups: &Path) -> Result<u64> {
    tree::size_bytes(&backups.join("collections"))
}

/// Measures a shell's script with its arguments.
pub(super) fn shell(scratch: &Path, script: &str, args: &[&dyn AsRef<std::ffi::OsStr>]) -> Result<Sample> {
    sample::measure(scratch, |time| {
        let command = time.args(["bash", "-c", script, "bash"]);
        args.iter().fold(command, |command, arg| command.arg(arg))
    })
}
