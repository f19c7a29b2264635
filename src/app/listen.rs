//! The two listeners at work.

use std::net::TcpListener;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::web::ServiceConfig;
use actix_web::{App as ActixApp, HttpServer};
use tokio::task::JoinHandle;

/// A request's head must be here after this.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// An idle connection is kept this long: longer than a browser's next click, shorter than what
/// load balancers keep, so that they never send into a connection that just closed.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Connections that one listener holds at once, on each of its threads.
const CONNECTIONS_MAX: usize = 10_000;

/// As long as the longest grace: whoever stops a listener waits no longer than its own.
const STOP_MAX: Duration = Duration::from_secs(3600);

/// A listener at work, and the task that drives it.
pub(super) struct Listening {
    handle: ServerHandle,
    task: JoinHandle<std::io::Result<()>>,
}

impl Listening {
    /// Answers on `listener`, with `threads` of its own.
    pub(super) fn start(
        listener: TcpListener,
        threads: usize,
        routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
    ) -> std::io::Result<Self> {
        let server: Server = HttpServer::new(move || ActixApp::new().configure(routes.clone()))
            .workers(threads)
            .max_connections(CONNECTIONS_MAX)
            .client_request_timeout(HEADER_TIMEOUT)
            .keep_alive(KEEP_ALIVE)
            .shutdown_timeout(STOP_MAX.as_secs())
            .disable_signals()
            .listen(listener)?
            .run();
        Ok(Self { handle: server.handle(), task: tokio::spawn(server) })
    }

    /// Stops accepting; waits for what is under way when asked to.
    pub(super) async fn stop(self, graceful: bool) {
        self.handle.stop(graceful).await;
        if let Ok(Err(error)) = self.task.await {
            tracing::error!(%error, "a listener ended badly");
        }
    }
}
