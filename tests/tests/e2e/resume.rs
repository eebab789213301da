//! Interrupted downloads are resumed: no byte is requested twice, and no bytes of another file are used.

use e2e::Scene;
use e2e::qdrant_stand_in::{Answer, Effect, Endpoint, Fault, LoggedRequest, Setup};
use e2e::scene::{DOCS, SIZE, docs, foreign};
use qdrant_backup_shared::FailureKind;

/// The requested range of each download. None for the whole file.
pub fn ranges(scene: &Scene) -> Vec<Option<String>> {
    let range = |request: &LoggedRequest| request.header("range").map(str::to_owned);
    scene.downloads().iter().map(range).collect()
}

fn cut(after: u64) -> Fault {
    Fault::new(Effect::TruncateAfter(after)).first(1)
}

fn from(byte: u64) -> Option<String> {
    Some(format!("bytes={byte}-"))
}

fn patient(scene: &Scene, retries: &str) {
    scene.configure(&[("retries", retries)]);
}

#[test]
fn a_download_goes_on_where_it_broke_off_wherever_that_is() {
    for compression in ["none", "gzip", "zstd"] {
        for at in [1, 511, 100_000, SIZE - 1] {
            let scene = Scene::with([cut(at)]);
            patient(&scene, "1");

            scene.place.run(&["backup", "--compression", compression]).success().says(&[
                "WARN",
                "\"docs\"",
                "the connection to Qdrant broke",
                "resuming the download",
            ]);

            assert_eq!(scene.hits(), 1);
            scene.assert_backed_up();
            scene.assert_server_clean();
            assert_eq!(scene.creations(), 1);
            assert_eq!(ranges(&scene), [None, from(at)]);
        }
    }
}

#[test]
fn a_download_that_breaks_off_before_its_first_byte_asks_for_the_whole() {
    let scene = Scene::with([cut(0)]);
    patient(&scene, "1");

    scene.backup().success();

    assert_eq!(scene.hits(), 1);
    scene.assert_backed_up();
    assert_eq!(ranges(&scene), [None, None]);
}

#[test]
fn whoever_makes_progress_may_break_off_more_often_than_there_are_retries() {
    let scene = Scene::with([cut(50_000), cut(60_000), cut(70_000)]);
    patient(&scene, "1");

    scene.backup().success();

    assert_eq!(scene.hits(), 3);
    scene.assert_backed_up();
    scene.assert_server_clean();
    assert_eq!(ranges(&scene), [None, from(50_000), from(110_000), from(180_000)]);
}

#[test]
fn a_connection_that_breaks_after_every_few_bytes_is_given_up() {
    for bytes in [1, 1_000, 5_000] {
        let scene = Scene::with([Fault::new(Effect::TruncateAfter(bytes))]);
        patient(&scene, "2");

        scene.backup().code(1).says(&["ERROR: Backup of docs failed", "the connection to Qdrant broke"]);

        assert!(scene.downloads().len() < 20, "{} downloads", scene.downloads().len());
        assert_eq!(scene.place.stored(), Vec::<String>::new());
        scene.assert_server_clean();
        let warnings = scene.place.status().last_run.expect("a run").warnings;
        assert!(warnings.len() < 5, "{warnings:?}");
    }
}

#[test]
fn a_rest_that_never_comes_is_given_up_after_the_retries() {
    let scene = Scene::with([cut(50_000), Fault::status(502).on(Endpoint::DownloadSnapshot).after(1)]);
    patient(&scene, "2");

    scene.backup().code(1).says(&["ERROR: Backup of docs failed", "answered 502"]);

    scene.assert_failed(FailureKind::HttpStatus);
    scene.assert_server_clean();
    assert_eq!(ranges(&scene), [None, from(50_000), from(50_000)]);
}

#[test]
fn a_refusal_of_the_rest_that_passes_is_waited_for() {
    for fault in [Fault::status(503), Fault::hang_up(), Fault::new(Effect::NeverAnswer)] {
        let fault = fault.on(Endpoint::DownloadSnapshot).after(1).first(1);
        let scene = Scene::with([cut(50_000), fault]);
        patient(&scene, "2");

        scene.backup().success();

        assert_eq!(scene.hits(), 2);
        scene.assert_backed_up();
        assert_eq!(ranges(&scene), [None, from(50_000), from(50_000)]);
    }
}

#[test]
fn a_snapshot_that_was_deleted_meanwhile_is_not_waited_for() {
    let gone = Answer::empty(404).text("Not found: Snapshot docs.snapshot not found");
    let scene = Scene::with([cut(50_000), Fault::answer(gone).on(Endpoint::DownloadSnapshot).after(1)]);
    patient(&scene, "3");

    scene.backup().code(1).says(&["ERROR: Backup of docs failed", "404"]);

    scene.assert_failed(FailureKind::HttpStatus);
    // Of the new snapshot.
    assert_eq!(ranges(&scene), [None, from(50_000), None]);
}

