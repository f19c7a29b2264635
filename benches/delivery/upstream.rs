//! What stands in for CareSoft: it takes every lead and looks at none.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer};

/// A server on a thread of its own, for as long as the process lives.
pub struct Upstream {
    pub address: SocketAddr,
    arrivals: Arc<Mutex<Vec<Instant>>>,
}

impl Upstream {
    /// Answers each request after so long.
    pub fn start(after: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let arrivals = Arc::<Mutex<Vec<Instant>>>::default();
        let seen = Arc::clone(&arrivals);
        let ids = Arc::new(AtomicU64::new(400_000_000));
        let app = move || {
            let (seen, ids) = (Arc::clone(&seen), Arc::clone(&ids));
            App::new().default_service(web::to(move |_body: Bytes| {
                seen.lock().expect("no handler panics").push(Instant::now());
                answer(after, ids.fetch_add(1, Ordering::Relaxed))
            }))
        };
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            let server = HttpServer::new(app).workers(1).disable_signals();
            let server = server.listen(listener).expect("a listener").run();
            runtime.block_on(server).expect("a server");
        });
        Self { address, arrivals }
    }

    /// When each request came since this was asked last.
    pub fn arrivals(&self) -> Vec<Instant> {
        std::mem::take(&mut *self.arrivals.lock().expect("no handler panics"))
    }
}

async fn answer(after: Duration, id: u64) -> HttpResponse {
    if !after.is_zero() {
        tokio::time::sleep(after).await;
    }
    let body = format!(r#"{{"code":"ok","lead":{{"id":{id},"requester_id":{id}}}}}"#);
    HttpResponse::Ok().content_type("application/json").body(body)
}
