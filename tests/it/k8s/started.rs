//! What the manifests start, started: the real binary with their arguments, variables and files.

use std::path::Path;
use std::process::Command;

use leadgate::sandbox::Options;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{configuration, containers, gateways, list, name, rendered, text};
use crate::checkout::file;
use crate::gateway::{ADMIN_TOKEN, CareSoft, http_client, id_of};
use crate::served::{Served, leadgate, told};
use crate::servers::{Port, Process, redis_server};

/// Where the pods have their files, and where they are here.
struct Files(TempDir);

impl Files {
    /// The configuration of an overlay, with a secret in each file that it names.
    fn of(objects: &[Value]) -> Self {
        let folder = TempDir::new().unwrap();
        for part in ["etc/leadgate/secrets", "etc/leadgate/configuration", "var/lib/leadgate"] {
            std::fs::create_dir_all(folder.path().join(part)).unwrap();
        }
        let files = Self(folder);
        let text = configuration(objects);
        for rest in text.split("file = \"").skip(1) {
            let path = rest.split('"').next().unwrap();
            let secret = match path.rsplit('/').next().unwrap() {
                "admin-token" => ADMIN_TOKEN.to_owned(),
                "caresoft-token" => Options::default().token,
                _ => "sixteen characters or more".to_owned(),
            };
            std::fs::write(files.here(path), secret).unwrap();
        }
        let root = files.0.path().display();
        let text = text.replace("/etc/leadgate/", &format!("{root}/etc/leadgate/"));
        let text = text.replace("/var/lib/leadgate/", &format!("{root}/var/lib/leadgate/"));
        std::fs::write(files.here("/etc/leadgate/configuration/leadgate.toml"), text).unwrap();
        files
    }

    fn here(&self, path: &str) -> std::path::PathBuf {
        self.0.path().join(path.trim_start_matches('/'))
    }

    /// A container's command, with its arguments and variables; `redis` is what the Secret says of it.
    fn command(&self, container: &Value, redis: &str) -> Command {
        let mut command = leadgate(self.0.path());
        command.args(list(&container["args"]).iter().map(text));
        for variable in list(&container["env"]) {
            let value = match &variable["valueFrom"]["secretKeyRef"]["key"] {
                Value::Null => self.here(text(&variable["value"])).display().to_string(),
                key if key == "store-url" => redis.to_owned(),
                key => panic!("{key}: what is it?"),
            };
            command.env(text(&variable["name"]), value);
        }
        command
    }
}

#[test]
fn the_configuration_of_every_overlay_is_valid() {
    for overlay in super::OVERLAYS {
        let objects = rendered(overlay);
        let files = Files::of(&objects);
        for gateway in gateways(&objects) {
            let container = containers(gateway).last().unwrap();
            let mut command = files.command(container, "redis://:secret@redis:6379/0");
            let mut check = leadgate(files.0.path());
            check
                .arg("check")
                .envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
            let output = check.output().unwrap();
            assert!(output.status.success(), "{overlay}: {}", told(&output));
            // The ports that the manifests speak of are those that it listens on.
            let text = configuration(&objects);
            for (port, key) in [("public", "\nlisten"), ("admin", "\nadmin_listen")] {
                let mut ports = list(&container["ports"]).iter();
                let Some(found) = ports.find(|found| found["name"] == port) else { continue };
                let line = format!("{key} = \"0.0.0.0:{}\"", found["containerPort"]);
                assert!(text.contains(&line), "{overlay}: no {line}");
            }
            command.arg("--help"); // its arguments are those of the command line
            assert!(command.output().unwrap().status.success());
        }
    }
}

/// The probes of a container, asked as the kubelet would.
async fn assert_probed(served: &Served, container: &Value) {
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let get = &container[probe]["httpGet"];
        assert_eq!(get["port"], "admin");
        let answer = http_client().get(format!("http://{}{}", served.admin, text(&get["path"])));
        assert_eq!(answer.send().await.unwrap().status(), 200, "{probe}");
    }
}

/// The paths that strangers may reach are all that a form and a page need, and each is there.
async fn assert_reached(served: &Served, objects: &[Value]) {
    let ingress = super::of_kind(objects, "Ingress")[0];
    let paths =
        list(&ingress["spec"]["rules"][0]["http"]["paths"]).iter().map(|path| text(&path["path"]));
    let mut paths: Vec<&str> = paths.collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/embed.js", "/in", "/thanks"]);
    for (path, status) in [("/embed.js", 200), ("/in/website", 405), ("/thanks", 200)] {
        let answer =
            http_client().get(format!("http://{}{path}", served.public())).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
    }
}

