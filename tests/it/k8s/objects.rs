//! What must be true of the objects, each and together.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::{
    OVERLAYS, configuration, containers, gateways, labels, list, name, of_kind,
    overlay_of_an_operator, rendered, rendered_as_documented, selects, text, workloads,
};
use crate::checkout::{file, script};
use crate::served::told;

fn every_rendering() -> Vec<(String, Vec<Value>)> {
    let mut all: Vec<_> = OVERLAYS.map(|overlay| (overlay.to_owned(), rendered(overlay))).into();
    all.push(("as documented".to_owned(), rendered_as_documented()));
    all
}

#[test]
fn every_overlay_renders_to_valid_objects_in_a_restricted_namespace() {
    for (overlay, objects) in every_rendering() {
        let kinds: BTreeSet<&str> = objects.iter().map(|object| text(&object["kind"])).collect();
        for kind in
            ["ConfigMap", "Service", "ServiceAccount", "NetworkPolicy", "Ingress", "StatefulSet"]
        {
            assert!(kinds.contains(kind), "{overlay}: no {kind}");
        }
        assert!(!kinds.contains("Secret"), "{overlay}: secrets are no business of a repository");
        for object in &objects {
            let [namespace] = of_kind(&objects, "Namespace")[..] else { panic!("one namespace") };
            assert_eq!(
                namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"],
                "restricted"
            );
            if object["kind"] != "Namespace" {
                assert_eq!(
                    object["metadata"]["namespace"],
                    namespace["metadata"]["name"],
                    "{overlay}: {}",
                    name(object)
                );
            }
        }
    }
    let production: BTreeSet<String> =
        rendered(OVERLAYS[1]).iter().map(|object| text(&object["kind"]).to_owned()).collect();
    for kind in [
        "Deployment",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
        "ServiceMonitor",
        "PrometheusRule",
    ] {
        assert!(production.contains(kind), "no {kind}");
    }
}

/// What is told of production, with a patch that is written as JSON.
fn refusal_of(target: &str, patch: &str) -> String {
    let text = format!(
        "resources:\n- ../leadgate/k8s/overlays/production\npatches:\n- target: {target}\n  patch: '{patch}'\n"
    );
    let folder = overlay_of_an_operator(&text);
    let output = script("manifests").arg(folder.path()).output().unwrap();
    assert!(!output.status.success());
    told(&output)
}

#[test]
fn a_key_that_kubernetes_does_not_know_is_found() {
    let patch = r#"[{"op": "add", "path": "/spec/replicaz", "value": 3}]"#;
    let said = refusal_of("{kind: Deployment}", patch);
    assert!(said.contains("Deployment/worker under 1.37") && said.contains("replicaz"), "{said}");
}

#[test]
fn what_the_prometheus_operator_does_not_know_is_found() {
    let patch = r#"[{"op": "add", "path": "/spec/endpoints/0/intervall", "value": "15s"},
                    {"op": "add", "path": "/spec/selector/matchLabels", "value": "leadgate"}]"#;
    let said = refusal_of("{kind: ServiceMonitor}", patch);
    assert!(said.contains("ServiceMonitor/leadgate") && said.contains("matchLabels"), "{said}");
    let (patch, _) = patch.split_once(",\n").unwrap();
    let said = refusal_of("{kind: ServiceMonitor}", &format!("{patch}]"));
    assert!(said.contains(".spec.endpoints[0].intervall is unknown"), "{said}");
    let patch =
        r#"[{"op": "add", "path": "/spec/groups/0/rules/0/severity", "value": "critical"}]"#;
    let said = refusal_of("{kind: PrometheusRule}", patch);
    assert!(said.contains(".spec.groups[0].rules[0].severity is unknown"), "{said}");
}

