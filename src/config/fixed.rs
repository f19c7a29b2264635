//! What a running gateway cannot change: what it is bound to and what it has opened.

use super::model::Config;
use super::same::same_secrets;

/// Puts back into `new` what only a restart applies, as it is in `running`. Answers the keys that
/// say something else there.
pub fn keep_fixed(running: &Config, new: &mut Config) -> Vec<&'static str> {
    let mut kept = Vec::new();
    keep("server.listen", &running.server.listen, &mut new.server.listen, &mut kept);
    let admin = (&running.server.admin_listen, &mut new.server.admin_listen);
    keep("server.admin_listen", admin.0, admin.1, &mut kept);
    keep("store.url", &running.store.url, &mut new.store.url, &mut kept);
    keep("store.spool", &running.store.spool, &mut new.store.spool, &mut kept);
    if !same_secrets(&running.store.secret, &new.store.secret) {
        new.store.secret.clone_from(&running.store.secret);
        kept.push("store.secret");
    }
    // Without one a token is made up at start and printed: another start's is nobody's.
    if running.admin.token.is_some() && new.admin.token.is_none() {
        new.admin.token.clone_from(&running.admin.token);
        kept.push("admin.token");
    }
    keep("log.format", &running.log.format, &mut new.log.format, &mut kept);
    keep("log.level", &running.log.level, &mut new.log.level, &mut kept);
    let traces = (&running.log.otlp_endpoint, &mut new.log.otlp_endpoint);
    keep("log.otlp_endpoint", traces.0, traces.1, &mut kept);
    kept
}

fn keep<T: PartialEq + Clone>(
    key: &'static str,
    running: &T,
    new: &mut T,
    kept: &mut Vec<&'static str>,
) {
    if running != new {
        new.clone_from(running);
        kept.push(key);
    }
}
