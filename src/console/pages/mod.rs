//! The console: pages for people, made on the server, at `/` of the admin listener.
//!
//! Every page works without a script; the script makes what is shown follow what happens. Nothing
//! is loaded from elsewhere, and a policy forbids whatever a stranger's text could bring along.

mod access;
mod actions;
mod assets;
mod attribution;
mod chart;
mod figures;
mod format;
mod guide;
mod lead;
mod leads;
mod mending;
mod overview;
mod reasons;
mod sample;
mod sign_in;
mod sources;
mod trouble;
mod visit;
mod words;

use actix_web::HttpRequest;
use actix_web::web::{self, ServiceConfig};

use self::access::Access;
pub(super) use self::access::Session;
use self::attribution::Table;
use self::figures::{Day, Kept};
use self::trouble::Trouble;
use crate::console::Console;
use crate::lead::Timestamp;

/// What the pages remember: who is signed in, and figures that cost a walk through the ledger.
#[derive(Default)]
pub struct Pages {
    access: Access,
    day: Kept<(), Day>,
    trouble: Kept<(), Trouble>,
    campaigns: Kept<attribution::Span, Table>,
}

impl Pages {
    /// The path and query of a link that signs in once, within a quarter of an hour. The link
    /// before it is over.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn sign_in_link(&self, now: Timestamp) -> Result<String, getrandom::Error> {
        Ok(format!("/sign-in?code={}", self.access.one_time_code(now)?))
    }

    /// The session of a request that a page of ours makes: it may hear what happens.
    pub(super) fn listener(request: &HttpRequest, console: &Console) -> Option<Session> {
        visit::session(request, console).filter(|_| visit::is_ours(request))
    }

    /// Whether a session still holds.
    pub(super) fn holds(&self, session: &Session, now: Timestamp) -> bool {
        self.access.holds(session, now)
    }

    /// Something was changed by a person, who expects to see it.
    fn forget_figures(&self) {
        self.day.forget();
        self.trouble.forget();
    }
}

/// The routes of the pages.
pub(super) fn routes(routes: &mut ServiceConfig) {
    routes
        .route("/console.css", web::get().to(assets::style))
        .route("/console.js", web::get().to(assets::script))
        .route("/sign-in", web::get().to(sign_in::show))
        .route("/sign-in", web::post().to(sign_in::sign_in))
        .route("/sign-out", web::post().to(sign_in::sign_out))
        .route("/language/{code}", web::get().to(sign_in::choose_language))
        .route("/", web::get().to(overview::show))
        .route("/lanes/{lane}/{order}", web::post().to(actions::order))
        .route("/leads", web::get().to(leads::list))
        .route("/leads", web::post().to(leads::search))
        .route("/leads/{id}", web::get().to(lead::show))
        .route("/leads/{id}/{shown}", web::get().to(lead::gone_to))
        .route("/leads/{id}/reveal", web::post().to(lead::reveal))
        .route("/leads/{id}/raw", web::post().to(lead::raw))
        .route("/leads/{id}/request", web::post().to(lead::request))
        .route("/leads/{id}/replay", web::post().to(actions::replay))
        .route("/leads/{id}/correct", web::post().to(actions::correct))
        .route("/leads/{id}/forget", web::post().to(actions::forget))
        .route("/trouble", web::get().to(trouble::show))
        .route("/trouble/{group}", web::get().to(mending::preview))
        .route("/trouble/{group}/replay", web::post().to(mending::replay))
        .route("/sources", web::get().to(sources::show))
        .route("/sources/{source}", web::get().to(sources::gone_to))
        .route("/sources/{source}/sample", web::get().to(sample::ask))
        .route("/sources/{source}/sample", web::post().to(sample::send))
        .route("/guides/{preset}", web::get().to(guide::show))
        .route("/attribution", web::get().to(attribution::show))
        .route("/attribution.csv", web::get().to(attribution::csv));
}
