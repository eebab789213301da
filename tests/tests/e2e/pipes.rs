//! Pipes and devices in place of files: each is an error, and none blocks the program.

use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::qdrant_stand_in::GenuineSnapshot;
use e2e::{Ran, Running, Scene, eventually_within};
use qdrant_backup_shared::atomic;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;

/// Maximum time for a program that would otherwise wait forever.
const PATIENCE: Duration = Duration::from_secs(20);

fn pipe(scene: &Scene, name: &str) -> PathBuf {
    let path = scene.place.beside(name);
    mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    path
}

/// Runs the command, which must end soon.
#[track_caller]
fn run(command: &mut Command) -> Ran {
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it hangs");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ran::from(child.wait_with_output().unwrap())
}

#[track_caller]
fn refused(scene: &Scene, arguments: &[&str], code: i32) -> Ran {
    run(&mut scene.place.command(arguments)).code(code).says(&["not a regular file"])
}

#[test]
fn a_pipe_where_settings_and_secrets_are_expected_is_an_error() {
    let scene = Scene::new();
    let pipe = pipe(&scene, "pipe");
    let path = pipe.to_str().unwrap();
    refused(&scene, &["backup", "--env-file", path], 78);
    refused(&scene, &["backup", "--api-key-file", path], 78);
    refused(&scene, &["restore", "--dry-run", "--to", "http://127.0.0.1:9", "--to-api-key-file", path], 78);
    let mut command = Command::new(e2e::programs::program("qdrant-backup"));
    command.args(["status", "--config", path]).stdout(std::process::Stdio::piped());
    run(command.stderr(std::process::Stdio::piped())).code(78).says(&["not a regular file"]);
    for settings in
        [format!("  ca_file: {path}\n"), format!("  tls: {{cert_file: {path}, key_file: {path}}}\n")]
    {
        scene.place.configure(&format!("qdrant:\n  url: https://127.0.0.1:9\n{settings}"));
        let mut command = scene.place.command(&["backup"]);
        run(command.env_remove("QDRANT_URL")).code(78).says(&["not a regular file"]);
    }
}

#[test]
fn a_pipe_or_a_device_is_not_imported() {
    let scene = Scene::new();
    let pipe = pipe(&scene, "docs.snapshot");
    for path in [pipe.as_path(), Path::new("/dev/zero")] {
        refused(&scene, &["import", "--collection", "docs", path.to_str().unwrap()], 1);
    }
}

#[test]
fn a_checksum_that_cannot_be_read_is_an_error_and_not_unchecked() {
    let scene = Scene::new();
    let file = scene.place.beside("minilm_general.snapshot");
    let bytes = GenuineSnapshot::find("1.18.3", "minilm_general.snapshot").unwrap().read().unwrap();
    atomic::write(&file, 0o600, &bytes).unwrap();
    let arguments = ["import", "--collection", "minilm_general", file.to_str().unwrap()];

    let checksum = pipe(&scene, "minilm_general.snapshot.checksum");
    refused(&scene, &arguments, 1).says(&["the checksum file beside it", "move it away"]);
    std::fs::remove_file(&checksum).unwrap();
    symlink("/dev/zero", &checksum).unwrap();
    refused(&scene, &arguments, 1);
    std::fs::remove_file(&checksum).unwrap();
    for text in ["", "not a digest", &"0".repeat(5_000)] {
        atomic::write(&checksum, 0o600, text.as_bytes()).unwrap();
        run(&mut scene.place.command(&arguments)).code(1).says(&["the checksum file beside it"]);
    }
    assert_eq!(scene.place.stored(), Vec::<String>::new());
    std::fs::remove_file(&checksum).unwrap();
    run(&mut scene.place.command(&arguments)).success();
}

#[test]
fn a_file_of_the_kernel_that_waits_ends_the_backup_of_files_only() {
    let scene = Scene::new();
    scene.place.configure("backup:\n  include_files: [/proc/kmsg]\n");

    // Root gets an error that it is not a file; other users get permission denied.
    run(&mut scene.place.command(&["backup"])).code(3).says(&["backup.include_files: /proc/kmsg"]);

    assert_eq!(scene.place.prove(), 1);
}

#[test]
fn reading_points_from_a_pipe_ends_with_the_first_signal() {
    let scene = Scene::new();
    scene.backup().success();
    let pipe = pipe(&scene, "points");
    let path = pipe.to_str().unwrap();
    let import = ["import", "--points", "--into", "new", path];
    let from_stdin = ["import", "--points", "--into", "new", "-"];
    let ids = ["restore", "--points", "--on-source", "-c", "docs", "--ids", path];
    for writer in [false, true] {
        for arguments in [&import[..], &from_stdin, &ids] {
            // A writer that does not finish its line. This does not wait for a reader.
            let mut held = std::fs::File::options().read(true).write(true).open(&pipe).unwrap();
            if writer {
                held.write_all(b"7").unwrap();
            }
            let mut command = scene.place.command(arguments);
            if arguments == from_stdin {
                command.stdin(held.try_clone().unwrap());
            }
            let held = writer.then_some(held);
            let running = Running::start(&mut command);
            let status = format!("/proc/{}/status", running.pid());
            eventually_within(PATIENCE, "it listens for signals", || {
                let status = std::fs::read_to_string(&status).ok()?;
                let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
                let caught = u64::from_str_radix(caught.trim(), 16).ok()?;
                (caught & 1 << (Signal::TERM.as_raw() - 1) != 0).then_some(())
            });
            let begun = Instant::now();
            running
                .end_with(Signal::TERM)
                .code(143)
                .says(&["interrupted by a signal"])
                .never_says("Cleaning up");
            assert!(begun.elapsed() < Duration::from_secs(3), "{arguments:?}");
            drop(held);
        }
    }
}
