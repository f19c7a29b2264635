//! A cluster: masters that share the hash slots, and replicas that follow them.

use super::eventually;
use super::redis_server::{LOOK_WITHIN, Recipe, Redis, folder};

const SLOTS: usize = 16_384;

/// A node that does not answer for this long has failed, for the other masters.
const NODE_TIMEOUT_MS: &str = "1500";

/// Servers that form one cluster. The masters come first, then the first replica of each, and so on;
/// that is how they begin, a failover changes it.
pub struct Cluster {
    nodes: Vec<Redis>,
    masters: usize,
}

impl Cluster {
    /// A cluster with every slot in service and every replica in step. To vote a failed master out
    /// takes a majority of masters: 3 of them, where a test wants a failover.
    pub fn start(masters: usize, replicas_each: usize) -> Self {
        let count = masters * (1 + replicas_each);
        let cluster = Self { nodes: (0..count).map(|_| node()).collect(), masters };
        for (index, node) in cluster.nodes.iter().enumerate() {
            // Each an epoch of its own, or they would spend their first seconds on agreeing.
            node.query::<()>(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()]);
            if index < masters {
                let first = (SLOTS * index / masters).to_string();
                let last = (SLOTS * (index + 1) / masters - 1).to_string();
                node.query::<()>(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
            }
            let (port, bus) = (node.port().to_string(), node.bus_port().to_string());
            cluster.nodes[0].query::<()>(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        }
        cluster.wait_until("all nodes know each other", |node| {
            view(node)?
                .lines()
                .filter(|line| !line.contains("handshake"))
                .count()
                .eq(&count)
                .then_some(())
        });
        for (index, node) in cluster.nodes.iter().enumerate().skip(masters) {
            let master: String = cluster.nodes[index % masters].query(&["CLUSTER", "MYID"]);
            node.query::<()>(&["CLUSTER", "REPLICATE", &master]);
        }
        cluster.wait_until_whole();
        cluster
    }

    /// What a client is configured with: `redis-cluster://127.0.0.1:P1,127.0.0.1:P2,127.0.0.1:P3`,
    /// the nodes that began as masters.
    pub fn url(&self) -> String {
        let addresses = self.nodes[..self.masters].iter().map(|node| address(node.port()));
        format!("redis-cluster://{}", addresses.collect::<Vec<_>>().join(","))
    }

    pub fn node(&self, index: usize) -> &Redis {
        &self.nodes[index]
    }

    /// To stop and start one.
    pub fn node_mut(&mut self, index: usize) -> &mut Redis {
        &mut self.nodes[index]
    }

    /// SIGKILL for one node.
    pub fn kill(&mut self, index: usize) {
        self.nodes[index].kill();
    }

    /// The hash slot of a key.
    pub fn slot_of(&self, key: &str) -> usize {
        let ask = ["CLUSTER", "KEYSLOT", key];
        let answer = self.up().find_map(|node| node.query_within(&ask, LOOK_WITHIN).ok());
        answer.unwrap_or_else(|| panic!("no node answers\n{}", self.told()))
    }

    /// The node that serves a key. Waits until all nodes that answer agree on one of them: after
    /// [`Cluster::kill`] or [`Redis::freeze`], and 2 to 3 s, that is its replica.
    pub fn master_of(&self, key: &str) -> usize {
        let slot = self.slot_of(key);
        eventually(
            &format!("one node serves {key}"),
            || self.told(),
            || {
                let answers = self.nodes.iter().enumerate().filter(|(_, node)| node.is_up());
                let views: Vec<_> =
                    answers.filter_map(|(index, node)| Some((index, view(node)?))).collect();
                let owners: Vec<_> = views.iter().map(|(_, view)| owner(view, slot)).collect();
                let agreed = (*owners.first()?)?;
                let (index, _) =
                    views.iter().find(|(index, _)| self.nodes[*index].port() == agreed)?;
                owners.iter().all(|&owner| owner == Some(agreed)).then_some(*index)
            },
        )
    }

    /// Waits until every node that is up is content: all slots are served, and whoever follows has
    /// all that its master has. After a failover or [`Redis::start_again`].
    pub fn wait_until_whole(&self) {
        let ok = ["cluster_state:ok".to_owned(), format!("cluster_slots_ok:{SLOTS}")];
        self.wait_until("the cluster is whole", |node| {
            let state: String = node.query_within(&["CLUSTER", "INFO"], LOOK_WITHIN).ok()?;
            let in_service = ok.iter().all(|wanted| state.lines().any(|line| line == wanted));
            // What a node says of itself, the others must have heard: they send clients there.
            let heard = self.up().all(|other| heard_of(other, node).is_some());
            (in_service && heard).then_some(())?;
            node.in_step(&self.nodes)
        });
    }

    /// What the nodes wrote last.
    pub fn told(&self) -> String {
        self.nodes.iter().map(Redis::told).collect::<Vec<_>>().join("\n")
    }

    fn up(&self) -> impl Iterator<Item = &Redis> {
        self.nodes.iter().filter(|node| node.is_up())
    }

    /// Waits until `probe` answers for every node that is up.
    fn wait_until(&self, what: &str, probe: impl Fn(&Redis) -> Option<()>) {
        eventually(what, || self.told(), || self.up().try_for_each(&probe));
    }
}

fn node() -> Redis {
    let arguments = [
        "--cluster-enabled",
        "yes",
        "--cluster-node-timeout",
        NODE_TIMEOUT_MS,
        "--cluster-announce-ip",
        "127.0.0.1",
        "--repl-ping-replica-period",
        "1",
    ];
    Redis::start_by(Recipe { cluster: true, ..Recipe::of(&arguments) }, folder())
}

fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// What a node knows of the others: one line each, `ID ADDRESS@BUS[,HOST] FLAGS MASTER … [SLOTS…]`.
fn view(node: &Redis) -> Option<String> {
    node.query_within(&["CLUSTER", "NODES"], LOOK_WITHIN).ok()
}

/// The port of the node that serves `slot`, where it is held for well.
fn owner(view: &str, slot: usize) -> Option<u16> {
    view.lines().find_map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let well = words[2].contains("master") && !words[2].contains("fail");
        let serves = |range: &&str| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let number = |text: &str| text.parse::<usize>().ok();
            number(first)
                .zip(number(last))
                .is_some_and(|(first, last)| (first..=last).contains(&slot))
        };
        (well && words.get(8..)?.iter().any(serves)).then(|| port_of(words[1]))?
    })
}

fn port_of(address: &str) -> Option<u16> {
    address.split('@').next()?.rsplit(':').next()?.parse().ok()
}

/// Whether `other` knows of `node` what it is now: a master, or whose replica.
fn heard_of(other: &Redis, node: &Redis) -> Option<()> {
    let role = |view: String| {
        let mut lines = view.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let words = lines.find(|words| port_of(words[1]) == Some(node.port()))?;
        let flags = words[2].trim_start_matches("myself,").to_owned();
        Some((flags, words[3].to_owned()))
    };
    (role(view(other)?)? == role(view(node)?)?).then_some(())
}
