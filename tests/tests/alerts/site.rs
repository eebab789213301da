//! One machine: a Qdrant, its backups, and their exporter.

use std::net::SocketAddr;
use std::path::PathBuf;

use e2e::daemon::free_address;
use e2e::qdrant_stand_in::{Setup, StandIn};
use e2e::scene::{DOCS, docs};
use e2e::{Exporter, Place, Ran};
use qdrant_backup_shared::atomic;

/// Long enough that no backup becomes too old during the test.
pub const CRON: &str = "0 2 * * *";

/// A machine that Prometheus knows by its name.
pub struct Site {
    pub name: &'static str,
    pub server: StandIn,
    pub place: Place,
    pub address: SocketAddr,
    exporter: Option<Exporter>,
}

impl Site {
    /// A machine with the schedule `cron` and a running exporter. There is no repository yet.
    pub fn new(name: &'static str, cron: &str) -> Self {
        let server = StandIn::start(Setup::empty().collection(docs()));
        let place = Place::new(&server.url());
        place.configure(&config(cron));
        let mut site = Self { name, server, place, address: free_address(), exporter: None };
        site.configure_web("");
        site.start_exporter();
        site
    }

    /// Enables drills in the first run, on the server at `url`.
    pub fn drill_at(&self, url: &str) {
        let drill = format!("drill:\n  url: {url}\n  cron: \"0 3 * * *\"\n");
        self.place.configure(&format!("{}{drill}", config(CRON)));
    }

    /// Initializes its repository.
    pub fn init(&self) {
        self.place.run(&["init"]).success();
    }

    /// Runs what cron runs.
    pub fn run(&self) -> Ran {
        self.place.run(&["run"])
    }

    /// Restarts the exporter at the same address.
    pub fn start_exporter(&mut self) {
        let web_config = self.web_config().display().to_string();
        let arguments = ["--web.config.file", &web_config];
        self.exporter = Some(Exporter::start_at(self.place.path(), self.address, &arguments));
    }

    /// The path of the exporter's web configuration.
    pub fn web_config(&self) -> PathBuf {
        self.place.beside("web.yml")
    }

    /// Writes the exporter's web configuration.
    pub fn configure_web(&self, text: &str) {
        atomic::write(&self.web_config(), 0o644, text.as_bytes()).expect("it can be written");
    }

    /// Kills the exporter.
    pub fn kill_exporter(&mut self) {
        self.exporter = None;
    }

    /// The archive of the oldest backup.
    pub fn oldest_archive(&self) -> PathBuf {
        self.place.backups(DOCS).remove(0).archive
    }
}

fn config(cron: &str) -> String {
    format!(
        "qdrant:\n  retries: 0\n  wait_for_server: 0s\nretention:\n  keep_days: 14\nschedule:\n  cron: \"{cron}\"\n"
    )
}
