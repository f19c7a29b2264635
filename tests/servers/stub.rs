//! An HTTP server of a few lines, with what it knows and notes: what stands in a test for a platform, a
//! collector, a receiver and others.
//!
//! Included by `#[path]` both in `tests/it` and in the unit tests of the library, at the root of each.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};

use actix_web::dev::ServerHandle;
use actix_web::web::{self, ServiceConfig};
use actix_web::{App, HttpRequest, HttpServer};

/// More than anybody sends to one of them at once.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A server at work, and what it knows and has noted.
pub struct Stub<S> {
    pub address: SocketAddr,
    noted: Arc<Mutex<S>>,
    handle: ServerHandle,
}

impl<S: Send + 'static> Stub<S> {
    /// On a port of its own. Begins with `noted`, which the handlers of `routes` have as
    /// `web::Data<Mutex<S>>`.
    pub fn start(noted: S, routes: fn(&mut ServiceConfig)) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").expect("a free port"), noted, routes)
    }

    /// As [`Stub::start`], where its address has to be known before.
    pub fn on(listener: TcpListener, noted: S, routes: fn(&mut ServiceConfig)) -> Self {
        let address = listener.local_addr().expect("an address");
        let noted = Arc::new(Mutex::new(noted));
        let shared = web::Data::from(Arc::clone(&noted));
        let limit = web::PayloadConfig::new(BODY_BYTES_MAX);
        let app =
            move || App::new().app_data(shared.clone()).app_data(limit.clone()).configure(routes);
        let server = HttpServer::new(app).workers(1).shutdown_timeout(0).disable_signals();
        let server = server.listen(listener).expect("a listener").run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { address, noted, handle }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn noted(&self) -> MutexGuard<'_, S> {
        locked(&self.noted)
    }
}

impl<S> Drop for Stub<S> {
    fn drop(&mut self) {
        drop(self.handle.stop(false)); // told at once, whoever waits for it
    }
}

/// What a handler notes things in.
pub fn locked<S>(noted: &Mutex<S>) -> MutexGuard<'_, S> {
    noted.lock().expect("no test panics in here")
}

/// A header's text; empty where it is not there.
pub fn header(request: &HttpRequest, name: &str) -> String {
    let value = request.headers().get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}