/// What the level `restricted` of Kubernetes' Pod Security Standards asks for, and a root that cannot be written.
#[test]
fn no_pod_may_do_more_than_it_has_to() {
    for (overlay, objects) in every_rendering() {
        let all = workloads(&objects);
        assert!(!all.is_empty());
        for workload in all {
            let at = format!("{overlay}: {}", name(workload));
            let pod = &workload["spec"]["template"]["spec"];
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{at}");
            assert_ne!(pod["securityContext"]["runAsUser"], 0, "{at}");
            assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{at}");
            assert_eq!(pod["automountServiceAccountToken"], false, "{at}");
            for key in ["hostNetwork", "hostPID", "hostIPC"] {
                assert_eq!(pod[key], Value::Null, "{at}");
            }
            for container in containers(workload) {
                let at = format!("{at}: {}", name_of_container(container));
                let security = &container["securityContext"];
                assert_eq!(security["allowPrivilegeEscalation"], false, "{at}");
                assert_eq!(security["readOnlyRootFilesystem"], true, "{at}");
                assert_eq!(security["capabilities"], json!({"drop": ["ALL"]}), "{at}");
                let resources = &container["resources"];
                for amount in [
                    &resources["requests"]["cpu"],
                    &resources["requests"]["memory"],
                    &resources["limits"]["memory"],
                ] {
                    assert!(amount.is_string(), "{at}: {resources}");
                }
                let image = text(&container["image"]);
                assert!(
                    image.rsplit('/').next().unwrap().contains(':'),
                    "{at}: {image} has no tag"
                );
                for mount in list(&container["volumeMounts"]) {
                    assert!(has_volume(workload, text(&mount["name"])), "{at}: {mount}");
                }
            }
        }
    }
}

fn name_of_container(container: &Value) -> &str {
    text(&container["name"])
}

fn has_volume(workload: &Value, volume: &str) -> bool {
    let of_pod =
        list(&workload["spec"]["template"]["spec"]["volumes"]).iter().map(|found| &found["name"]);
    let claims = list(&workload["spec"]["volumeClaimTemplates"]).iter();
    of_pod.chain(claims.map(|claim| &claim["metadata"]["name"])).any(|found| found == volume)
}

