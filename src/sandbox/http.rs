//! The simulator's HTTP side: reading requests, writing answers, and two things that no web
//! framework offers: to say nothing, and to reset the connection.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use actix_web::body::BodyStream;
use actix_web::http::StatusCode;
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use futures_util::{StreamExt, stream};
use tokio::sync::watch;

use super::account::{Body, Reply};
use super::faults::{Fault, FaultKind};
use super::{Doing, Host, Incoming, Sandbox, page, platforms};

/// A longer request is answered 413.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Rows of the page and of `/sandbox/leads`.
const SHOWN_MAX: usize = 50;

/// A reset discards what the client has not read: it has so long to read the beginning.
const READ_BEFORE_RESET: Duration = Duration::from_millis(50);

/// A second hold on the connection's socket: the way to its options, which the framework hides.
struct Socket(OwnedFd);

/// What every request is handled with.
#[derive(Clone)]
struct Desk {
    sandbox: Sandbox,
    host: Host,
    stopping: watch::Receiver<bool>,
}

impl Sandbox {
    /// Serves the primary host on `listener` until `shutdown`; then answers what is under way and
    /// returns. Needs a tokio runtime around it.
    pub fn serve<S>(
        &self,
        listener: TcpListener,
        shutdown: S,
    ) -> impl Future<Output = io::Result<()>> + Send + use<S>
    where
        S: Future<Output = ()> + Send,
    {
        serve(self.clone(), Host::Primary, listener, shutdown)
    }

    /// The same for the standby host, which shares everything with the primary.
    pub fn serve_standby<S>(
        &self,
        listener: TcpListener,
        shutdown: S,
    ) -> impl Future<Output = io::Result<()>> + Send + use<S>
    where
        S: Future<Output = ()> + Send,
    {
        serve(self.clone(), Host::Standby, listener, shutdown)
    }
}

async fn serve(
    sandbox: Sandbox,
    host: Host,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let (stop, stopping) = watch::channel(false);
    let desk = Desk { sandbox, host, stopping };
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(desk.clone()))
            .app_data(web::PayloadConfig::new(BODY_BYTES_MAX))
            .route("/", web::get().to(show_page))
            .route("/sandbox/leads", web::get().to(show_leads))
            .route("/sandbox/log", web::get().to(show_log))
            .route("/sandbox/faults", web::get().to(show_faults))
            .route("/sandbox/faults", web::post().to(inject_faults))
            .route("/sandbox/faults", web::delete().to(clear_faults))
            .default_service(web::to(answer))
    })
    .workers(1)
    .disable_signals()
    .shutdown_timeout(5)
    // A client that goes away takes its held request with it.
    .h1_allow_half_closed(false)
    .on_connect(|connection, extensions| {
        let stream = connection.downcast_ref::<TcpStream>();
        if let Some(Ok(fd)) = stream.map(|stream| stream.as_fd().try_clone_to_owned()) {
            extensions.insert(Socket(fd));
        }
    })
    .listen(listener)?
    .run();
    let handle = server.handle();
    let stop_when_asked = async {
        shutdown.await;
        let _ = stop.send(true); // no receiver: nobody is held
        handle.stop(true).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = server => ended,
        () = stop_when_asked => Ok(()),
    }
}

async fn answer(request: HttpRequest, desk: web::Data<Desk>, body: web::Bytes) -> HttpResponse {
    let _under_way = desk.sandbox.begin();
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let fault = match header("x-sandbox-fault").map(str::parse::<FaultKind>).transpose() {
        Ok(fault) => fault,
        Err(wrong) => return HttpResponse::BadRequest().body(wrong.to_string()),
    };
    let token = header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    if let Some((status, document)) = platforms::answer(request.uri().path(), token) {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        return HttpResponse::build(status).json(document);
    }
    let query = url::form_urlencoded::parse(request.query_string().as_bytes());
    let incoming = Incoming {
        host: desk.host,
        method: method_name(request.method().as_str()),
        path: request.uri().path(),
        query: query.into_owned().collect::<BTreeMap<String, String>>(),
        token,
        traceparent: header("traceparent"),
        fault,
        body: &body,
    };
    match desk.sandbox.take(&incoming) {
        Doing::Answer(reply) => written(reply),
        Doing::AnswerAfter(length, reply) => {
            pause(&desk, length).await;
            written(reply)
        }
        Doing::Tear(reply) => torn(&request, reply),
        Doing::Hold => {
            pause(&desk, desk.sandbox.options().hold_max).await;
            reset(&request)
        }
        Doing::Reset => reset(&request),
    }
}

