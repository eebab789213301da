//! The memory of a backup and of a verification does not grow with the snapshot.

use std::time::Duration;

use e2e::offsite::{Nas, configure};
use e2e::qdrant_stand_in::{Setup, StandIn};
use e2e::{Place, Running, Scene};

use crate::traces::{none, server_of};

const MIB: u64 = 1 << 20;
/// Maximum peak memory of a backup or verification of any size.
const LIMIT_KIB: u64 = 32 << 10;

/// The peak memory of a command in KiB. The command must succeed.
fn peak_of(place: &Place, args: &[&str]) -> u64 {
    let mut running = Running::start(&mut place.command(args));
    let mut peak = 0;
    while !running.has_ended() {
        peak = running.anonymous_kib().unwrap_or(0).max(peak);
        std::thread::sleep(Duration::from_millis(2));
    }
    running.end().success();
    peak
}

/// The higher peak memory of a backup of this many bytes and its verification, in KiB.
fn peak_of_backup(size_bytes: u64, compression: &str) -> u64 {
    let Scene { server: _server, place } = Scene::on(server_of(size_bytes));
    let backup = peak_of(&place, &["backup", "--compression", compression]);
    let backups = place.backups("vectors");
    assert_eq!(backups[0].manifest.snapshot_size_bytes(), size_bytes);
    assert!(backups[0].is_good());
    assert_eq!(place.temporary(), none());
    let verify = peak_of(&place, &["verify"]);
    let mib = |kib: u64| kib / 1024;
    let size = size_bytes / MIB;
    println!("{size} MiB, {compression}: {} MiB at the peak, and {} to check it", mib(backup), mib(verify));
    backup.max(verify)
}

#[test]
fn the_peak_of_memory_is_small_and_does_not_grow_with_the_snapshot() {
    let small = peak_of_backup(256 * MIB, "none");
    let large = peak_of_backup(768 * MIB, "none");
    let gzip = peak_of_backup(96 * MIB, "gzip");
    let zstd = peak_of_backup(96 * MIB, "zstd");
    for peak in [small, large, gzip, zstd] {
        assert!(peak > 4 << 10, "{peak} KiB is not a valid measurement");
        assert!(peak < LIMIT_KIB, "{peak} KiB is more than {LIMIT_KIB} KiB");
    }
    assert!(large < small + (8 << 10), "{small} KiB grew to {large} KiB");
}

/// The memory of our own process, without restic.
#[cfg(feature = "outside")]
#[test]
fn the_peak_of_memory_of_a_copy_and_of_a_restore_from_it_is_as_small() {
    for compression in ["none", "gzip"] {
        let size_bytes = if compression == "none" { 256 * MIB } else { 64 * MIB };
        let Scene { server: _server, place } = Scene::on(server_of(size_bytes));
        let nas = Nas::directory(&place, "nas");
        configure(&place, &[&nas], "");
        place.run(&["offsite", "init", "nas"]).success();
        place.run(&["backup", "--compression", compression]).success();
        let copy = peak_of(&place, &["offsite", "copy"]);
        let other = StandIn::start(Setup::empty());
        let restore = peak_of(&place, &["restore", "--all", "--from", "nas", "--to", &other.url()]);
        println!("{} MiB, {compression}: {} KiB to copy, {} KiB to restore", size_bytes / MIB, copy, restore);
        for peak in [copy, restore] {
            assert!(peak > 4 << 10, "{peak} KiB is not a valid measurement");
            assert!(peak < LIMIT_KIB, "{peak} KiB is more than {LIMIT_KIB} KiB");
        }
    }
}