/// What asks for another object by its name, port or labels finds it.
#[test]
fn whatever_refers_to_something_finds_it() {
    for (overlay, objects) in every_rendering() {
        let all = workloads(&objects);
        let is_there = |kind: &str, wanted: &Value| {
            of_kind(&objects, kind).iter().any(|object| object["metadata"]["name"] == *wanted)
        };
        let port_of = |workload: &Value, port: &Value| {
            let mut ports = containers(workload).flat_map(|container| list(&container["ports"]));
            ports.any(|found| found["name"] == *port || found["containerPort"] == *port)
        };
        for service in of_kind(&objects, "Service") {
            let at = format!("{overlay}: service {}", name(service));
            let selector = json!({"matchLabels": service["spec"]["selector"]});
            let behind: Vec<_> =
                all.iter().filter(|workload| selects(&selector, labels(workload))).collect();
            assert!(!behind.is_empty(), "{at} leads nowhere");
            for port in list(&service["spec"]["ports"]) {
                assert!(
                    behind.iter().all(|workload| port_of(workload, &port["targetPort"])),
                    "{at}: {port}"
                );
            }
        }
        for workload in &all {
            let at = format!("{overlay}: {}", name(workload));
            let spec = &workload["spec"];
            assert!(selects(&spec["selector"], labels(workload)), "{at}");
            assert!(
                spec["serviceName"].is_null() || is_there("Service", &spec["serviceName"]),
                "{at}"
            );
            for volume in list(&spec["template"]["spec"]["volumes"]) {
                let map = &volume["configMap"]["name"];
                assert!(map.is_null() || is_there("ConfigMap", map), "{at}: {volume}");
            }
            let account = &spec["template"]["spec"]["serviceAccountName"];
            assert!(account.is_null() || is_there("ServiceAccount", account), "{at}");
        }
        for budget in of_kind(&objects, "PodDisruptionBudget") {
            assert!(
                all.iter().any(|workload| selects(&budget["spec"]["selector"], labels(workload)))
            );
        }
        for scaler in of_kind(&objects, "HorizontalPodAutoscaler") {
            let target = &scaler["spec"]["scaleTargetRef"];
            let mut all = of_kind(&objects, text(&target["kind"])).into_iter();
            let scaled = all.find(|workload| workload["metadata"]["name"] == target["name"]);
            let scaled = scaled.expect("what is scaled");
            assert_eq!(
                scaled["spec"]["replicas"],
                Value::Null,
                "both would say how many there are"
            );
        }
        for ingress in of_kind(&objects, "Ingress") {
            for rule in list(&ingress["spec"]["rules"]) {
                for path in list(&rule["http"]["paths"]) {
                    let backend = &path["backend"]["service"];
                    let services = of_kind(&objects, "Service");
                    let service = services
                        .iter()
                        .find(|service| service["metadata"]["name"] == backend["name"]);
                    let ports = list(&service.expect("a service")["spec"]["ports"]);
                    assert!(
                        ports.iter().any(|port| port["name"] == backend["port"]["name"]),
                        "{path}"
                    );
                }
            }
        }
        for monitor in of_kind(&objects, "ServiceMonitor") {
            let watched = of_kind(&objects, "Service").into_iter();
            let watched: Vec<_> = watched
                .filter(|service| {
                    selects(&monitor["spec"]["selector"], &service["metadata"]["labels"])
                })
                .collect();
            let [service] = watched[..] else {
                panic!("{overlay}: one service is scraped: {watched:?}")
            };
            for endpoint in list(&monitor["spec"]["endpoints"]) {
                assert!(
                    list(&service["spec"]["ports"])
                        .iter()
                        .any(|port| port["name"] == endpoint["port"])
                );
                assert_eq!(endpoint["path"], "/metrics");
            }
            let selector = json!({"matchLabels": service["spec"]["selector"]});
            for gateway in gateways(&objects) {
                assert!(
                    selects(&selector, labels(gateway)),
                    "{overlay}: {} is not scraped",
                    name(gateway)
                );
            }
        }
    }
}

/// Where a pod may speak to: what the policies that pick it let out, as peers and ports.
fn ways_out(objects: &[Value], pod: &Value) -> BTreeSet<String> {
    let policies = of_kind(objects, "NetworkPolicy").into_iter();
    let policies = policies.filter(|policy| selects(&policy["spec"]["podSelector"], pod));
    let mut ways = BTreeSet::new();
    for policy in policies {
        for rule in list(&policy["spec"]["egress"]) {
            for (peer, port) in list(&rule["to"])
                .iter()
                .flat_map(|peer| list(&rule["ports"]).iter().map(move |port| (peer, port)))
            {
                let whom = match (&peer["ipBlock"]["cidr"], &peer["podSelector"]["matchLabels"]) {
                    (Value::String(cidr), _) => cidr.clone(),
                    (_, labels) => labels.to_string(),
                };
                ways.insert(format!("{whom}:{}", port["port"]));
            }
        }
    }
    ways
}