fn method_name(method: &str) -> &'static str {
    let known = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"];
    known.into_iter().find(|known| *known == method).unwrap_or("OTHER")
}

/// Waits, but not beyond the server's end.
async fn pause(desk: &Desk, length: Duration) {
    let mut stopping = desk.stopping.clone();
    tokio::select! {
        () = tokio::time::sleep(length) => {}
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
}

fn written(reply: Reply) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    if let Some(seconds) = reply.retry_after_s {
        response.insert_header(("Retry-After", seconds.to_string()));
    }
    match reply.body {
        Body::Json(json) => response.content_type("application/json").body(json.to_string()),
        Body::Raw(text) => response.content_type("application/json").body(text),
        Body::Html(text) => response.content_type("text/html").body(text),
    }
}

/// Drops the connection unanswered: a body that fails before its first byte makes the framework
/// drop what it has not yet written.
fn reset(request: &HttpRequest) -> HttpResponse {
    end_in_a_reset(request);
    let broken = stream::once(async { Err::<web::Bytes, _>(connection_reset()) });
    HttpResponse::Ok().body(BodyStream::new(Box::pin(broken)))
}

/// Drops the connection when the reply's headers and body have been written.
fn torn(request: &HttpRequest, reply: Reply) -> HttpResponse {
    end_in_a_reset(request);
    let beginning = match reply.body {
        Body::Raw(text) => text,
        Body::Html(text) => text.to_owned(),
        Body::Json(json) => json.to_string(),
    };
    let end = stream::once(async {
        tokio::time::sleep(READ_BEFORE_RESET).await;
        Err(connection_reset())
    });
    let whole = stream::iter([Ok(web::Bytes::from(beginning))]).chain(end);
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status)
        .content_type("application/json")
        .body(BodyStream::new(Box::pin(whole)))
}

/// When the connection is dropped, the kernel sends a reset instead of a goodbye.
fn end_in_a_reset(request: &HttpRequest) {
    if let Some(Socket(fd)) = request.conn_data::<Socket>() {
        // A socket that is gone already needs no reset.
        let _ = socket2::SockRef::from(fd).set_linger(Some(Duration::ZERO));
    }
}

fn connection_reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

async fn show_page(desk: web::Data<Desk>) -> HttpResponse {
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header(("Content-Security-Policy", policy))
        .insert_header(("Cache-Control", "no-store"))
        .body(page::render(&desk.sandbox, SHOWN_MAX))
}

async fn show_leads(desk: web::Data<Desk>) -> HttpResponse {
    let state = desk.sandbox.state();
    let newest: Vec<_> = state.account.leads().rev().take(SHOWN_MAX).collect();
    HttpResponse::Ok().json(newest)
}

async fn show_log(desk: web::Data<Desk>) -> HttpResponse {
    let state = desk.sandbox.state();
    let mut figures = state.log.figures();
    figures["leads"] = state.account.leads().len().into();
    HttpResponse::Ok().json(figures)
}

async fn show_faults(desk: web::Data<Desk>) -> HttpResponse {
    HttpResponse::Ok().json(&desk.sandbox.state().faults)
}

async fn inject_faults(desk: web::Data<Desk>, body: web::Bytes) -> HttpResponse {
    let many = serde_json::from_slice::<Vec<Fault>>(&body);
    let faults = many.or_else(|_| serde_json::from_slice::<Fault>(&body).map(|one| vec![one]));
    match faults {
        Ok(faults) if faults.iter().all(|fault| desk.sandbox.inject(fault.clone())) => {
            HttpResponse::NoContent().finish()
        }
        Ok(_) => HttpResponse::Conflict().body("too many faults"),
        Err(wrong) => HttpResponse::BadRequest().body(wrong.to_string()),
    }
}

async fn clear_faults(desk: web::Data<Desk>) -> HttpResponse {
    desk.sandbox.clear_faults();
    HttpResponse::NoContent().finish()
}
