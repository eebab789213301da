//! Faults during a download.

use std::time::Duration;

use e2e::Scene;
use e2e::qdrant_stand_in::{Answer, Content, Effect, Endpoint, Fault, GeneratedSnapshot, Setup};
use e2e::scene::{DOCS, SIZE, docs, generated};
use qdrant_backup_shared::FailureKind;
use qdrant_backup_shared::manifest::ServerChecksum;

use crate::resume::ranges;

#[test]
fn a_download_that_breaks_off_is_no_backup() {
    let scene = Scene::with([Fault::new(Effect::TruncateAfter(100_000))]);

    scene
        .backup()
        .code(1)
        .says(&["ERROR: Backup of docs failed", "the connection to Qdrant broke"])
        .says(&["ERROR: Backup failed: 0 of 1 collections", "docs (unreachable)"]);

    assert_eq!(scene.hits(), 1);
    scene.assert_failed(FailureKind::Unreachable);
    scene.assert_server_clean();
    assert_eq!((scene.creations(), scene.downloads().len()), (1, 1));
}

#[test]
fn a_download_that_stands_still_is_given_up() {
    let stall = Effect::StallAfter { bytes: 100_000, lasting: None };
    let scene = Scene::with([Fault::new(stall)]);

    scene.backup().code(1).says(&["ERROR: Backup of docs failed", "no data moved for 1s"]);

    assert_eq!(scene.hits(), 1);
    scene.assert_failed(FailureKind::Stalled);
    scene.assert_server_clean();
}

#[test]
fn a_download_that_never_begins_is_given_up() {
    let scene = Scene::with([Fault::new(Effect::NeverAnswer).on(Endpoint::DownloadSnapshot)]);

    scene.backup().code(1).says(&["ERROR: Backup of docs failed", "no data moved for 1s"]);

    assert_eq!(scene.hits(), 1);
    scene.assert_failed(FailureKind::Stalled);
    scene.assert_server_clean();
}

#[test]
fn a_download_that_stood_still_once_is_gone_on_with() {
    let stall = Effect::StallAfter { bytes: 100_000, lasting: None };
    let scene = Scene::with([Fault::new(stall).first(1)]);
    scene.configure(&[("retries", "1")]);

    scene.backup().success().says(&["WARN", "resuming the download"]);

    assert_eq!(scene.hits(), 1);
    scene.assert_backed_up();
    scene.assert_server_clean();
    assert_eq!(ranges(&scene), [None, Some("bytes=100000-".to_owned())]);
}

#[test]
fn a_pause_shorter_than_the_stall_time_out_is_waited_for() {
    let stall = Effect::StallAfter { bytes: 100_000, lasting: Some(Duration::from_millis(400)) };
    let scene = Scene::with([Fault::new(stall)]);

    scene.backup().success();

    assert_eq!(scene.hits(), 1);
    scene.assert_backed_up();
    scene.assert_server_clean();
    assert_eq!(scene.downloads().len(), 1);
}

#[test]
fn a_slow_download_has_no_limit_on_the_whole() {
    let scene = Scene::with([Fault::new(Effect::BytesPerSecond(80_000))]);
    scene.configure(&[("request_timeout", "1s")]);

    scene.backup().success();

    assert_eq!(scene.hits(), 1);
    scene.assert_backed_up();
    scene.assert_server_clean();
    let stages = &scene.place.status();
    assert!(stages.operations.values().all(|operation| operation.last_duration_seconds > Some(2.0)));
}

