//! The manifests under `k8s/`: rendered by kustomize, held against the schemas of Kubernetes, and against the program
//! that they start.

pub mod monitored;
mod objects;
mod started;

use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use crate::checkout::{at, file, root, script};
use crate::served::told;

pub const OVERLAYS: [&str; 2] = ["k8s/overlays/dev", "k8s/overlays/production"];

/// Every object of an overlay, each valid by the schemas of Kubernetes.
pub fn rendered(overlay: &str) -> Vec<Value> {
    let output = script("manifests").arg(overlay).output().expect("a script");
    assert!(output.status.success(), "{overlay}: {}", told(&output));
    serde_json::from_slice(&output.stdout).expect("a list of objects")
}

/// The overlay that docs/kubernetes.md tells an operator to write.
pub fn rendered_as_documented() -> Vec<Value> {
    let page = file("docs/kubernetes.md");
    let block = |language: &str, mark: &str| {
        let fence = format!("```{language}\n");
        let blocks = page.split(&fence).skip(1);
        let mut blocks = blocks.filter_map(|rest| rest.split("```").next());
        blocks
            .find(|block| block.contains(mark))
            .unwrap_or_else(|| panic!("no block with {mark}"))
            .to_owned()
    };
    let folder = overlay_of_an_operator(&block("yaml", "kind: Kustomization"));
    rendered(folder.path().to_str().unwrap())
}

/// A folder with this `kustomization.yaml`, for which the repository is `../leadgate`, and a configuration.
pub fn overlay_of_an_operator(text: &str) -> TempDir {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    // kustomize takes other folders by relative paths alone: up to the top, and down from there.
    let up: PathBuf = folder.path().components().skip(1).map(|_| "..").collect();
    let repository = up.join(root().strip_prefix("/").unwrap());
    assert!(text.contains("- ../leadgate/k8s/"), "{text}");
    let text = text.replace("../leadgate/k8s/", &format!("{}/k8s/", repository.display()));
    std::fs::write(folder.path().join("kustomization.yaml"), text).unwrap();
    let own = folder.path().join("leadgate.toml");
    std::fs::copy(at("k8s/base/leadgate.toml"), own).unwrap();
    folder
}

/// The objects of one kind.
pub fn of_kind<'o>(objects: &'o [Value], kind: &str) -> Vec<&'o Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

pub fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().expect("a name")
}

/// Elements of a list; none where there is no list.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

/// Everything that makes pods.
pub fn workloads(objects: &[Value]) -> Vec<&Value> {
    let makes_pods = |object: &&Value| object["spec"]["template"]["spec"]["containers"].is_array();
    objects.iter().filter(makes_pods).collect()
}

/// Those of Leadgate itself.
pub fn gateways(objects: &[Value]) -> Vec<&Value> {
    let all = workloads(objects).into_iter();
    all.filter(|workload| labels(workload)["app.kubernetes.io/name"] == "leadgate").collect()
}

/// The labels of a workload's pods.
pub fn labels(workload: &Value) -> &Value {
    &workload["spec"]["template"]["metadata"]["labels"]
}

/// A workload's containers, those that start before the others among them.
pub fn containers(workload: &Value) -> impl Iterator<Item = &Value> {
    let pod = &workload["spec"]["template"]["spec"];
    list(&pod["initContainers"]).iter().chain(list(&pod["containers"]))
}

/// Whether `selector` picks pods with these labels.
pub fn selects(selector: &Value, labels: &Value) -> bool {
    let Some(wanted) = selector.as_object() else { return false };
    let exactly = |wanted: &Value| {
        wanted
            .as_object()
            .is_none_or(|wanted| wanted.iter().all(|(key, value)| labels[key] == *value))
    };
    wanted.iter().all(|(key, value)| match key.as_str() {
        "matchLabels" => exactly(value),
        "matchExpressions" => list(value).iter().all(|expression| {
            assert_eq!(expression["operator"], "In");
            list(&expression["values"]).contains(&labels[text(&expression["key"])])
        }),
        _ => panic!("{key}: not known here"),
    })
}

/// The configuration file that an overlay gives its pods.
pub fn configuration(objects: &[Value]) -> String {
    let maps = of_kind(objects, "ConfigMap");
    let mut files = maps.iter().filter_map(|map| map["data"]["leadgate.toml"].as_str());
    let found = files.next().expect("a configuration").to_owned();
    assert_eq!(files.next(), None, "one of them");
    found
}
