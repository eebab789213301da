//! Each fault from a client's view.

use std::time::{Duration, Instant};

use e2e::qdrant_stand_in::{
    Answer, Collection, Content, Cut, Effect, Endpoint, Fault, GeneratedSnapshot, Setup, StandIn,
};
use serde_json::json;

use crate::client::{Response, get, post, send};

const SNAPSHOTS: &str = "/collections/c/snapshots";
const FILE: &str = "/collections/c/snapshots/c.snapshot";
const SIZE: usize = 3_000_320;

/// A stand-in with one collection, one snapshot of it, and this fault.
fn with(fault: Fault) -> StandIn {
    let snapshot = GeneratedSnapshot::new(SIZE as u64).points_count(10);
    let collection = Collection::generated("c", snapshot);
    let content = collection.content.clone();
    let stand_in = StandIn::start(Setup::empty().collection(collection).fault(fault));
    stand_in.add_snapshot("c", "c.snapshot", content);
    stand_in
}

fn effect(effect: Effect) -> StandIn {
    with(Fault::new(effect))
}

fn original() -> Vec<u8> {
    let response = get(&effect(Effect::NoCollections), FILE);
    assert_eq!((response.body.len(), response.complete), (SIZE, true));
    response.body
}

#[test]
fn chosen_requests_get_a_chosen_answer_so_many_times() {
    let busy = Answer::status(503).retry_after("1").text("busy");
    let stand_in = with(Fault::answer(busy).method("GET").path("/collections/*/snapshots").first(2));
    stand_in.faults(|faults| faults.add(Fault::status(429).on(Endpoint::ListSnapshots).first(1)));
    assert_eq!(get(&stand_in, "/collections/c").status, 200);
    let first: Response = get(&stand_in, SNAPSHOTS);
    assert_eq!((first.status, first.header("retry-after")), (503, Some("1")));
    assert_eq!(first.text(), "busy");
    let statuses: Vec<u16> = (0..3).map(|_| get(&stand_in, SNAPSHOTS).status).collect();
    assert_eq!(statuses, [503, 429, 200]);
    assert_eq!(stand_in.faults(|faults| faults.hits()), 3);
}

#[test]
fn faults_can_be_limited_to_a_collection_and_begin_later() {
    let stand_in = with(Fault::status(500).collection("c").after(1));
    assert_eq!(get(&stand_in, "/collections").status, 200);
    let statuses: Vec<u16> = (0..3).map(|_| get(&stand_in, "/collections/c").status).collect();
    assert_eq!(statuses, [200, 500, 500]);
    stand_in.faults(|faults| faults.clear());
    assert_eq!(get(&stand_in, "/collections/c").status, 200);
}

#[test]
fn redirects_name_their_target() {
    let stand_in =
        with(Fault::answer(Answer::redirect(307, "http://127.0.0.1:9/")).on(Endpoint::Collections));
    let response = get(&stand_in, "/collections");
    assert_eq!((response.status, response.header("location")), (307, Some("http://127.0.0.1:9/")));
}

#[test]
fn a_hang_up_gives_no_answer_at_all() {
    let stand_in = with(Fault::hang_up().on(Endpoint::Collections).first(1));
    assert!(send(&stand_in, "GET", "/collections", &[], b"").is_err());
    assert_eq!(get(&stand_in, "/collections").status, 200);
}

#[test]
fn a_truncated_download_has_so_many_bytes_and_no_end() {
    let response = get(&effect(Effect::TruncateAfter(1_234_567)), FILE);
    assert_eq!((response.body.len(), response.complete), (1_234_567, false));
    assert_eq!(response.header("content-length"), Some(SIZE.to_string().as_str()));
    assert_eq!(response.body, original()[..1_234_567]);
}

#[test]
fn a_stalled_download_goes_on_after_its_time() {
    let lasting = Some(Duration::from_millis(300));
    let stand_in = effect(Effect::StallAfter { bytes: 1000, lasting });
    let begun = Instant::now();
    let response = get(&stand_in, FILE);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert_eq!(response.body, original());
}

#[test]
fn lengths_can_lie() {
    let response = get(&effect(Effect::ContentLength(SIZE as u64 + 10)), FILE);
    assert_eq!((response.body.len(), response.complete), (SIZE, false));
    for length in [0, 5, SIZE - 1, SIZE + 100_000] {
        let response = get(&effect(Effect::BodyLength(length as u64)), FILE);
        assert_eq!((response.body.len(), response.complete), (length, true));
    }
}

#[test]
fn a_flipped_byte_is_the_only_difference() {
    let (flipped, original) = (get(&effect(Effect::FlipByte(2_000_000)), FILE).body, original());
    let different: Vec<usize> = (0..SIZE).filter(|index| flipped[*index] != original[*index]).collect();
    assert_eq!(different, [2_000_000]);
}

#[test]
fn a_slow_body_takes_its_time() {
    let begun = Instant::now();
    let response = get(&effect(Effect::BytesPerSecond(SIZE as u64 * 2)), FILE);
    assert!(response.complete);
    assert!(begun.elapsed() >= Duration::from_millis(450), "{:?}", begun.elapsed());
}

