//! The two servers that the gateway is measured against.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::process::Kind;

/// A body that waits for its row, and who waits for it.
type Waiting = (Bytes, oneshot::Sender<()>);

/// At most so many rows share a commit: more than there are connections.
const GROUP_MAX: usize = 256;

pub fn run(kind: Kind, port: &str, database: &str) {
    let rows = (kind == Kind::OneRow).then(|| {
        let (send, receive) = sync_channel(4096);
        let connection = open(database);
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
