//! `qdrant`: the server and its timeouts.

#![expect(missing_docs, reason = "each says itself what it means")]

use std::path::PathBuf;
use std::time::Duration;

use super::super::kinds::{self, Located};
use super::super::knob::{Declared, Follows, Knob};
use super::super::types::SecretText;

pub(super) static QDRANT: &[&dyn Declared] = &[
    &QDRANT_URL,
    &NODES,
    &API_KEY,
    &API_KEY_FILE,
    &CA_FILE,
    &TLS_CERT_FILE,
    &TLS_KEY_FILE,
    &PROXY,
    &CONNECT_TIMEOUT,
    &STALL_TIMEOUT,
    &REQUEST_TIMEOUT,
    &CREATE_TIMEOUT,
    &COUNT_TIMEOUT,
    &WAIT_FOR_SERVER,
    &CLUSTER_TIMEOUT,
    &RETRIES,
];

pub static QDRANT_URL: Knob<Option<SecretText>> = Knob::new("qdrant.url", kinds::URL)
    .variable("QDRANT_URL")
    .option("--url", Follows::Text("URL"), "Qdrant's REST URL")
    .default("http://localhost:6333")
    .example("https://qdrant.example.org:6333")
    .meaning("Qdrant's REST URL, http or https. A path prefix is kept; a query or fragment is an error. `user:password@` is used for basic authentication and never shown; on the command line it is an error, because every user of the machine can read that.");

pub static NODES: Knob<Vec<Located<String>>> = Knob::new("qdrant.nodes", kinds::URLS)
    .variable("QDRANT_NODES")
    .unset_is("the internal host of each node, with the scheme, port and path of `qdrant.url`")
    .example(r#"["https://qdrant-0.example.org:6333", "https://qdrant-1.example.org:6333"]"#)
    .meaning("REST URLs of all cluster nodes, if they cannot be derived from `qdrant.url`; see [clusters.md](clusters.md). In `QDRANT_NODES`, separated by commas. The API key, user and password of `qdrant.url` are used for all nodes; these URLs must not contain a password.");

pub static API_KEY: Knob<Option<SecretText>> = Knob::new("qdrant.api_key", kinds::SECRET)
    .secret()
    .variable("QDRANT_API_KEY")
    .meaning("The API key itself. Not allowed in `backup.yaml`, which may be copied or shared. Setting both `QDRANT_API_KEY` and `QDRANT_API_KEY_FILE` in the same place is an error.");

pub static API_KEY_FILE: Knob<Option<PathBuf>> = Knob::new("qdrant.api_key_file", kinds::FILE)
    .variable("QDRANT_API_KEY_FILE")
    .option("--api-key-file", Follows::Path("FILE"), "File with Qdrant's API key [env: QDRANT_API_KEY_FILE, or QDRANT_API_KEY for the key itself]")
    .example("/etc/qdrant-backup/api-key")
    .meaning("File that contains only the API key, without quotes, spaces or a variable name. One newline at the end is ignored. If every user can read the file, a warning is logged.");

pub static CA_FILE: Knob<Option<PathBuf>> = Knob::new("qdrant.ca_file", kinds::FILE)
    .variable("QDRANT_CA_FILE")
    .option("--ca-file", Follows::Path("FILE"), "PEM file with additional certificate authorities")
    .example("/etc/ssl/certs/our-own.pem")
    .meaning("PEM file with certificate authorities to trust in addition to the system's, or with the server's own certificate; see [below](#tls).");

pub static TLS_CERT_FILE: Knob<Option<PathBuf>> = Knob::new("qdrant.tls.cert_file", kinds::FILE)
    .variable("QDRANT_TLS_CERT_FILE")
    .example("/etc/qdrant-backup/client.pem")
    .meaning("PEM file with the client certificate, followed by its intermediate certificates, for a Qdrant that requires one. Needs `qdrant.tls.key_file`.");

pub static TLS_KEY_FILE: Knob<Option<PathBuf>> = Knob::new("qdrant.tls.key_file", kinds::FILE)
    .variable("QDRANT_TLS_KEY_FILE")
    .example("/etc/qdrant-backup/client.key")
    .meaning("PEM file with the private key of the client certificate, without a passphrase. If every user can read the file, a warning is logged.");

pub static PROXY: Knob<Option<SecretText>> = Knob::new("qdrant.proxy", kinds::URL)
    .example("http://proxy.example.org:3128")
    .meaning("HTTP proxy, `http://host:port`, optionally with `user:password@`. Variables such as `HTTPS_PROXY` are ignored.");

pub static CONNECT_TIMEOUT: Knob<Duration> =
    Knob::new("qdrant.connect_timeout", kinds::TIMEOUT).default("10s").meaning("Maximum time to connect.");

pub static STALL_TIMEOUT: Knob<Duration> = Knob::new("qdrant.stall_timeout", kinds::TIMEOUT)
    .default("60s")
    .meaning("Maximum time without any data during a transfer. Its total time is not limited.");

pub static REQUEST_TIMEOUT: Knob<Duration> = Knob::new("qdrant.request_timeout", kinds::TIMEOUT)
    .default("60s")
    .meaning("Maximum time for a small request: all except creating or recovering a snapshot, counting, and transfers.");

pub static CREATE_TIMEOUT: Knob<Duration> = Knob::new("qdrant.create_timeout", kinds::TIMEOUT)
    .default("6h")
    .meaning("Maximum time for Qdrant to create a snapshot.");

pub static COUNT_TIMEOUT: Knob<Duration> = Knob::new("qdrant.count_timeout", kinds::TIMEOUT)
    .default("10m")
    .meaning("Maximum time to count the points of a collection. It is also sent to Qdrant, which would otherwise stop after a minute. If Qdrant's strict mode allows less (`max_timeout`), that limit applies.");

pub static WAIT_FOR_SERVER: Knob<Duration> = Knob::new("qdrant.wait_for_server", kinds::DURATION)
    .default("5m")
    .meaning("Maximum time that `run`, and `backup` without `--collection`, wait for a server that does not answer yet; see [below](#a-server-that-is-not-there-yet). `0s` does not wait.");

pub static CLUSTER_TIMEOUT: Knob<Duration> = Knob::new("qdrant.cluster_timeout", kinds::DURATION)
    .default("5m")
    .meaning("In a cluster, maximum time that the backup of a collection waits for shards that are being moved or copied, or that have no active replica on a reachable node; see [clusters.md](clusters.md). `0s` does not wait.");

pub static RETRIES: Knob<u32> = Knob::new("qdrant.retries", kinds::RETRIES)
    .default("4")
    .meaning("Number of retries for failed requests that change nothing (0 to 100). An interrupted download resumes where it stopped; the limit counts attempts in a row that bring no data. If the server cannot send parts of files (snapshots in S3), the download starts again.");
