//! The files in deploy/kubernetes match the programs and each other. `cargo xtask test --only deploy` checks that
//! Kubernetes accepts them.

use std::collections::BTreeMap;
use std::process::Command;

use e2e::programs::program;
use e2e::qdrant_stand_in::{Setup, StandIn};
use e2e::scene::docs;
use e2e::{Place, Ran, repository};
use qdrant_backup_shared::atomic;
use serde_json::Value;

fn read(name: &str) -> Vec<Value> {
    repository::yaml(&format!("deploy/kubernetes/{name}.yml"))
}

/// The pod templates of the CronJob, the Job and the Deployment.
fn pods() -> [Value; 3] {
    let of = |name, pointer: &str| read(name).remove(0).pointer(pointer).expect("a template").clone();
    [
        of("cronjob", "/spec/jobTemplate/spec/template"),
        of("init-job", "/spec/template"),
        of("exporter", "/spec/template"),
    ]
}

/// The configuration of all pods.
fn config() -> String {
    read("configmap").remove(0)["data"]["backup.yaml"].as_str().expect("a file").to_owned()
}

#[test]
fn no_pod_may_do_more_than_it_must() {
    let dockerfile = repository::read("deploy/docker/Dockerfile");
    for pod in pods() {
        let spec = &pod["spec"];
        let security = &spec["securityContext"];
        assert_eq!(security["runAsNonRoot"], true);
        let user = format!("USER {}:{}", security["runAsUser"], security["runAsGroup"]);
        assert!(dockerfile.contains(&user), "{user} is not the image's");
        assert_eq!(security["fsGroup"], security["runAsGroup"]);
        assert_eq!(security["fsGroupChangePolicy"], "OnRootMismatch");
        assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault");
        assert_eq!(spec["automountServiceAccountToken"], false);
        let containers = spec["containers"].as_array().expect("containers");
        assert_eq!(containers.len(), 1);
        let security = &containers[0]["securityContext"];
        assert_eq!(security["allowPrivilegeEscalation"], false);
        assert_eq!(security["readOnlyRootFilesystem"], true);
        assert_eq!(security["capabilities"]["drop"][0], "ALL");
        assert!(containers[0]["env"].is_null(), "no secret among the variables");
        let image = containers[0]["image"].as_str().expect("an image");
        assert!(image.ends_with(concat!(":", env!("CARGO_PKG_VERSION"))), "{image}");
    }
}

