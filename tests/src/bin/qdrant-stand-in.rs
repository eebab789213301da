//! Runs a Qdrant stand-in on its own: for demos, benchmarks and trying things out.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use e2e::qdrant_stand_in::{Collection, FillKind, GeneratedSnapshot, Setup, StandIn, StandInCluster};
use tokio::signal::unix::{SignalKind, signal};

/// Serves genuine and generated collections as Qdrant does, until stdin closes or SIGTERM comes.
#[derive(Debug, Parser)]
#[command(name = "qdrant-stand-in")]
struct Opts {
    /// The port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The Qdrant version to be.
    #[arg(long, default_value = "1.18.3", value_parser = ["1.18.3", "1.14.1"])]
    version_served: String,
    /// A generated collection: NAME=SIZE or NAME=SIZE:KIND, as `big=4GiB:unit` or `notes=64MiB:text`. KIND is
    /// random, text, unit (vectors of length 1), embeddings (with payload) or sparse (zeros and holes).
    #[arg(long = "generated", value_name = "NAME=SIZE[:KIND]", value_parser = parse_generated)]
    generated: Vec<(String, GeneratedSnapshot)>,
    /// Without the sample collections.
    #[arg(long)]
    empty: bool,
    /// How many nodes: more than one are a cluster, at one port of 127.0.0.1, 127.0.0.2, ….
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    nodes: u8,
    /// How many shards each generated collection has, spread over the nodes.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    shards: u32,
    /// How many replicas each of these shards has.
    #[arg(long, default_value_t = 1)]
    replication_factor: u32,
    /// The key every request needs.
    #[arg(long)]
    api_key: Option<String>,
}

fn main() -> ExitCode {
    match run(Opts::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("qdrant-stand-in: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(opts: Opts) -> io::Result<()> {
    let servers = start(opts)?;
    let mut stdout = io::stdout();
    for url in servers.urls() {
        writeln!(stdout, "listening on {url}")?;
    }
    stdout.flush()?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(told_to_stop())?;
    drop(servers);
    Ok(())
}

enum Servers {
    One(StandIn),
    Cluster(StandInCluster),
}

impl Servers {
    fn urls(&self) -> Vec<String> {
        match self {
            Servers::One(stand_in) => vec![stand_in.url()],
            Servers::Cluster(cluster) => cluster.urls(),
        }
    }
}

fn start(opts: Opts) -> io::Result<Servers> {
    let nodes = opts.nodes;
    let setup = setup(opts);
    if nodes > 1 {
        StandInCluster::try_start(setup).map(Servers::Cluster)
    } else {
        StandIn::try_start(setup).map(Servers::One)
    }
}

fn setup(opts: Opts) -> Setup {
    let version = opts.version_served;
    let setup = if opts.empty { Setup::empty_of(&version) } else { Setup::sample_of(&version) };
    let mut setup = setup.port(opts.port);
    if opts.nodes > 1 {
        setup = setup.in_cluster(opts.nodes);
    }
    if let Some(key) = &opts.api_key {
        setup = setup.api_key(key);
    }
    for (name, snapshot) in opts.generated {
        let collection = Collection::generated(&name, snapshot.shards(opts.shards));
        setup = setup.spread(collection, opts.replication_factor);
    }
    setup
}

async fn told_to_stop() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // A plain thread, because a pending read of stdin would keep the runtime from ending.
    let (closed, stdin_closed) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // An error counts as the end too. The receiver may no longer be waiting.
        io::copy(&mut io::stdin().lock(), &mut io::sink()).ok();
        closed.send(()).ok();
    });
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = stdin_closed => {}
    }
    Ok(())
}

fn parse_generated(text: &str) -> Result<(String, GeneratedSnapshot), String> {
    let (name, rest) = text.split_once('=').ok_or("expected NAME=SIZE")?;
    let (size, kind) = rest.split_once(':').unwrap_or((rest, "random"));
    let kind = match kind {
        "random" => FillKind::Random,
        "text" => FillKind::Text,
        "unit" => FillKind::Unit,
        "embeddings" => FillKind::Embeddings,
        "sparse" => FillKind::Sparse,
        other => return Err(format!("kind {other:?} is none of random, text, unit, embeddings, sparse")),
    };
    if name.is_empty() {
        return Err("the collection has no name".to_owned());
    }
    Ok((name.to_owned(), GeneratedSnapshot::new(parse_size(size)?).kind(kind)))
}

fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        other => return Err(format!("unit {other:?} is none of B, KiB, MiB, GiB")),
    };
    let number: u64 = digits.parse().map_err(|_| format!("{digits:?} is no number"))?;
    number.checked_mul(unit).ok_or_else(|| format!("{text} is too large"))
}