async fn submit(served: &Served, phone: &str) -> String {
    let post = http_client().post(served.endpoint("website")).json(&json!({ "phone": phone }));
    id_of(post.send().await.unwrap()).await
}

/// The Redis of the component, by its own configuration, and a fleet of the production overlay on it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fleet_of_production_works_on_the_redis_of_the_component() {
    let caresoft = CareSoft::start(Options::default());
    let folder = TempDir::new().unwrap();
    let (_redis, _port, url) = component_redis(folder.path());
    let objects = rendered("k8s/overlays/production");
    let files = Files::of(&objects);
    let start = async |role: &str| {
        let gateway = gateways(&objects).into_iter().find(|gateway| name(gateway) == role).unwrap();
        let container = containers(gateway).last().unwrap();
        let mut command = files.command(container, &url);
        command
            .env("LEADGATE__DESTINATIONS__MAIN__BASE_URL", format!("http://{}", caresoft.address));
        command.env("LEADGATE__DESTINATIONS__MAIN__DOMAIN", Options::default().domain);
        command.env("LEADGATE__SERVER__DRAIN_DELAY", "0s");
        let served = Served::spawn(command).await;
        assert_probed(&served, container).await;
        served
    };
    let (intake, worker) = (start("intake").await, start("worker").await);
    assert_reached(&intake, &objects).await;
    assert!(!worker.takes_submissions());
    let readiness: Value = worker.admin_get("/readyz").await.unwrap().json().await.unwrap();
    assert_eq!(
        readiness["store"]["durability"], "fsync always",
        "what the component's Redis is worth"
    );
    let id = submit(&intake, "0900000001").await;
    worker.settled(&id, "created").await;
    assert!(files.here("/var/lib/leadgate/spool.db").exists(), "the spool is on the pod's volume");
    for served in [intake, worker] {
        let (code, log) = served.terminate().await;
        assert_eq!(code, Some(0), "{log}");
    }
}

/// Its process, its port for as long as it is kept, and its URL.
fn component_redis(folder: &Path) -> (Process, Port, String) {
    let example =
        file("k8s/components/redis/secret.example.conf").replace("PLACEHOLDER", "of-a-test");
    std::fs::write(folder.join("password.conf"), example).unwrap();
    let mut text = file("k8s/components/redis/redis.conf");
    let password = folder.join("password.conf");
    for (there, here) in [
        ("include /etc/redis/secret/password.conf", format!("include {}", password.display())),
        ("dir /data", format!("dir {}", folder.display())),
    ] {
        assert!(text.contains(there), "no {there}");
        text = text.replace(there, &here);
    }
    std::fs::write(folder.join("redis.conf"), text).unwrap();
    let port = Port::claim();
    let mut command = redis_server();
    command.arg(folder.join("redis.conf")).args(["--bind", "127.0.0.1", "--daemonize", "no"]);
    command.args(["--port", &port.number().to_string()]);
    command.stdout(std::process::Stdio::null());
    let url = format!("redis://:of-a-test@127.0.0.1:{}/0", port.number());
    (Process::spawn(command), port, url)
}

/// The pod of the development overlay: gateway and simulator, and a lead that goes from one to the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pod_of_development_makes_a_lead_in_its_simulator() {
    let objects = rendered("k8s/overlays/dev");
    let [gateway] = gateways(&objects)[..] else { panic!("one gateway") };
    assert_eq!(
        (&gateway["kind"], &gateway["spec"]["replicas"]),
        (&json!("StatefulSet"), &json!(1))
    );
    let both: Vec<&Value> = containers(gateway).collect();
    let [simulator, container] = both[..] else { panic!("gateway and simulator") };
    let files = Files::of(&objects);
    let port = Port::claim();
    let listens = format!("127.0.0.1:{}", port.number());
    let arguments: Vec<&str> = list(&simulator["args"]).iter().map(text).collect();
    assert_eq!(arguments[..2], ["sandbox", "--listen"]);
    assert!(configuration(&objects).contains(&format!("http://{}\"", arguments[2])), "they meet");
    let mut command = leadgate(files.0.path());
    command.args(["sandbox", "--listen", &listens]).stdout(std::process::Stdio::null());
    let _simulator = Process::spawn(command);
    let mut command = files.command(container, "unused");
    command.env("LEADGATE__DESTINATIONS__SANDBOX__BASE_URL", format!("http://{listens}"));
    let served = Served::spawn(command).await;
    assert_probed(&served, container).await;
    assert_reached(&served, &objects).await;
    let id = submit(&served, "0900000001").await;
    served.settled(&id, "created").await;
    assert!(
        files.here("/var/lib/leadgate/leadgate.db").exists(),
        "the database is on the pod's volume"
    );
}
