//! Handles one request: logs it, applies faults, checks the key and dispatches it.

use std::future::pending;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::DATE;
use hyper::{Method, Request};

use super::access;
use super::answers::{HangUp, Reply, bare, set};
use super::effect::{Answer, Effect};
use super::faults::RequestScope;
use super::node::folder;
use super::request::{Asked, Core, drain};
use super::route::{Endpoint, route};
use super::{
    cluster_api, collections_api, creation, download, indexes, points_api, shard_keys, snapshots_api,
    telemetry, upload, writes,
};

/// Answers a request, or returns that the connection must be closed.
pub(crate) async fn handle(core: Arc<Core>, request: Request<Incoming>) -> Result<Reply, HangUp> {
    let reads = request.method() == Method::GET;
    let answered = answer(&core, request).await;
    if !reads {
        core.remember();
    }
    let mut reply = answered?;
    if !reply.headers().contains_key(DATE) {
        // The answer has the server's time, because clients compare it with the names of snapshots.
        let date = core.state().clock.now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        set(&mut reply, DATE.as_str(), &date);
    }
    Ok(reply)
}

async fn answer(core: &Arc<Core>, request: Request<Incoming>) -> Result<Reply, HangUp> {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let path_and_query = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let log_number = core.log.add(head.method.as_str(), path_and_query, &head.headers);

    let Some(path) = below_prefix(head.uri.path(), &core.path_prefix) else {
        return Ok(bare(404, Bytes::new()));
    };
    let route = route(&head.method, path);
    let scope = RequestScope {
        endpoint: route.endpoint,
        method: head.method.as_str(),
        path,
        collection: Some(route.collection.as_str()).filter(|name| !name.is_empty()),
        shard: route.shard.parse().ok(),
    };
    let effects = core.faults().take(&scope);
    for effect in &effects {
        match effect {
            Effect::HangUp => return Err(HangUp),
            Effect::NeverAnswer => pending().await,
            Effect::Dies => {
                core.die();
                return Err(HangUp);
            }
            Effect::Delay(time) => tokio::time::sleep(*time).await,
            Effect::DropCollection => {
                core.state().collections.remove(&route.collection);
            }
            Effect::DeleteSnapshot => {
                let mut state = core.state();
                let folder = folder(&state.resolve(&route.collection), route.shard.parse().ok());
                state.remove(core.node, &folder, &route.item);
            }
            Effect::Answer(instead) => {
                drain(core, log_number, body).await;
                return Ok(in_place(instead));
            }
            _ => {}
        }
    }

    let refused = access::refuse(&core.state(), route.endpoint, &head.headers, started);
    if let Some(refused) = refused {
        drain(core, log_number, body).await;
        return Ok(refused);
    }

    let mut asked = Asked {
        query: url::form_urlencoded::parse(head.uri.query().unwrap_or("").as_bytes()).into_owned().collect(),
        headers: head.headers,
        json: None,
        effects,
        started,
        node: core.node,
        log_number,
        route,
    };
    let effects = asked.effects.clone();
    let uploads = [Endpoint::UploadSnapshot, Endpoint::UploadShardSnapshot];
    let reply = if uploads.contains(&asked.route.endpoint) {
        upload::upload(core, &asked, body).await
    } else {
        asked.json = drain(core, log_number, body).await;
        dispatch(core, asked).await?
    };
    Ok(behind_a_proxy(reply, &effects))
}

/// The answer as a proxy changes it.
fn behind_a_proxy(mut reply: Reply, effects: &[Effect]) -> Reply {
    for effect in effects {
        match effect {
            Effect::AnswerAfter(instead) => reply = in_place(instead),
            Effect::Date(date) => set(&mut reply, DATE.as_str(), date),
            _ => {}
        }
    }
    reply
}

async fn dispatch(core: &Arc<Core>, asked: Asked) -> Result<Reply, HangUp> {
    Ok(match asked.route.endpoint {
        Endpoint::Root => collections_api::root(&core.state()),
        Endpoint::Readyz => collections_api::readyz(),
        Endpoint::Healthz => collections_api::health("healthz"),
        Endpoint::Livez => collections_api::health("livez"),
        Endpoint::Telemetry => telemetry::telemetry(&core.state(), &asked),
        Endpoint::Cluster => cluster_api::cluster(&mut core.state(), &asked),
        Endpoint::Collections => collections_api::list(&core.state(), &asked),
        Endpoint::CollectionInfo => collections_api::info(&mut core.state(), &asked),
        Endpoint::CollectionExists => collections_api::exists(&core.state(), &asked),
        Endpoint::CreateCollection => collections_api::create(&mut core.state(), &asked),
        Endpoint::UpdateCollection => collections_api::update(&mut core.state(), &asked),
        Endpoint::DeleteCollection => collections_api::delete(&mut core.state(), &asked),
        Endpoint::Aliases => collections_api::aliases(&core.state(), &asked),
        Endpoint::ChangeAliases => collections_api::change_aliases(&mut core.state(), &asked),
        Endpoint::CollectionAliases => collections_api::collection_aliases(&core.state(), &asked),
        Endpoint::CollectionCluster => cluster_api::collection(&mut core.state(), &asked),
        Endpoint::ChangeCollectionCluster => cluster_api::change(&mut core.state(), &asked),
        Endpoint::CreateIndex => indexes::create(&mut core.state(), &asked),
        Endpoint::DeleteIndex => indexes::delete(&mut core.state(), &asked),
        Endpoint::ShardKeys => shard_keys::list(&core.state(), &asked),
        Endpoint::CreateShardKey => shard_keys::create(&mut core.state(), &asked),
        Endpoint::DeleteShardKey => shard_keys::delete(&mut core.state(), &asked),
        Endpoint::CountPoints => points_api::count(&mut core.state(), &asked),
        Endpoint::ScrollPoints => points_api::scroll(&mut core.state(), &asked),
        Endpoint::UpsertPoints => writes::upsert(&mut core.state(), &asked),
        Endpoint::DeletePoints => writes::delete(&mut core.state(), &asked),
        Endpoint::RetrievePoints => points_api::retrieve(&mut core.state(), &asked),
        Endpoint::CreateSnapshot | Endpoint::CreateShardSnapshot => {
            return creation::create(core, &asked).await;
        }
        Endpoint::ListSnapshots | Endpoint::ListShardSnapshots => snapshots_api::list(&core.state(), &asked),
        Endpoint::DeleteSnapshot | Endpoint::DeleteShardSnapshot => {
            snapshots_api::delete(&mut core.state(), &asked)
        }
        Endpoint::RecoverSnapshot => snapshots_api::recover(&asked),
        Endpoint::DownloadSnapshot | Endpoint::DownloadShardSnapshot => download::snapshot(core, &asked),
        Endpoint::ShardSnapshot => download::shard(core, &asked),
        // Uploads are handled elsewhere, because their body is read while it arrives.
        Endpoint::UploadSnapshot | Endpoint::UploadShardSnapshot | Endpoint::Unknown => {
            bare(404, Bytes::new())
        }
    })
}

fn below_prefix<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let below = path.strip_prefix(prefix)?;
    if below.is_empty() {
        return Some("/");
    }
    below.starts_with('/').then_some(below)
}

fn in_place(answer: &Answer) -> Reply {
    let mut reply = bare(answer.status, answer.body.clone());
    for (name, value) in &answer.headers {
        set(&mut reply, name, value);
    }
    reply
}