#[test]
fn nothing_goes_out_but_names_redis_and_from_workers_tls_to_the_internet() {
    let objects = rendered("k8s/overlays/production");
    let nothing =
        of_kind(&objects, "NetworkPolicy").into_iter().find(|policy| name(policy) == "nothing");
    let nothing = &nothing.expect("a policy for whom no other picks")["spec"];
    assert_eq!(*nothing, json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}));
    let inside =
        [r#"{"app.kubernetes.io/component":"redis"}:6379"#, r#"{"k8s-app":"kube-dns"}:53"#];
    let internet = ["0.0.0.0/0:443", "2000::/3:443"];
    for gateway in gateways(&objects) {
        let mut allowed: BTreeSet<String> = inside.map(str::to_owned).into();
        if name(gateway) == "worker" {
            allowed.extend(internet.map(str::to_owned));
        }
        assert_eq!(ways_out(&objects, labels(gateway)), allowed, "{}", name(gateway));
    }
    let internet =
        of_kind(&objects, "NetworkPolicy").into_iter().find(|policy| name(policy) == "internet");
    let except = list(&internet.unwrap()["spec"]["egress"][0]["to"][0]["ipBlock"]["except"]);
    for private in [
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "100.64.0.0/10",
        "127.0.0.0/8",
    ] {
        assert!(except.contains(&json!(private)), "{private} is inside");
    }
    // With the component for challenges, and a Redis of its own, which answers gateways alone and asks nobody.
    let documented = rendered_as_documented();
    for gateway in gateways(&documented) {
        assert!(
            ways_out(&documented, labels(gateway)).contains("0.0.0.0/0:443"),
            "{}",
            name(gateway)
        );
    }
    let redis = workloads(&documented)
        .into_iter()
        .find(|workload| name(workload) == "redis")
        .expect("a Redis");
    assert_eq!(ways_out(&documented, labels(redis)), BTreeSet::new());
}

/// A pod that is killed before its end is one that loses answers.
#[test]
fn a_pod_has_the_time_that_its_configuration_asks_for() {
    for (overlay, objects) in every_rendering() {
        let text = configuration(&objects);
        let (drain, grace) =
            (seconds(&text, "drain_delay", 0), seconds(&text, "shutdown_grace", 20));
        for gateway in gateways(&objects) {
            let until_killed = gateway["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
                .as_u64()
                .unwrap();
            assert!(
                Duration::from_secs(until_killed) > drain + grace + Duration::from_secs(5),
                "{overlay}"
            );
            let probe = &containers(gateway).last().unwrap()["readinessProbe"];
            let noticed = probe["periodSeconds"].as_u64().unwrap()
                * probe["failureThreshold"].as_u64().unwrap();
            assert!(
                drain.is_zero() || drain > Duration::from_secs(noticed),
                "{overlay}: a load balancer that goes by readiness hears of it when it is too late"
            );
        }
    }
}

/// The seconds that a configuration gives a key of `[server]`, or `default`.
fn seconds(configuration: &str, key: &str, default: u64) -> Duration {
    let written = configuration.lines().find_map(|line| line.strip_prefix(&format!("{key} = \"")));
    written.map_or(Duration::from_secs(default), |rest| {
        humantime::parse_duration(rest.trim_end_matches('"')).expect("a duration")
    })
}

/// What the Secret must hold is in the example, and nothing else is.
#[test]
fn the_example_of_the_secret_has_each_key_that_is_asked_for() {
    let keys = |file: &str| -> BTreeSet<String> {
        let lines = file.lines().filter(|line| !line.starts_with('#'));
        lines.filter_map(|line| Some(line.split_once('=')?.0.to_owned())).collect()
    };
    let example = file("k8s/base/secret.example.env");
    let objects = rendered("k8s/overlays/production");
    let mut asked = BTreeSet::new();
    for gateway in gateways(&objects) {
        for variable in containers(gateway).flat_map(|container| list(&container["env"])) {
            if let Some(key) = variable["valueFrom"]["secretKeyRef"]["key"].as_str() {
                assert_eq!(variable["valueFrom"]["secretKeyRef"]["name"], "leadgate");
                asked.insert(key.to_owned());
            }
        }
    }
    let configuration = configuration(&objects);
    let files = configuration.split("file = \"").skip(1).filter_map(|rest| rest.split('"').next());
    for path in files {
        asked.insert(
            path.strip_prefix("/etc/leadgate/secrets/").expect("where the Secret is").to_owned(),
        );
    }
    assert_eq!(keys(&example), asked);
    for line in example.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.contains("PLACEHOLDER"), "{line}: a secret in the repository?");
    }
}
