//! What a gateway says of its Redis when it starts, and how it gets there.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fleet::{Replica, configuration, fast};
use crate::gateway::{http_client, id_of};
use crate::served::Served;
use crate::servers::Redis;

/// A Redis that would throw leads away is refused before anything else happens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_evicting_redis_is_refused_with_what_to_set() {
    let caresoft = fast();
    let redis = Redis::start_with(&["--maxmemory-policy", "allkeys-lru"]);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("leadgate.toml");
    std::fs::write(&file, configuration(&redis.url(), folder.path(), &caresoft, 12)).unwrap();
    let mut command = crate::served::leadgate(folder.path());
    let output = command.args(["serve", "--config"]).arg(&file).output().unwrap();
    let told = crate::served::told(&output);
    assert_eq!(output.status.code(), Some(2), "{told}");
    for said in ["store.url", "allkeys-lru", "maxmemory-policy noeviction"] {
        assert!(told.contains(said), "{said} in {told}");
    }
}

/// TLS with a certificate of one's own, and a user with a password.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_and_users_work() {
    let caresoft = fast();
    for redis in
        [Redis::start_tls(), Redis::start_with_user("leadgate", "m-t-kh-u", &["~*", "&*", "+@all"])]
    {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("leadgate.toml");
        std::fs::write(&file, configuration(&redis.url(), folder.path(), &caresoft, 300)).unwrap();
        let mut command = crate::served::leadgate(folder.path());
        command.args(["serve", "--config"]).arg(&file);
        if redis.url().starts_with("rediss") {
            command.env("SSL_CERT_FILE", redis.ca_file());
        }
        let served = Served::spawn(command).await;
        let ready: Value = served.admin_get("/readyz").await.unwrap().json().await.unwrap();
        assert_eq!(ready["store"], json!({"state": "up", "kind": "redis", "durability": "memory"}));
        let body = json!({"phone": "0900000001"});
        let answer = http_client().post(served.endpoint("website")).json(&body).send().await;
        let id = id_of(answer.unwrap()).await;
        served.settled(&id, "created").await;
        assert!(!served.output().contains("m-t-kh-u"));
    }
}

/// What is worth saying of the store is said where an operator looks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readyz_says_what_a_2xx_is_worth() {
    let caresoft = fast();
    for (arguments, worth) in [
        (&["--appendonly", "yes", "--appendfsync", "always"][..], "fsync always"),
        (&["--appendonly", "yes", "--appendfsync", "everysec"], "fsync every second"),
        (&[], "memory"),
    ] {
        let redis = Redis::start_with(arguments);
        let replica = Replica::start(&redis.url(), &caresoft, 12).await;
        let ready: Value = replica.served.admin_get("/readyz").await.unwrap().json().await.unwrap();
        assert_eq!(ready["store"]["durability"], worth);
        assert_eq!(ready["spool"], json!({"depth": 0}));
        let is_advised = replica.served.log().contains("`appendfsync always`");
        assert_eq!(is_advised, worth != "fsync always", "{worth}");
    }
}
