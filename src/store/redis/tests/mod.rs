//! The conformance suite over one Redis and over a cluster, and what is Redis's own.

#[path = "../../../../tests/servers/mod.rs"]
pub(in crate::store) mod servers;

mod forgetting;
mod trouble;

use super::*;
use crate::config::RedisUrl;
use crate::store::conformance::{Bed, options};

mod standalone {
    use super::*;
    use crate::store::conformance::conformance;

    conformance!(open);

    async fn open() -> Bed {
        let server = servers::Redis::start();
        let store = Redis::open(&RedisUrl(server.url()), options()).await.unwrap();
        Bed::new(Arc::new(store), server)
    }
}

mod sealed {
    use super::*;
    use crate::store::conformance::{conformance, options_with_secret};

    conformance!(open);

    async fn open() -> Bed {
        let server = servers::Redis::start();
        let store = Redis::open(&RedisUrl(server.url()), options_with_secret()).await.unwrap();
        Bed::new(Arc::new(store), server)
    }
}

mod cluster {
    use super::*;
    use crate::store::conformance::conformance;

    conformance!(open);

    async fn open() -> Bed {
        let cluster = servers::Cluster::start(3, 0);
        let store = Redis::open(&RedisUrl(cluster.url()), options()).await.unwrap();
        Bed::new(Arc::new(store), cluster)
    }
}