#[test]
fn a_rest_of_another_file_is_never_taken() {
    let last = SIZE - 1;
    let header = |name, value: Option<String>| Fault::new(Effect::Header { name, value });
    let range = |range: String| header("content-range", Some(range));
    let other = "of another file";
    for (fault, said) in [
        (header("etag", Some("\"other\"".to_owned())), other),
        (header("etag", None), other),
        (range(format!("bytes 40000-{last}/{SIZE}")), other),
        (range(format!("bytes 50000-{SIZE}/{}", SIZE + 1)), other),
        (range(format!("bytes 50000-60000/{SIZE}")), other),
        (range(format!("bytes 50000-{last}/*")), other),
        (header("content-range", None), other),
        (Fault::new(Effect::IgnoreRange), "cannot send the remaining bytes alone"),
        (
            Fault::answer(Answer::empty(416).header("content-range", "bytes */100")),
            "no longer has the remaining bytes",
        ),
    ] {
        let fault = fault.on(Endpoint::DownloadSnapshot).after(1).first(1);
        let scene = Scene::with([cut(50_000), fault.clone()]);
        patient(&scene, "2");

        scene.backup().success().says(&["WARN", said, "restarting the download"]);

        assert_eq!(scene.hits(), 2, "{fault:?}");
        scene.assert_backed_up();
        scene.assert_server_clean();
        assert_eq!(scene.creations(), 1);
        assert_eq!(ranges(&scene), [None, from(50_000), None], "{fault:?}");
    }
}

#[test]
fn a_server_whose_files_have_no_etag_is_asked_for_the_whole_again() {
    for etag in [None, Some("W/\"weak\"".to_owned())] {
        let no_etag = Fault::new(Effect::Header { name: "etag", value: etag });
        let scene = Scene::with([cut(50_000), no_etag]);
        patient(&scene, "1");

        scene.backup().success().says(&["WARN", "restarting the download"]);

        scene.assert_backed_up();
        assert_eq!(ranges(&scene), [None, None]);
    }
}

#[test]
fn a_snapshot_that_another_replaced_meanwhile_is_no_backup() {
    // The rest comes from another file with the same name and length. A new snapshot then has the right digest.
    let stall = Effect::StallAfter { bytes: 50_000, lasting: None };
    let scene = Scene::with([Fault::new(stall).first(1)]);
    scene.configure(&[("retries", "2"), ("stall_timeout", "3s")]);
    let running = e2e::Running::start(&mut scene.place.command(&["backup"]));
    e2e::eventually("the download has begun", || scene.hits() == 1 && scene.on_server().len() == 1);
    let name = scene.on_server().remove(0);
    scene.server.add_snapshot(DOCS, &name, foreign());

    running.end().success().says(&["WARN", "of another file", "restarting the download"]).says(&[
        "WARN",
        "snapshot checksum mismatch",
        "trying once more with a new snapshot",
    ]);

    assert_eq!(scene.place.prove(), 1);
    assert_eq!(ranges(&scene), [None, from(50_000), None, None]);
    assert_eq!(scene.creations(), 2);
    assert_eq!(scene.on_server(), [name], "the other one is not ours to delete");
}

#[test]
fn a_flipped_byte_in_the_rest_is_found() {
    let scene = Scene::with([cut(50_000), Fault::new(Effect::FlipByte(150_000))]);
    patient(&scene, "2");

    scene.backup().code(1).says(&["ERROR: Backup of docs failed", "snapshot checksum mismatch"]);

    scene.assert_failed(FailureKind::ChecksumMismatch);
    scene.assert_server_clean();
}

#[test]
fn a_download_from_s3_begins_again_because_there_are_no_rests() {
    let scene = Scene::of(Setup::empty().collection(docs()).s3().fault(cut(100_000)));
    patient(&scene, "1");

    scene.backup().success().says(&["WARN", "restarting the download"]);

    assert_eq!(scene.hits(), 1);
    scene.assert_backed_up();
    assert_eq!(ranges(&scene), [None, None]);
}

#[test]
fn a_limit_on_the_rate_is_kept() {
    let scene = Scene::new();
    let begun = std::time::Instant::now();

    scene.place.run(&["backup", "--limit-rate", "100KB"]).success();

    // 204,800 bytes. The last ones arrive without a delay.
    assert!(begun.elapsed().as_secs_f64() > 1.0, "{:?}", begun.elapsed());
    scene.assert_backed_up();
    scene.place.run(&["backup", "--limit-rate", "0B"]).code(78).says(&["--limit-rate", "more than zero"]);
}