#[test]
fn a_length_that_is_not_the_one_promised_is_no_backup() {
    for (effect, got) in [
        (Effect::ContentLength(SIZE + 512), SIZE + 512),
        (Effect::BodyLength(SIZE - 512), SIZE - 512),
        (Effect::BodyLength(SIZE + 512), SIZE + 512),
        (Effect::CreationSize(SIZE + 512), SIZE),
    ] {
        let scene = Scene::with([Fault::new(effect.clone())]);

        scene.backup().code(1).says(&["WARN", "\"docs\"", "trying once more with a new snapshot"]).says(&[
            "ERROR: Backup of docs failed",
            "snapshot size mismatch",
            &format!("got {got}"),
        ]);

        assert_eq!(scene.hits(), 2, "{effect:?}");
        scene.assert_failed(FailureKind::SizeMismatch);
        scene.assert_server_clean();
        assert_eq!((scene.creations(), scene.downloads().len()), (2, 2));
    }
}

#[test]
fn a_flipped_byte_has_one_fresh_snapshot_made() {
    let scene = Scene::with([Fault::new(Effect::FlipByte(150_000)).first(1)]);

    scene.backup().success().says(&[
        "WARN",
        "\"docs\"",
        "snapshot checksum mismatch",
        "trying once more with a new snapshot",
    ]);

    assert_eq!(scene.hits(), 1);
    scene.assert_backed_up();
    assert_eq!(scene.manifest().archives[0].server_checksum, ServerChecksum::Matched);
    scene.assert_server_clean();
    assert_eq!((scene.creations(), scene.downloads().len()), (2, 2));
}

#[test]
fn two_flipped_bytes_are_a_checksum_mismatch_and_not_a_third_try() {
    let scene = Scene::with([Fault::new(Effect::FlipByte(150_000))]);
    scene.configure(&[("retries", "3")]);

    scene.backup().code(1).says(&["ERROR: Backup of docs failed", "snapshot checksum mismatch"]);

    assert_eq!(scene.hits(), 2);
    scene.assert_failed(FailureKind::ChecksumMismatch);
    scene.assert_server_clean();
    assert_eq!((scene.creations(), scene.downloads().len()), (2, 2));
}

#[test]
fn a_refused_download_is_told_with_the_servers_words() {
    for status in [410, 500, 503] {
        let scene = Scene::with([Fault::status(status).on(Endpoint::DownloadSnapshot)]);

        scene.backup().code(1).says(&[
            "ERROR: Backup of docs failed",
            "downloading the snapshot of \"docs\"",
            &format!("Qdrant answered {status}: answered {status} on purpose"),
        ]);

        assert_eq!(scene.hits(), 1);
        scene.assert_failed(FailureKind::HttpStatus);
        scene.assert_server_clean();
        assert_eq!((scene.creations(), scene.downloads().len()), (1, 1));
    }
}

#[test]
fn a_snapshot_that_another_tool_deleted_is_made_afresh() {
    let cut = || Fault::new(Effect::TruncateAfter(SIZE / 2)).on(Endpoint::DownloadSnapshot).first(1);
    let deleted = || Fault::new(Effect::DeleteSnapshot).on(Endpoint::DownloadSnapshot).first(1);
    for faults in [vec![deleted()], vec![cut(), deleted().after(1)]] {
        let scene = Scene::of(Setup::empty().collection(generated(DOCS)));
        scene.configure(&[("retries", "3")]);
        scene.server.faults(|all| faults.into_iter().for_each(|fault| all.add(fault)));

        scene.backup().success().says(&[
            "WARN",
            "\"docs\"",
            "404",
            "gone from the server",
            "starting its backup again",
        ]);

        scene.assert_backed_up();
        scene.assert_server_clean();
        assert_eq!(scene.creations(), 2);
        assert!(scene.place.status().undeleted_snapshots.is_empty());
        assert_eq!(scene.place.temporary(), Vec::<String>::new());
    }
}

