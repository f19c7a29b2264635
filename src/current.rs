//! What is in force now: put in place as a whole while requests are under way, each of which keeps
//! to the end what it began with.

use std::future::{Ready, ready};
use std::ops::Deref;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::error::{Error, ErrorInternalServerError};
use actix_web::{FromRequest, HttpRequest, web};
use arc_swap::ArcSwap;

/// What a request found in force when it came. Handlers take one.
pub struct Current<T>(Arc<T>);

impl<T> Clone for Current<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Current<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: 'static> Current<T> {
    /// What is in force for `request`; `None` where its listener was given none of these.
    pub fn of(request: &HttpRequest) -> Option<Self> {
        let handle = request.app_data::<web::Data<ArcSwap<T>>>()?;
        Some(Self(handle.load_full()))
    }
}

impl<T: 'static> FromRequest for Current<T> {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request).ok_or_else(|| ErrorInternalServerError("nothing is in force")))
    }
}
