//! An offsite place for tests: a restic repository, and restic run on it as a user would.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use qdrant_backup_shared::atomic;

use crate::place::{Place, Ran};
use crate::running::eventually;

/// The password, which must never be shown.
pub const PASSWORD: &str = "s3cret-password-of-the-repository";

/// A restic repository next to a backup directory.
pub struct Nas {
    name: String,
    repository: String,
    password_file: PathBuf,
    environment: Vec<(String, String)>,
    lines: Vec<String>,
}

impl Nas {
    /// A directory next to `place`, which is not a repository yet.
    pub fn directory(place: &Place, name: &str) -> Self {
        let repository = place.beside(&format!("restic-{name}"));
        Self::at(place, name, &repository.display().to_string())
    }

    /// A repository that is given to restic's `-r` like this.
    pub fn at(place: &Place, name: &str, repository: &str) -> Self {
        let password_file = place.beside(&format!("password-{name}"));
        atomic::write(&password_file, 0o600, format!("{PASSWORD}\n").as_bytes()).expect("a file");
        Self {
            name: name.to_owned(),
            repository: repository.to_owned(),
            password_file,
            environment: Vec::new(),
            lines: Vec::new(),
        }
    }

    /// Adds a line to its configuration.
    #[must_use]
    pub fn with(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// Adds variables for restic in an environment file.
    #[must_use]
    pub fn environment(mut self, place: &Place, variables: &[(&str, &str)]) -> Self {
        let path = place.beside(&format!("environment-{}", self.name));
        let text: String = variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        atomic::write(&path, 0o600, text.as_bytes()).expect("a file");
        self.environment =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.with(&format!("environment_file: {}", path.display()))
    }

    /// Its entry in the configuration.
    pub fn entry(&self) -> String {
        let mut text = format!(
            "  - name: {}\n    repository: \"{}\"\n    password_file: {}\n",
            self.name,
            self.repository,
            self.password_file.display()
        );
        for line in &self.lines {
            text.push_str(&format!("    {line}\n"));
        }
        text
    }

    /// The password file.
    pub fn password_file(&self) -> &Path {
        &self.password_file
    }

    /// The path of the repository.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// A restic command for the repository, as a user would run it.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("restic");
        command
            .args(arguments)
            .arg("--no-cache")
            .env("RESTIC_REPOSITORY", &self.repository)
            .env("RESTIC_PASSWORD_FILE", &self.password_file)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs restic on the repository to its end.
    pub fn restic(&self, arguments: &[&str]) -> Ran {
        Ran::of(&mut self.command(arguments))
    }

    /// The data files of the repository, if it is a directory.
    pub fn packs(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for part in fs::read_dir(Path::new(&self.repository).join("data")).expect("a repository") {
            let part = part.expect("an entry").path();
            if part.is_dir() {
                found.extend(
                    fs::read_dir(part).expect("a directory").map(|entry| entry.expect("an entry").path()),
                );
            }
        }
        found.sort_by_key(|path| fs::metadata(path).map_or(0, |found| found.len()));
        found
    }

    /// Changes a byte in the middle of the largest data file.
    pub fn damage(&self) {
        let path = self.packs().pop().expect("a pack");
        let mut bytes = fs::read(&path).expect("a pack");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::remove_file(&path).expect("it existed");
        atomic::write(&path, 0o600, &bytes).expect("it can be written");
    }
}

/// The configuration with these places and additional sections.
pub fn configure(place: &Place, places: &[&Nas], rest: &str) {
    let entries: String = places.iter().map(|nas| nas.entry()).collect();
    place.configure(&format!("qdrant:\n  retries: 0\n  wait_for_server: 0s\n{rest}offsite:\n{entries}"));
}

/// A repository server (rclone or S3) that stops when dropped.
pub struct Serving {
    child: Child,
    /// The address it listens on.
    pub port: u16,
}

impl Serving {
    /// `rclone serve restic` for the directory `path`.
    pub fn rclone(path: &Path, arguments: &[&str]) -> Self {
        let port = free_port();
        let mut command = Command::new("rclone");
        command
            .args(["serve", "restic", "--addr", &format!("127.0.0.1:{port}"), "--config", "/dev/null"])
            .args(arguments)
            .arg(path);
        Self::start(command, port)
    }

    /// Starts `program` with `arguments` on a free port.
    pub fn program(program: &Path, arguments: &[&str]) -> Self {
        let port = free_port();
        let mut command = Command::new(program);
        command.args(arguments).args(["-p", &port.to_string()]);
        Self::start(command, port)
    }

    fn start(mut command: Command, port: u16) -> Self {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        eventually("the server listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { child, port }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A proxy that breaks the connection after this many bytes and loses the data in transit.
pub struct Breaking {
    /// The address it listens on.
    pub port: u16,
    state: std::sync::Arc<BreakingState>,
}

struct BreakingState {
    to: u16,
    left: std::sync::Mutex<Option<u64>>,
    broken: std::sync::atomic::AtomicBool,
    heals: bool,
}

impl Breaking {
    /// Forwards to `to` and breaks once after `bytes`. If it does not heal, nothing gets through after that.
    pub fn after(to: u16, bytes: u64, heals: bool) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let state = std::sync::Arc::new(BreakingState {
            to,
            left: std::sync::Mutex::new(Some(bytes)),
            broken: std::sync::atomic::AtomicBool::new(false),
            heals,
        });
        let of_thread = std::sync::Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = std::sync::Arc::clone(&of_thread);
                std::thread::spawn(move || state.serve(client));
            }
        });
        Self { port, state }
    }

    /// Whether it has broken.
    pub fn has_broken(&self) -> bool {
        self.state.broken.load(std::sync::atomic::Ordering::SeqCst)
    }
}

impl BreakingState {
    fn serve(&self, client: std::net::TcpStream) {
        use std::io::{Read, Write};
        use std::net::{Shutdown, TcpStream};
        use std::sync::atomic::Ordering;

        if self.broken.load(Ordering::SeqCst) && !self.heals {
            return;
        }
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.to)) else { return };
        let (mut back_from, mut back_to) =
            (server.try_clone().expect("a socket"), client.try_clone().expect("a socket"));
        std::thread::spawn(move || {
            drop(std::io::copy(&mut back_from, &mut back_to));
            drop(back_to.shutdown(Shutdown::Both));
        });
        let (mut client, mut server) = (client, server);
        let mut buffer = [0; 16 << 10];
        while let Ok(count @ 1..) = client.read(&mut buffer) {
            let breaks = {
                let mut left = self.left.lock().expect("no thread has panicked");
                match left.as_mut() {
                    Some(bytes) if *bytes < count as u64 => left.take().is_some(),
                    Some(bytes) => {
                        *bytes -= count as u64;
                        false
                    }
                    None => self.broken.load(Ordering::SeqCst) && !self.heals,
                }
            };
            if breaks {
                self.broken.store(true, Ordering::SeqCst);
                break;
            }
            if server.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        drop(client.shutdown(Shutdown::Both));
        drop(server.shutdown(Shutdown::Both));
    }
}

/// The process ids of the children of `pid`.
pub fn children(pid: u32) -> Vec<u32> {
    let of = |entry: fs::DirEntry| {
        let child: u32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).ok()?;
        let parent: u32 = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
        (parent == pid).then_some(child)
    };
    fs::read_dir("/proc").expect("there are processes").flatten().filter_map(of).collect()
}
