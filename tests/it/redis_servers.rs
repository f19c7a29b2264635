//! That the Redis servers of `tests/servers` are what tests take them for.

use std::time::Duration;

use crate::servers::{Cluster, Redis, Sentinels};

const DURABLE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

fn keys(redis: &Redis) -> u64 {
    redis.query(&["DBSIZE"])
}

#[test]
fn what_is_on_disk_outlives_a_kill_and_a_stop() {
    let mut redis = Redis::start_with(&DURABLE);
    let url = redis.url();
    redis.query::<()>(&["SET", "name", "Thử"]);
    redis.kill();
    assert!(redis.try_query::<u64>(&["DBSIZE"]).is_err(), "it is down");
    redis.start_again();
    assert_eq!(redis.query::<String>(&["GET", "name"]), "Thử");
    redis.stop();
    redis.start_again();
    assert_eq!(keys(&redis), 1);
    redis.kill();
    redis.start_empty();
    assert_eq!(keys(&redis), 0);
    assert_eq!(redis.url(), url);
}

#[test]
fn memory_does_not_outlive_a_kill() {
    let mut redis = Redis::start();
    redis.query::<()>(&["SET", "name", "Thử"]);
    assert_eq!(redis.query::<Vec<String>>(&["CONFIG", "GET", "maxmemory-policy"])[1], "noeviction");
    redis.kill();
    redis.start_again();
    assert_eq!(keys(&redis), 0);
}

#[test]
fn servers_at_once_do_not_meet() {
    let start = |_| std::thread::spawn(Redis::start);
    let started: Vec<_> = (0..8).map(start).collect();
    let servers: Vec<_> = started.into_iter().map(|one| one.join().unwrap()).collect();
    for redis in &servers {
        assert_eq!(keys(redis), 0);
        redis.query::<()>(&["SET", "name", "Thử"]);
    }
}

#[test]
fn a_frozen_server_takes_connections_and_answers_later() {
    let redis = Redis::start();
    redis.freeze();
    let client = redis::Client::open(redis.url()).unwrap();
    let asked = Duration::from_millis(100);
    let silent = client.get_connection_with_timeout(asked).and_then(|mut connection| {
        connection.set_read_timeout(Some(asked))?;
        redis::cmd("PING").query::<String>(&mut connection)
    });
    assert!(silent.unwrap_err().is_timeout());
    redis.thaw();
    assert_eq!(keys(&redis), 0);
    redis.freeze(); // and dropped so
}

#[test]
fn a_frozen_server_can_be_stopped() {
    let mut redis = Redis::start();
    redis.freeze();
    redis.stop();
    assert!(!redis.is_up());
}

#[test]
#[should_panic(expected = "Bad directive or wrong number of arguments")]
fn a_server_that_does_not_start_says_why() {
    Redis::start_with(&["--no-such-option", "1"]);
}

#[test]
fn a_user_needs_the_password() {
    let redis = Redis::start_with_user("leadgate", "of-a-test", &["~leads:*", "+@all"]);
    let set = |url: &str, key: &str| {
        let mut connection = redis::Client::open(url)?.get_connection()?;
        redis::cmd("SET").arg(key).arg(1).exec(&mut connection)
    };
    set(&redis.url(), "leads:1").unwrap();
    assert_eq!(set(&redis.url(), "other").unwrap_err().code(), Some("NOPERM"));
    let anonymous = format!("redis://127.0.0.1:{}/0", redis.port());
    assert_eq!(set(&anonymous, "leads:1").unwrap_err().code(), Some("NOAUTH"));
    assert!(set(&redis.url().replace("of-a-test", "wrong"), "leads:1").is_err());
    assert_eq!(keys(&redis), 1);
}

#[test]
fn a_server_with_tls_refuses_plain_text_and_strangers() {
    let redis = Redis::start_tls();
    assert!(redis.url().starts_with("rediss://127.0.0.1:"));
    redis.query::<()>(&["SET", "name", "Thử"]);
    assert!(std::fs::read_to_string(redis.ca_file()).unwrap().contains("BEGIN CERTIFICATE"));

    let asked = |url: String| {
        let mut connection = redis::Client::open(url)?.get_connection()?;
        redis::cmd("PING").query::<String>(&mut connection)
    };
    assert!(asked(redis.url().replace("rediss", "redis")).is_err(), "plain text");
    let unknown = asked(redis.url()).unwrap_err().to_string();
    assert!(unknown.contains("certificate"), "an authority nobody knows: {unknown}");
}

#[test]
fn a_cluster_shares_the_keys() {
    let cluster = Cluster::start(3, 0);
    assert_eq!(cluster.url().matches("127.0.0.1:").count(), 3);
    let mut owned = [0; 3];
    for key in (0..30).map(|number| format!("key {number}")) {
        let owner = cluster.master_of(&key);
        owned[owner] += 1;
        cluster.node(owner).query::<()>(&["SET", &key, "1"]);
        let elsewhere = cluster.node((owner + 1) % 3).try_query::<String>(&["GET", &key]);
        assert_eq!(elsewhere.unwrap_err().code(), Some("MOVED"));
    }
    assert!(owned.iter().all(|&keys| keys > 0), "{owned:?}");
}

#[test]
fn a_replica_takes_over_from_a_master_of_a_cluster() {
    let mut cluster = Cluster::start(3, 1);
    let owner = cluster.master_of("name");
    cluster.node(owner).query::<()>(&["SET", "name", "Thử"]);
    cluster.wait_until_whole();
    cluster.kill(owner);
    let heir = cluster.master_of("name");
    assert_eq!(heir, owner + 3);
    cluster.wait_until_whole();
    assert_eq!(cluster.node(heir).query::<String>(&["GET", "name"]), "Thử");
    cluster.node_mut(owner).start_again();
    cluster.wait_until_whole();
    assert_eq!(cluster.master_of("name"), heir);
}

#[test]
fn a_replica_takes_over_from_a_frozen_master_of_a_cluster() {
    let cluster = Cluster::start(3, 1);
    let owner = cluster.master_of("name");
    cluster.node(owner).freeze();
    assert_eq!(cluster.master_of("name"), owner + 3);
    cluster.node(owner).thaw();
    cluster.wait_until_whole();
    assert_eq!(cluster.master_of("name"), owner + 3);
}

#[test]
fn sentinels_make_the_replica_master() {
    let mut watched = Sentinels::start();
    assert_eq!(watched.url().matches("127.0.0.1:").count(), 3);
    let port = watched.current_master_port();
    assert_eq!(port, watched.master().port());
    watched.master().query::<()>(&["SET", "name", "Thử"]);
    watched.wait_until_in_step();
    assert_eq!(watched.kill_master(), port);
    let heir = watched.wait_for_another_master(port);
    assert_eq!(heir, watched.replica().port());
    assert_eq!(watched.replica().query::<String>(&["GET", "name"]), "Thử");
    watched.master().start_again();
    watched.wait_until_in_step();
    assert_eq!(watched.master().query::<String>(&["GET", "name"]), "Thử");
}