#[test]
fn the_names_that_pods_ask_for_exist() {
    let claim = &read("volume")[0]["metadata"]["name"];
    let map = &read("configmap")[0]["metadata"]["name"];
    for pod in pods() {
        let spec = &pod["spec"];
        let volumes = spec["volumes"].as_array().expect("volumes");
        for mount in spec["containers"][0]["volumeMounts"].as_array().expect("mounts") {
            assert!(volumes.iter().any(|volume| volume["name"] == mount["name"]), "{mount}");
        }
        let named = |name: &str| volumes.iter().find(|volume| volume["name"] == name);
        assert_eq!(&named("backups").expect("backups")["persistentVolumeClaim"]["claimName"], claim);
        assert_eq!(&named("config").expect("config")["configMap"]["name"], map);
        if let Some(key) = named("api-key") {
            assert_eq!(key["secret"]["defaultMode"], 0o440, "nobody else may read it");
        }
        // The node of the other pods, and any node for the first one.
        let terms = &spec["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
        let wanted = terms[0]["labelSelector"]["matchLabels"].as_object().expect("labels");
        let labels = pod["metadata"]["labels"].as_object().expect("labels");
        assert!(wanted.iter().all(|(name, value)| labels.get(name) == Some(value)), "{labels:?}");
    }
}

#[test]
fn backups_are_expected_when_they_are_made() {
    let cronjob = read("cronjob").remove(0);
    let text = config();
    for (key, ours) in [("cron", "schedule"), ("timezone", "timeZone")] {
        let value = cronjob["spec"][ours].as_str().expect("a schedule");
        let line =
            text.lines().find_map(|line| line.trim().strip_prefix(&format!("{key}: "))).expect("a schedule");
        assert_eq!(line.trim_matches('"'), value);
    }
    assert_eq!(cronjob["spec"]["concurrencyPolicy"], "Forbid");
    assert_eq!(cronjob["spec"]["jobTemplate"]["spec"]["backoffLimit"], 0);
}

#[test]
fn the_service_leads_to_the_exporter_and_the_service_monitor_to_the_service() {
    let documents = read("exporter");
    let [deployment, service] = documents.as_slice() else { panic!("two documents") };
    let labels = deployment["spec"]["template"]["metadata"]["labels"].as_object().expect("labels");
    let selector = service["spec"]["selector"].as_object().expect("a selector");
    assert!(selector.iter().all(|(name, value)| labels.get(name) == Some(value)));
    for pod in &pods()[..2] {
        let others = pod["metadata"]["labels"].as_object().expect("labels");
        assert!(selector.iter().any(|(name, value)| others.get(name) != Some(value)), "and to no other pod");
    }
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let help = Ran::of(Command::new(program("qdrant-backup-exporter")).arg("--help")).success();
    let port = &container["ports"][0]["containerPort"];
    assert!(help.stdout.contains(&format!("[default: :{port}]")));
    assert_eq!(&service["spec"]["ports"][0]["port"], port);
    assert_eq!(service["spec"]["ports"][0]["targetPort"], container["ports"][0]["name"]);
    let monitor = repository::yaml("alerts/kubernetes/servicemonitor.yml").remove(0);
    assert_eq!(monitor["spec"]["endpoints"][0]["port"], service["spec"]["ports"][0]["name"]);
    let wanted = monitor["spec"]["selector"]["matchLabels"].as_object().expect("labels");
    let labels = service["metadata"]["labels"].as_object().expect("labels");
    assert!(wanted.iter().all(|(name, value)| labels.get(name) == Some(value)));
}

#[test]
fn a_scrape_by_the_service_monitor_has_the_same_identity_from_every_pod() {
    let monitor = repository::yaml("alerts/kubernetes/servicemonitor.yml").remove(0);
    let endpoint = &monitor["spec"]["endpoints"][0];
    // As in the exporter's manifest: no TLS, no password.
    assert!(endpoint["scheme"].is_null() && endpoint["basicAuth"].is_null(), "{endpoint}");
    let steps = endpoint["relabelings"].as_array().expect("steps");
    // The labels that the operator adds to every target before these steps.
    let scraped = |pod: &str, address: &str| {
        let mut labels: BTreeMap<String, String> = [
            ("namespace", "db"),
            ("service", "qdrant-backup-exporter"),
            ("pod", pod),
            ("container", "exporter"),
            ("endpoint", "metrics"),
            ("job", "qdrant-backup-exporter"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        for step in steps {
            let word = |key: &str| step[key].as_str().map(str::to_owned);
            match word("action").as_deref() {
                None => {
                    let from = step["sourceLabels"].as_array().map(Vec::as_slice).unwrap_or_default();
                    let from: Vec<&str> =
                        from.iter().map(|name| labels[name.as_str().unwrap()].as_str()).collect();
                    let value = word("replacement").unwrap_or_else(|| from.join(&word("separator").unwrap()));
                    labels.insert(word("targetLabel").unwrap(), value);
                }
                Some("labeldrop") => {
                    let dropped = word("regex").unwrap();
                    labels.retain(|name, _| !dropped.split('|').any(|other| other == name));
                }
                Some(other) => panic!("{other} is not known here"),
            }
        }
        labels.entry("instance".to_owned()).or_insert_with(|| address.to_owned());
        labels
    };
    let labels = scraped("qdrant-backup-exporter-1", "10.0.0.1:19854");
    assert_eq!(labels, scraped("qdrant-backup-exporter-2", "10.0.0.2:19854"));
    assert_eq!(
        (labels["job"].as_str(), labels["instance"].as_str()),
        ("qdrant-backup", "db/qdrant-backup-exporter")
    );
}

#[test]
fn the_pods_commands_with_their_configuration_make_a_backup_and_show_it() {
    let server = StandIn::start(Setup::empty().collection(docs()));
    let place = Place::new(&server.url());
    let [cronjob, init, exporter] = pods();
    let key = place.beside("api-key");
    atomic::write(&key, 0o600, b"s3cret\n").expect("a key");
    // The paths where volumes are mounted, so that every configured path is on a volume.
    for (pod, mounts) in [(&cronjob, 3), (&init, 3), (&exporter, 2)] {
        let text = pod["spec"]["containers"][0]["volumeMounts"].to_string();
        assert_eq!(text.matches("mountPath").count(), mounts, "{text}");
        assert!(text.contains("\"/etc/qdrant-backup\"") && text.contains("\"/opt/qdrant\""), "{text}");
        assert_eq!(text.contains("\"/run/secrets/qdrant-backup\""), mounts == 3, "{text}");
    }
    let text = config();
    let here = [
        ("http://qdrant:6333", server.url()),
        ("/run/secrets/qdrant-backup/api-key", key.display().to_string()),
        ("/opt/qdrant/backups", place.path().display().to_string()),
    ];
    let text = here.iter().fold(text, |text, (documented, ours)| {
        assert!(text.contains(documented), "{documented} is not in {text}");
        text.replace(documented, ours)
    });
    atomic::write(&place.beside("map.yaml"), 0o644, text.as_bytes()).expect("a file");
    let run = |name: &str, pod: &Value, more: &[&str]| {
        let arguments = pod["spec"]["containers"][0]["args"].as_array().expect("arguments").iter();
        let mut command = Command::new(program(name));
        command.env_clear().args(arguments.map(|word| word.as_str().expect("a word"))).args(more);
        Ran::of(command.arg("--config").arg(place.beside("map.yaml")))
    };

    run("qdrant-backup", &cronjob, &[]).code(78);
    run("qdrant-backup", &init, &[]).success();
    run("qdrant-backup", &init, &[]).success();
    run("qdrant-backup", &cronjob, &[]).success();

    assert_eq!(place.prove(), 1);
    let shown = run("qdrant-backup-exporter", &exporter, &["--once"]).success();
    assert!(shown.stdout.contains("qdrant_backup_up 1\n"), "{}", shown.stdout);
    assert!(
        shown.stdout.contains("qdrant_backup_schedule_interval_seconds{operation=\"backup\"} 86400\n"),
        "{}",
        shown.stdout
    );
}