#[test]
fn a_tool_that_deletes_every_snapshot_is_told_of_after_the_second_one() {
    let text = Answer::empty(404).text("Not found: Snapshot docs.snapshot not found");
    for fault in [Fault::new(Effect::DeleteSnapshot), Fault::answer(text)] {
        let scene = Scene::with([fault.on(Endpoint::DownloadSnapshot)]);
        scene.configure(&[("retries", "3")]);

        scene.backup().code(1).says(&[
            "ERROR: Backup of docs failed",
            "404",
            "not found",
            "gone from the server: does another tool or job delete snapshots there?",
        ]);

        assert_eq!((scene.hits(), scene.creations(), scene.downloads().len()), (2, 2, 2));
        scene.assert_failed(FailureKind::HttpStatus);
        scene.assert_server_clean();
    }
}

#[test]
fn a_busy_server_is_left_alone_for_as_long_as_it_asks() {
    let busy = Answer::status(503).retry_after("2");
    let scene = Scene::with([Fault::answer(busy).on(Endpoint::DownloadSnapshot).first(1)]);
    scene.configure(&[("retries", "1")]);

    scene.backup().success();

    assert_eq!(scene.hits(), 1);
    scene.assert_backed_up();
    scene.assert_server_clean();
    let downloads = scene.downloads();
    assert_eq!(downloads.len(), 2);
    assert!(downloads[1].at - downloads[0].at >= Duration::from_secs(2));
}

#[test]
fn a_server_with_its_snapshots_in_s3_gives_no_checksum_and_the_manifest_says_so() {
    let scene = Scene::of(Setup::empty().collection(docs()).s3());

    scene.backup().success().says(&["Backed up docs", "no checksum from the server"]);

    scene.assert_backed_up();
    assert_eq!(scene.manifest().archives[0].server_checksum, ServerChecksum::Absent);
    scene.assert_server_clean();
}

#[test]
fn a_download_from_s3_that_ends_early_is_no_backup() {
    // The end of the connection, the creation's answer or the archive itself shows that these are incomplete.
    let whole = Content::generated(&GeneratedSnapshot::new(SIZE));
    let half = Content::bytes(whole.read_at(0, SIZE as usize / 2).expect("half a snapshot"));
    for (fault, kind, message) in [
        (Effect::TruncateAfter(100_000), FailureKind::Unreachable, "the connection to Qdrant broke"),
        (Effect::BodyLength(100_352), FailureKind::SizeMismatch, "got 100352"),
        (Effect::CreationContent(half), FailureKind::ArchiveCorrupt, "the snapshot is incomplete"),
    ] {
        let scene = Scene::of(Setup::empty().collection(docs()).s3().fault(Fault::new(fault)));

        scene.backup().code(1).says(&["ERROR: Backup of docs failed", message]);

        assert!(scene.hits() > 0);
        scene.assert_failed(kind);
        scene.assert_server_clean();
    }
}

#[test]
fn what_comes_beyond_the_announced_size_is_not_waited_for() {
    let setup = Setup::empty().collection(docs()).s3();
    let slow = Fault::new(Effect::BytesPerSecond(50_000));
    let scene = Scene::of(setup.fault(Fault::new(Effect::CreationSize(1024))).fault(slow));

    let ran = scene.backup().code(1).says(&["ERROR: Backup of docs failed", "1024"]);

    let got =
        ran.stderr.rsplit_once("got ").and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next());
    let got: u64 = got.expect("a length").parse().expect("a number");
    assert!(got > 1024 && got < SIZE, "{got}");
    scene.assert_failed(FailureKind::SizeMismatch);
    scene.assert_server_clean();
}

#[test]
fn encodings_are_neither_asked_for_nor_accepted() {
    let gzip = Answer::empty(200).header("content-encoding", "gzip").text("not what was asked for");
    let scene = Scene::with([Fault::answer(gzip).on(Endpoint::DownloadSnapshot)]);

    scene.backup().code(1).says(&["ERROR: Backup of docs failed", "encoded as", "gzip"]);

    assert_eq!(scene.hits(), 1);
    scene.assert_failed(FailureKind::HttpStatus);
    scene.assert_server_clean();
    let requests = scene.server.requests();
    assert!(requests.iter().all(|request| request.header("accept-encoding").is_none()), "{DOCS}");
}
