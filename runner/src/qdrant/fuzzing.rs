//! Fuzz targets for a server's answers.

#![expect(clippy::unwrap_used, reason = "a broken promise ends the run")]

use std::sync::LazyLock;
use std::time::Duration;

use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::fuzzing::{assert_line, text};
use reqwest::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::answers::{
    Aliases, CollectionCluster, CollectionInfo, Collections, Count, Envelope, Exists, RawSnapshot, Root,
    Scrolled,
};
use super::client::{Client, decode, error_message};
use super::cluster::ClusterStatus;
use super::create::{CreateBody, PayloadIndex};
use super::retry;
use super::sample::point_digest;
use super::shard_table::ShardTable;
use super::snapshot_name::SnapshotName;
use super::subject::Subject;
use super::telemetry::Telemetry;
use super::tls::Certificate;
use super::transport::ClientOptions;
use super::version::minor_version;
use super::whole_points::WholePoint;

/// A client that sends no request.
static CLIENT: LazyLock<Client> = LazyLock::new(|| {
    let second = Duration::from_secs(1);
    let options = ClientOptions {
        url: Url::parse("http://qdrant:6333/prefix").unwrap(),
        basic_auth: None,
        api_key: None,
        ca_file: None,
        identity: None,
        proxy: None,
        connect_timeout: second,
        stall_timeout: second,
        request_timeout: second,
        create_timeout: second,
        count_timeout: second,
        retries: 0,
    };
    Client::new(&options, CancellationToken::new()).unwrap()
});

/// The body of an answer, parsed as each kind of answer.
pub fn qdrant_answer(data: &[u8]) {
    assert_line(&error_message(data, StatusCode::BAD_GATEWAY));
    let docs = CollectionName::new("docs").unwrap();
    if let Ok(root) = decode::<Root>("asking", data) {
        minor_version(&root.version);
    }
    for entry in of::<Collections>(data).into_iter().flat_map(|all| all.collections) {
        if let Err(impossible) = CollectionName::listed(entry.name) {
            assert_line(&impossible.to_string());
        }
    }
    of::<Aliases>(data);
    if let Some(info) = of::<CollectionInfo>(data) {
        CreateBody::of(&info.config, Some(2));
        PayloadIndex::all(&info.payload_schema).iter().for_each(|index| drop(index.body()));
    }
    if let Some(cluster) = of::<CollectionCluster>(data) {
        table(&cluster);
    }
    if let Some(status) = of::<ClusterStatus>(data) {
        status.is_enabled();
    }
    if let Some(telemetry) = of::<Telemetry>(data) {
        telemetry.creations(&docs);
        telemetry.restores(&docs);
    }
    for snapshot in
        of::<RawSnapshot>(data).into_iter().chain(of::<Vec<RawSnapshot>>(data).into_iter().flatten())
    {
        if let Err(problem) = snapshot.check() {
            assert_line(&problem);
        }
    }
    for point in of::<Scrolled>(data).into_iter().flat_map(|page| page.points) {
        // Its digest does not change when it is written and parsed again.
        let again: Value = serde_json::from_str(&point.to_string()).unwrap();
        assert_eq!(point_digest(&again), point_digest(&point), "{point}");
    }
    of::<Vec<WholePoint>>(data);
    of::<Exists>(data);
    of::<Count>(data);
    of::<Option<bool>>(data);
}

fn of<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let answer = decode::<Envelope<T>>("asking", body);
    answer.map(|answer| answer.result).map_err(|error| assert_line(&error.to_string())).ok()
}

fn table(cluster: &CollectionCluster) {
    let table = ShardTable::from(cluster);
    assert!(table.has_the_shards_of(&table));
    assert_eq!(table.shards.len(), cluster.shard_keys().len());
    table.unsettled(|peer| peer % 2 == 0).iter().for_each(|line| assert_line(line));
    cluster.uncovered_shards().iter().for_each(|line| assert_line(line));
    table.keys();
    table.nodes();
    cluster.peer_ids().count();
}

/// A name from a server: of a snapshot, a collection or a node.
pub fn server_name(data: &[u8]) {
    let name = text(data);
    if let Ok(snapshot) = SnapshotName::new(&name) {
        assert_line(&snapshot.to_string());
        let docs = CollectionName::new("docs").unwrap();
        snapshot.stamped_at(&Subject::whole(&docs));
        snapshot.stamped_at(&Subject::shard(&docs, 1));
    }
    // For any collection name, the request is for its snapshots.
    if let Ok(url) = CLIENT.path("asking", &["collections", &name, "snapshots"]) {
        let segments: Vec<&str> = url.path().split('/').collect();
        assert!(matches!(segments[..], ["", "prefix", "collections", _, "snapshots"]), "{url}");
        assert!(url.host_str() == Some("qdrant") && url.query().is_none() && url.fragment().is_none());
    }
    match CLIENT.beside(&name) {
        Ok(client) => assert!(client.url().ends_with(":6333/prefix"), "{}", client.url()),
        Err(problem) => assert_line(&problem),
    }
    if let Some(pause) = retry::retry_after(&name, Some(chrono::DateTime::UNIX_EPOCH)) {
        retry::delay(0, Some(pause), 1.0);
    }
}

/// A server's certificate.
pub fn certificate(data: &[u8]) {
    let Some(certificate) = Certificate::read(data) else { return };
    assert_line(&certificate.subject);
    assert_line(&certificate.issuer);
    assert!(certificate.public_key.len() <= data.len());
}
