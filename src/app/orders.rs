//! What a running gateway is told from outside.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Notify;

/// Something that will be asked for once, or never.
pub type Once = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a running gateway is told from outside.
pub struct Orders {
    /// To stop: it drains.
    pub stop: Once,
    /// To wait for nothing any more. Only listened to after `stop`.
    pub at_once: Once,
    /// To read its configuration anew; asked twice before it has is asked once.
    pub reload: Arc<Notify>,
}

impl Orders {
    /// To stop when `stop` resolves, and nothing else.
    pub fn stop_when(stop: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { stop: Box::pin(stop), ..Self::none() }
    }

    /// Nothing, ever.
    pub fn none() -> Self {
        Self { stop: Box::pin(pending()), at_once: Box::pin(pending()), reload: Arc::default() }
    }
}
