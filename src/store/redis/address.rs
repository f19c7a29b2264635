//! Where Redis is: one server, a service that sentinels watch, or a cluster.

use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind,
    IntoConnectionInfo, RedisError, RedisResult, Value,
};
use tokio::sync::Mutex;

use crate::config::RedisUrl;

/// To connect, say who we are, and be answered.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// For one answer. A script takes some milliseconds; a server that is silent for longer than this
/// is frozen or cut off, and what waits for it is better spooled.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a cluster's connection follows a redirection or looks for a moved slot by itself.
const CLUSTER_RETRIES: u32 = 3;

/// Where Redis is, and how to get there.
pub(super) enum Address {
    Server(Client),
    Sentinels(Mutex<SentinelClient>),
    Cluster { client: ClusterClient, nodes: Vec<Client> },
}

/// A connection that many callers share: it sends what they ask in one stream.
#[derive(Clone)]
pub(super) enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Address {
    /// Reads a URL that the configuration has checked.
    pub(super) fn parse(url: &RedisUrl) -> RedisResult<Self> {
        let (scheme, rest) = url.0.split_once("://").ok_or_else(|| misread("no scheme"))?;
        match scheme {
            "redis-cluster" => {
                let named = Named::parse(rest)?;
                let nodes = named.servers()?;
                let mut builder = ClusterClientBuilder::new(nodes.clone())
                    .retries(CLUSTER_RETRIES)
                    .connection_timeout(CONNECT_TIMEOUT)
                    .response_timeout(RESPONSE_TIMEOUT)
                    .overall_response_timeout(Some(RESPONSE_TIMEOUT * 2));
                if let Some((user, password)) = &named.credentials {
                    builder = builder.username(user).password(password);
                }
                let nodes = nodes.into_iter().map(Client::open).collect::<Result<_, _>>()?;
                Ok(Self::Cluster { client: builder.build()?, nodes })
            }
            "redis-sentinel" => {
                let named = Named::parse(rest)?;
                let mut builder = SentinelClientBuilder::new(
                    named.addresses()?,
                    &named.service,
                    SentinelServerType::Master,
                )?;
                if let Some((user, password)) = &named.credentials {
                    builder = builder
                        .set_client_to_redis_username(user)
                        .set_client_to_redis_password(password);
                }
                Ok(Self::Sentinels(Mutex::new(builder.build()?)))
            }
            _ => Ok(Self::Server(Client::open(url.0.as_str())?)),
        }
    }

    /// Connects anew.
    pub(super) async fn connect(&self) -> RedisResult<Connection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let connecting = async {
            Ok(match self {
                Self::Server(client) => Connection::Server(
                    client.get_multiplexed_async_connection_with_config(&config).await?,
                ),
                Self::Sentinels(client) => {
                    let mut client = client.lock().await;
                    Connection::Server(client.get_async_connection_with_config(&config).await?)
                }
                Self::Cluster { client, .. } => {
                    Connection::Cluster(client.get_async_connection().await?)
                }
            })
        };
        within(CONNECT_TIMEOUT * 2, connecting).await
    }

    /// A connection of its own that hears what is published; `turn` chooses another node each time.
    pub(super) async fn listen(&self, turn: usize) -> RedisResult<PubSub> {
        let listening = async {
            match self {
                Self::Server(client) => client.get_async_pubsub().await,
                Self::Sentinels(client) => {
                    let client = client.lock().await.async_get_client().await?;
                    client.get_async_pubsub().await
                }
                // Whatever is published reaches every node.
                Self::Cluster { nodes, .. } => {
                    let node = nodes.get(turn % nodes.len().max(1));
                    node.ok_or_else(|| misread("no node"))?.get_async_pubsub().await
                }
            }
        };
        within(CONNECT_TIMEOUT * 2, listening).await
    }
}

impl Connection {
    /// Sends one command and waits for its answer.
    pub(super) async fn send(&mut self, command: &Cmd) -> RedisResult<Value> {
        use redis::aio::ConnectionLike;
        let answer = match self {
            Self::Server(connection) => connection.req_packed_command(command).await,
            Self::Cluster(connection) => connection.req_packed_command(command).await,
        };
        match answer? {
            Value::ServerError(error) => Err(error.into()),
            answer => Ok(answer),
        }
    }

    /// What every server that can be written to answers to one command.
    pub(super) async fn ask_each(&mut self, command: &Cmd) -> RedisResult<Vec<Value>> {
        use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
        match self {
            Self::Server(_) => Ok(vec![self.send(command).await?]),
            Self::Cluster(connection) => {
                let everywhere =
                    RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
                let Ok(answers) = connection.route_command(command.clone(), everywhere).await
                else {
                    // One of them is down: what another one says has to do.
                    return Ok(vec![self.send(command).await?]);
                };
                match answers {
                    Value::Map(answers) => {
                        Ok(answers.into_iter().map(|(_, answer)| answer).collect())
                    }
                    Value::Array(answers) => Ok(answers.into_iter().filter_map(of_pair).collect()),
                    answer => Ok(vec![answer]),
                }
            }
        }
    }
}

/// The answer of a pair of node and answer.
fn of_pair(pair: Value) -> Option<Value> {
    match pair {
        Value::Array(mut pair) => pair.pop(),
        other => Some(other),
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        Err(RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut)))
    })
}

fn misread(problem: &'static str) -> RedisError {
    RedisError::from((ErrorKind::InvalidClientConfig, problem))
}

/// `user:password@host:port,host:port/service`
struct Named {
    credentials: Option<(String, String)>,
    hosts: Vec<String>,
    service: String,
}

impl Named {
    fn parse(text: &str) -> RedisResult<Self> {
        let (credentials, rest) = match text.rsplit_once('@') {
            Some((credentials, rest)) => (Some(credentials), rest),
            None => (None, text),
        };
        let decoded = |part: &str| {
            let part = percent_encoding::percent_decode_str(part).decode_utf8();
            part.map(|part| part.into_owned()).map_err(|_| misread("no UTF-8"))
        };
        let credentials = credentials
            .map(|credentials| {
                let (user, password) = credentials.split_once(':').unwrap_or(("", credentials));
                let user = if user.is_empty() { "default" } else { user };
                Ok::<_, RedisError>((decoded(user)?, decoded(password)?))
            })
            .transpose()?;
        let (hosts, service) = rest.split_once('/').unwrap_or((rest, ""));
        let hosts = hosts.split(',').map(str::to_owned).collect();
        Ok(Self { credentials, hosts, service: service.to_owned() })
    }

    fn addresses(&self) -> RedisResult<Vec<ConnectionAddr>> {
        Ok(self.infos()?.iter().map(|info| info.addr().clone()).collect())
    }

    fn servers(&self) -> RedisResult<Vec<ConnectionInfo>> {
        let with_credentials = |info: ConnectionInfo| match &self.credentials {
            Some((user, password)) => {
                let settings = info.redis_settings().clone();
                info.set_redis_settings(settings.set_username(user).set_password(password))
            }
            None => info,
        };
        Ok(self.infos()?.into_iter().map(with_credentials).collect())
    }

    fn infos(&self) -> RedisResult<Vec<ConnectionInfo>> {
        let info = |host: &String| format!("redis://{host}").into_connection_info();
        self.hosts.iter().map(info).collect()
    }
}