#[test]
fn s3_gives_neither_checksum_nor_length_nor_etag_nor_ranges() {
    let stand_in = effect(Effect::NoCollections);
    stand_in.state(|state| state.s3 = true);
    let created = post(&stand_in, SNAPSHOTS, "").result();
    assert!(created.get("checksum").is_none());
    let path = format!("{SNAPSHOTS}/{}", created["name"].as_str().unwrap());
    let response = send(&stand_in, "GET", &path, &[("range", "bytes=5-9")], b"").unwrap();
    assert_eq!((response.status, response.body), (200, original()));
    for header in ["content-length", "etag", "accept-ranges", "content-range"] {
        assert!(!response.headers.iter().any(|(name, _)| name == header), "{header}");
    }
    let list = get(&stand_in, SNAPSHOTS).result();
    let created = list.as_array().unwrap().iter().find(|snapshot| snapshot["name"] != "c.snapshot");
    assert!(created.unwrap().get("checksum").is_none());
}

#[test]
fn a_create_response_can_lie_while_the_list_does_not() {
    let stand_in = effect(Effect::CreationChecksum(Some("00".repeat(32))));
    stand_in.faults(|faults| faults.add(Fault::new(Effect::CreationSize(7))));
    let created = post(&stand_in, SNAPSHOTS, "").result();
    assert_eq!(created["checksum"], json!("00".repeat(32)));
    assert_eq!(created["size"], json!(7));
    for listed in stand_in.snapshots("c") {
        assert_eq!(listed.checksum, Some(listed.content.sha256()));
    }
    let stand_in = effect(Effect::CreationChecksum(None));
    assert!(post(&stand_in, SNAPSHOTS, "").result().get("checksum").is_none());
}

#[test]
fn a_cut_creation_appears_in_the_list_afterwards() {
    for cut in [Cut::HangUp, Cut::Status(504)] {
        let appears_after = Some(Duration::from_millis(200));
        let stand_in = effect(Effect::CreationCut { cut: cut.clone(), appears_after });
        match (send(&stand_in, "POST", SNAPSHOTS, &[], b""), &cut) {
            (Ok(response), Cut::Status(status)) => assert_eq!(response.status, *status),
            (Err(_), Cut::HangUp) => {}
            (other, _) => panic!("{other:?}"),
        }
        assert_eq!(stand_in.snapshots("c").len(), 1);
        wait_until(|| stand_in.snapshots("c").len() == 2);
    }
    let never = Effect::CreationCut { cut: Cut::Status(502), appears_after: None };
    let stand_in = effect(never);
    assert_eq!(post(&stand_in, SNAPSHOTS, "").status, 502);
    assert_eq!(stand_in.snapshots("c").len(), 1);
}

#[test]
fn a_slow_creation_goes_on_when_the_client_has_hung_up() {
    let stand_in = effect(Effect::CreationTakes(Duration::from_millis(400)));
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", stand_in.port())).unwrap();
    let head = format!("POST {SNAPSHOTS} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
    wait_until(|| !stand_in.requests().is_empty());
    drop(stream);
    assert_eq!(stand_in.snapshots("c").len(), 1);
    wait_until(|| stand_in.snapshots("c").len() == 2);
}

#[test]
fn another_tools_snapshot_appears_beside_ours() {
    let content = Content::bytes("another");
    let stand_in = effect(Effect::AnotherSnapshotAppears { seconds_after_request: 1, content });
    stand_in.state(|state| state.clock.freeze_at("2026-11-23T12:00:00Z".parse().unwrap()));
    post(&stand_in, SNAPSHOTS, "").result();
    assert_eq!(
        stand_in.snapshot_names("c"),
        [
            "c-8372720498335175-2026-11-23-12-00-00.snapshot",
            "c-8372720498335175-2026-11-23-12-00-01.snapshot",
            "c.snapshot"
        ]
    );
}

#[test]
fn our_snapshot_can_be_replaced_right_after_it_was_made() {
    let stand_in = effect(Effect::ReplacedAfterCreation(Content::bytes("another")));
    let created = post(&stand_in, SNAPSHOTS, "").result();
    let path = format!("{SNAPSHOTS}/{}", created["name"].as_str().unwrap());
    assert_eq!(get(&stand_in, &path).text(), "another");
    assert_ne!(created["checksum"], json!(Content::bytes("another").sha256()));
    assert_eq!(stand_in.snapshots("c").len(), 2);
}

#[test]
fn counts_and_the_list_of_collections_can_lie_for_a_while() {
    let stand_in = with(Fault::new(Effect::PointsCount(12)).first(1));
    stand_in.faults(|faults| {
        faults.add(Fault::new(Effect::PointsCount(8)).first(1));
        faults.add(Fault::new(Effect::NoCollections).first(1));
    });
    let count = || post(&stand_in, "/collections/c/points/count", "{}").result()["count"].clone();
    assert_eq!([count(), count(), count()], [json!(12), json!(8), json!(10)]);
    let list = || get(&stand_in, "/collections").result()["collections"].as_array().unwrap().len();
    assert_eq!([list(), list()], [0, 1]);
}

#[test]
fn the_servers_clock_stamps_names_and_answers() {
    let stand_in = effect(Effect::NoCollections);
    stand_in.state(|state| state.clock.freeze_at("2020-01-02T03:04:05Z".parse().unwrap()));
    stand_in.set_peer_id(42);
    let response = post(&stand_in, SNAPSHOTS, "");
    assert_eq!(response.header("date"), Some("Thu, 02 Jan 2020 03:04:05 GMT"));
    assert_eq!(response.result()["name"], json!("c-42-2020-01-02-03-04-05.snapshot"));
}

fn wait_until(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}
