//! `qdrant`: the server and how patient to be with it.

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
    .meaning("Where Qdrant answers: http or https, a path prefix is kept, a query or fragment is refused. `user:password@` is used for basic authentication and never shown; it is refused on the command line, which every user of the machine can read.");

pub static NODES: Knob<Vec<Located<String>>> = Knob::new("qdrant.nodes", kinds::URLS)
    .variable("QDRANT_NODES")
    .unset_is("each node at the host of its internal address, with scheme, port and path of `qdrant.url`")
    .example(r#"["https://qdrant-0.example.org:6333", "https://qdrant-1.example.org:6333"]"#)
    .meaning("REST URLs of all nodes of the cluster, where they do not follow from `qdrant.url`; see [clusters.md](clusters.md). In `QDRANT_NODES` with commas between them. Each node is asked who it is. The API key, and user and password of `qdrant.url`, are used for all of them, so no URL here has a password.");

pub static API_KEY: Knob<Option<SecretText>> = Knob::new("qdrant.api_key", kinds::SECRET)
    .secret()
    .variable("QDRANT_API_KEY")
    .meaning("The API key itself. Not allowed in `backup.yaml`, because files get copied around. `QDRANT_API_KEY` and `QDRANT_API_KEY_FILE` in the same place are an error.");

pub static API_KEY_FILE: Knob<Option<PathBuf>> = Knob::new("qdrant.api_key_file", kinds::FILE)
    .variable("QDRANT_API_KEY_FILE")
    .option("--api-key-file", Follows::Path("FILE"), "File that holds Qdrant's API key [env: QDRANT_API_KEY_FILE, or QDRANT_API_KEY for the key itself]")
    .example("/etc/qdrant-backup/api-key")
    .meaning("File with the API key and nothing else: no quotes, no blanks, no name of a variable. One newline at its end is ignored. A warning says when every user can read it.");

pub static CA_FILE: Knob<Option<PathBuf>> = Knob::new("qdrant.ca_file", kinds::FILE)
    .variable("QDRANT_CA_FILE")
    .option("--ca-file", Follows::Path("FILE"), "PEM file of further certificate authorities")
    .example("/etc/ssl/certs/our-own.pem")
    .meaning("PEM file with certificate authorities to trust besides the system's, or with the server's very certificate; see [below](#tls).");

pub static TLS_CERT_FILE: Knob<Option<PathBuf>> = Knob::new("qdrant.tls.cert_file", kinds::FILE)
    .variable("QDRANT_TLS_CERT_FILE")
    .example("/etc/qdrant-backup/client.pem")
    .meaning("PEM file with the certificate to show to a Qdrant that wants one, followed by those of authorities in between. Needs `qdrant.tls.key_file`.");

pub static TLS_KEY_FILE: Knob<Option<PathBuf>> = Knob::new("qdrant.tls.key_file", kinds::FILE)
    .variable("QDRANT_TLS_KEY_FILE")
    .example("/etc/qdrant-backup/client.key")
    .meaning("PEM file with that certificate's private key, without a passphrase. A warning says when every user can read it.");

pub static PROXY: Knob<Option<SecretText>> = Knob::new("qdrant.proxy", kinds::URL)
    .example("http://proxy.example.org:3128")
    .meaning("HTTP proxy, `http://host:port`, `user:password@` allowed. Variables such as `HTTPS_PROXY` are not looked at.");

pub static CONNECT_TIMEOUT: Knob<Duration> = Knob::new("qdrant.connect_timeout", kinds::TIMEOUT)
    .default("10s")
    .meaning("How long a connection may take to be made.");

pub static STALL_TIMEOUT: Knob<Duration> = Knob::new("qdrant.stall_timeout", kinds::TIMEOUT)
    .default("60s")
    .meaning("How long a transfer may stand still. There is no limit on its whole length.");

pub static REQUEST_TIMEOUT: Knob<Duration> = Knob::new("qdrant.request_timeout", kinds::TIMEOUT)
    .default("60s")
    .meaning("How long a small request may take: all but creating a snapshot, recovering one, counting, and transfers.");

pub static CREATE_TIMEOUT: Knob<Duration> = Knob::new("qdrant.create_timeout", kinds::TIMEOUT)
    .default("6h")
    .meaning("How long Qdrant may take to create a snapshot.");

pub static COUNT_TIMEOUT: Knob<Duration> = Knob::new("qdrant.count_timeout", kinds::TIMEOUT)
    .default("10m")
    .meaning("How long counting the points of a collection may take. Qdrant is told it too, since by itself it gives up after a minute; where its strict mode allows less (`max_timeout`), its own limit counts.");

pub static WAIT_FOR_SERVER: Knob<Duration> = Knob::new("qdrant.wait_for_server", kinds::DURATION)
    .default("5m")
    .meaning("How long `run`, and `backup` without `--collection`, wait for a server that is not there yet; see [below](#a-server-that-is-not-there-yet). `0s`: not at all.");

pub static CLUSTER_TIMEOUT: Knob<Duration> = Knob::new("qdrant.cluster_timeout", kinds::DURATION)
    .default("5m")
    .meaning("In a cluster, how long the backup of a collection waits for shards that are being moved or copied, or that have no active replica on a node that answers; see [clusters.md](clusters.md). `0s`: not at all.");

pub static RETRIES: Knob<u32> = Knob::new("qdrant.retries", kinds::RETRIES)
    .default("4")
    .meaning("How often a failed request that changes nothing is tried again (0 to 100). A download that broke off goes on where it stopped, as often in a row without a byte coming; where the server gives no parts of files (snapshots in S3), it begins again.");
