//! The servers that the gateway is measured against.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use actix_web::web::{self, Bytes};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use redis::Script;
use redis::aio::MultiplexedConnection;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::server::Kind;

/// A body that waits for its row, and who waits for it.
type Waiting = (Bytes, oneshot::Sender<()>);

/// At most so many rows share a commit: more than there are connections.
const GROUP_MAX: usize = 256;

pub fn run(kind: Kind, port: &str, behind: &str) {
    if let Kind::OneScript(_) = kind {
        return run_with_redis(port, behind);
    }
    let rows = (kind == Kind::OneRow).then(|| {
        let (send, receive) = sync_channel(4096);
        let connection = open(behind);
        std::thread::spawn(move || write(connection, receive));
        send
    });
    let address = format!("127.0.0.1:{port}");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime
        .block_on(
            HttpServer::new(move || {
                let rows = rows.clone();
                App::new().route("/readyz", web::get().to(HttpResponse::Ok)).route(
                    "/in/website",
                    web::post().to(move |body: Bytes| accept(body, rows.clone())),
                )
            })
            .bind(address)
            .expect("a free port")
            .run(),
        )
        .expect("a server");
}

async fn accept(body: Bytes, rows: Option<SyncSender<Waiting>>) -> HttpResponse {
    if let Some(rows) = rows {
        let (durable, written) = oneshot::channel();
        if rows.try_send((body, durable)).is_err() || written.await.is_err() {
            return HttpResponse::ServiceUnavailable().finish();
        }
    }
    HttpResponse::Accepted().content_type("application/json").body(r#"{"status":"accepted"}"#)
}

/// Two claims for as long as a person is known, and the body in a queue.
const SCRIPT: &str = "\
    redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', 2592000000) \
    redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', 2592000000) \
    redis.call('RPUSH', KEYS[3], ARGV[2]) \
    return 1";

/// Each thread has a connection that its requests share, as the library has it.
fn run_with_redis(port: &str, url: &str) {
    let client = redis::Client::open(url).expect("a URL");
    let script = Script::new(SCRIPT);
    let address = format!("127.0.0.1:{port}");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime
        .block_on(
            HttpServer::new(move || {
                let (client, script) = (client.clone(), script.clone());
                App::new()
                    .data_factory(move || {
                        let client = client.clone();
                        async move { client.get_multiplexed_async_connection().await }
                    })
                    .app_data(web::Data::new(script))
                    .route("/readyz", web::get().to(HttpResponse::Ok))
                    .route("/in/website", web::post().to(accept_by_script))
            })
            .bind(address)
            .expect("a free port")
            .run(),
        )
        .expect("a server");
}

async fn accept_by_script(
    request: HttpRequest,
    body: Bytes,
    redis: web::Data<MultiplexedConnection>,
    script: web::Data<Script>,
) -> HttpResponse {
    let mut redis = MultiplexedConnection::clone(&redis);
    let person = request.headers().get("Idempotency-Key").map_or(&b""[..], |key| key.as_bytes());
    let mut call = script.prepare_invoke();
    call.key([b"phone:", person].concat()).key([b"email:", person].concat()).key("queue");
    let done: redis::RedisResult<i64> =
        call.arg(person).arg(&body[..]).invoke_async(&mut redis).await;
    match done {
        Ok(_) => HttpResponse::Accepted()
            .content_type("application/json")
            .body(r#"{"status":"accepted"}"#),
        Err(_) => HttpResponse::ServiceUnavailable().finish(),
    }
}

fn open(database: &str) -> Connection {
    let connection = Connection::open(database).expect("a database");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE submissions (id INTEGER PRIMARY KEY, body BLOB NOT NULL)",
        )
        .expect("a table");
    connection
}

fn write(connection: Connection, rows: Receiver<Waiting>) {
    let mut insert =
        connection.prepare("INSERT INTO submissions (body) VALUES (?1)").expect("a statement");
    while let Ok(first) = rows.recv() {
        let group: Vec<_> =
            std::iter::once(first).chain(rows.try_iter().take(GROUP_MAX - 1)).collect();
        connection.execute_batch("BEGIN IMMEDIATE").expect("begin");
        for (body, _) in &group {
            insert.execute([&body[..]]).expect("a row");
        }
        connection.execute_batch("COMMIT").expect("commit");
        for (_, durable) in group {
            let _ = durable.send(());
        }
    }
}
