//! The command line: what can be asked for, and the help that teaches it.
//!
//! Nothing is done here. Usage errors end the process with 2 (clap), everything else with 1.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;
use peerage_kubernetes::{Ipam, Options, Terminating};

/// Where to look first, after every help text of the whole command.
const EXAMPLES: &str = "\
Examples:
  peerage lab                              the article's fabric on loopback, before and after its policies
  peerage lab --once --json | jq '.after.router0.table.routes | keys'
  peerage lab --topology topo.yaml --cluster cluster.yaml --manifests policies.yaml --values values.yaml
  peerage show routes --node tor0          asks the lab that runs in another terminal
  peerage delete -f policies.yaml          the agents' sessions close with Cease 6/3
  peerage apply -f policies.yaml           and open again
  peerage plan -f policies.yaml --cluster cluster.yaml
  peerage router -c peerage.toml           a BGP speaker that stands where a router stands
  peerage router -c peerage.toml --check   every fault of its file, with line and column
  peerage monitor                          what happens at it, line by line
  peerage agent --manifests DIR --node worker

Exit status: 0 done; 1 not done, and standard error says why and what helps; 2 wrong usage.";

/// After the help of `lab`.
const LAB_EXAMPLES: &str = "\
One process runs a BGP speaker for each router and node of the topology, with real TCP sessions on
loopback addresses; no root rights are needed and nothing is installed. Without files of your own it
runs the ones that are built in (examples/lab in the source).

Examples:
  peerage lab                              stays up and answers `peerage show`; Ctrl-C ends it
  peerage lab --once                       ends when converged; 1 with what is missing when not in time
  peerage lab --once --json                one JSON document with the keys FRR's own JSON has
  peerage lab --runtime smol               the same on the other runtime
  sudo peerage lab --netns --once          in network namespaces, with FRR, a ping and a traceroute
  sudo peerage lab --netns --routers peerage";

/// After the help of `router`.
const ROUTER_EXAMPLES: &str = "\
The file is TOML; docs/router.md has every key, examples/router commented files. The smallest useful one:

  as = 65010
  router-id = \"10.0.0.1\"
  originate = [\"10.0.1.0/24\"]

  [neighbor.\"10.0.0.2\"]
  as = 65000
  import = \"accept\"       # without them eBGP exchanges nothing (RFC 8212)
  export = \"accept\"

Signals:
  SIGTERM, SIGINT  end every session as --on-shutdown says and exit with 0; a second one ends at once
  SIGHUP           read the file again: the plan of what changes, and what that costs each session, is
                   logged and carried out; with faults, what runs goes on unchanged

Examples:
  peerage router -c peerage.toml --check   offline; 1 with every fault as FILE:LINE:COLUMN
  peerage router -c peerage.toml
  peerage show summary                     asks it from another terminal; also routes, neighbor, route
  peerage show route 10.1.2.0/24           all paths, and the reason each losing one lost
  peerage monitor -o json                  a line for each change of a session or a best route
  peerage clear 10.0.0.2 --soft-in         runs the import policy again; the session stays

Log lines and faults go to standard error. The control socket is --socket, else the file's `socket`, else
$XDG_RUNTIME_DIR/peerage/router.sock (/tmp/peerage-UID/router.sock); `show` and the others look at the
last one by themselves and need --socket PATH for any other. It is for its user alone.";

/// After the help of `agent`.
const AGENT_EXAMPLES: &str = "\
DIR holds what `kubectl get -o yaml` prints, in any number of files (*.yaml, *.yml, *.json): the Node of this
name, for its labels, PodCIDRs and addresses, and CiliumBGPPeeringPolicies. Each virtual router of the policy
that selects the node becomes a BGP instance, named after its AS. It dials; it listens only where the
node's annotation cilium.io/bgp-virtual-router.ASN says local-port=….

The directory is watched. What a file says when it changes is carried out as a plan, which is logged with what
it costs each session. A file that is not good any more keeps what it said, with a fault; one that is deleted
takes its objects along. A ConfigMap can be mounted there.

Signals:
  SIGTERM, SIGINT  end every session as --on-shutdown says and exit with 0; a second one ends at once
  SIGHUP           look at the directory now

Examples:
  peerage plan -f DIR                      offline: what each node would do, and every fault
  peerage agent --manifests DIR --node worker
  peerage show summary                     asks it from another terminal; also routes, neighbor, route
  peerage show summary --node 65010        one of several instances
  peerage show faults                      what is wrong with its files now
  peerage agent --manifests /etc/peerage --node worker -o json --debounce 1s";

/// After the help of `monitor`.
const MONITOR_EXAMPLES: &str = "\
It begins with a line for each neighbour as it stands, then a line for each session that comes up or goes
down and each best route that changes. Routes are looked at up to four times a second: what changes and
changes back between two looks is not seen. Who does not read for five seconds is dropped.

Examples:
  peerage monitor
  peerage monitor -o json | jq 'select(.event == \"withdraw\") | .prefix'";

/// After the help of `clear`.
const CLEAR_EXAMPLES: &str = "\
Examples:
  peerage clear 10.0.0.2                   the session ends with Cease 6/4 and starts again
  peerage clear 10.0.0.2 --soft-in         the import policy is run again over what it announced
  peerage clear all --soft-out             everything is sent again to everyone";

/// After the help of `show`.
const SHOW_EXAMPLES: &str = "\
Examples:
  peerage show summary                     the sessions of router0
  peerage show routes --node tor0          its table
  peerage show neighbor 10.0.1.2 --node tor0
  peerage show route 10.1.2.0/24 -o json   one prefix, with the reason for the choice
  peerage show route 10.1.2.7              the longest prefix that covers an address
  peerage show routes --family ipv6        tables are IPv4 where nothing is said

Without --socket it asks the `peerage router` of this host, where none runs its `peerage agent`, and where that
does not run either its `peerage lab`.";

/// A BGP speaker for Kubernetes nodes, and the lab that shows it.
#[derive(Debug, Parser)]
#[command(name = "peerage", version, about, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a fabric of routers and Kubernetes nodes on loopback
    #[command(after_help = LAB_EXAMPLES)]
    Lab(LabArgs),
    /// Run a Kubernetes node's BGP speakers by the manifests in a directory
    #[command(after_help = AGENT_EXAMPLES)]
    Agent(AgentArgs),
    /// Run a BGP speaker by a configuration file
    #[command(after_help = ROUTER_EXAMPLES)]
    Router(RouterArgs),
    /// Ask a running router, agent or lab
    #[command(after_help = SHOW_EXAMPLES)]
    Show(ShowArgs),
    /// Follow the sessions and best routes of a running router or agent
    #[command(after_help = MONITOR_EXAMPLES)]
    Monitor(MonitorArgs),
    /// Reset a session of a running router, or have its routes judged or sent again
    #[command(after_help = CLEAR_EXAMPLES)]
    Clear(ClearArgs),
    /// Apply Kubernetes manifests to a running lab
    Apply(ChangeArgs),
    /// Delete the objects of Kubernetes manifests from a running lab
    Delete(ChangeArgs),
    /// Say offline what each node would peer with and announce, and every fault
    Plan(PlanArgs),
    /// Print the version
    Version,
}

/// Which sockets and clock the speakers run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Runtime {
    /// tokio
    #[default]
    Tokio,
    /// smol
    Smol,
}

/// How sessions end when the program does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnShutdown {
    /// Without a word to neighbours that agreed to keep routes over a restart, with Cease 6/2 to the others
    #[default]
    GracefulRestart,
    /// With Cease 6/2 to all of them, who keep nothing
    Cease,
}

impl OnShutdown {
    /// What is logged as the program ends.
    pub(crate) const fn farewell(self) -> &'static str {
        match self {
            Self::GracefulRestart => {
                "ending: sessions with graceful restart are closed without a word, the others with Cease 6/2"
            }
            Self::Cease => "ending: every session is closed with Cease 6/2",
        }
    }
}

/// How output is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// For people, in FRR's layout
    #[default]
    Text,
    /// For programs, with FRR's keys
    Json,
}

/// How protocol addresses become sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Loopback {
    /// Addresses where there are any, else ports
    #[default]
    Auto,
    /// One 127.x.y.z address for each address of the fabric
    Addresses,
    /// One port on 127.0.0.1 for each address of the fabric
    Ports,
}

/// `peerage lab`
#[derive(Debug, Args)]
pub(crate) struct LabArgs {
    /// Kind cluster file: nodes, addresses, labels, podSubnet [default: built in]
    #[arg(long, value_name = "FILE")]
    pub(crate) cluster: Option<PathBuf>,
    /// Containerlab topology: routers, links, FRR configuration [default: built in]
    #[arg(long, value_name = "FILE")]
    pub(crate) topology: Option<PathBuf>,
    /// Kubernetes manifests, files or folders; may be given several times [default: built in]
    #[arg(long, value_name = "FILE|DIR", num_args = 1..)]
    pub(crate) manifests: Vec<PathBuf>,
    /// Cilium's Helm values [default: built in]
    #[arg(long, value_name = "FILE")]
    pub(crate) values: Option<PathBuf>,
    /// End when converged: 0, or 1 with what is missing
    #[arg(long)]
    pub(crate) once: bool,
    /// How long it may take to converge, both stages together: 500ms, 30s, 2m
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_time)]
    pub(crate) timeout: std::time::Duration,
    /// Print one JSON document, and nothing else on standard output
    #[arg(long)]
    pub(crate) json: bool,
    /// Which sockets and clock the speakers run on
    #[arg(long, value_enum, default_value_t)]
    pub(crate) runtime: Runtime,
    /// Unix socket that answers `peerage show`, `apply` and `delete`
    #[arg(long, value_name = "PATH", env = "PEERAGE_SOCKET")]
    pub(crate) socket: Option<PathBuf>,
    /// How protocol addresses become sockets
    #[arg(long, value_enum, default_value_t, hide = true)]
    pub(crate) loopback: Loopback,
    /// Run it in network namespaces, with FRR as the routers and real packets (Linux, root)
    #[arg(long)]
    pub(crate) netns: bool,
    /// Who the routers are, with --netns
    #[arg(long, value_enum, value_name = "WHO", default_value_t, requires = "netns")]
    pub(crate) routers: Routers,
    /// The run directory, for the part that runs within the namespaces
    #[arg(long, value_name = "DIR", hide = true, requires = "netns")]
    pub(crate) within: Option<PathBuf>,
}

/// Who the routers of a lab in network namespaces are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Routers {
    /// FRR's zebra and bgpd, by the topology's own vtysh lines
    #[default]
    Frr,
    /// `peerage router`: sessions and tables, no packets yet
    Peerage,
}

/// `peerage router`
#[derive(Debug, Args)]
pub(crate) struct RouterArgs {
    /// Its configuration file
    #[arg(short, long = "config", value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Say everything that is wrong with the file, and do nothing else
    #[arg(long)]
    pub(crate) check: bool,
    /// Which sockets and clock the speaker runs on
    #[arg(long, value_enum, default_value_t)]
    pub(crate) runtime: Runtime,
    /// What neighbours with graceful restart are told when it ends
    #[arg(long, value_enum, value_name = "HOW", default_value_t)]
    pub(crate) on_shutdown: OnShutdown,
    /// Where it keeps what outlives it: whether the machine has booted since, which decides whether neighbours
    /// keep routes over a restart until they come again (the F bit of RFC 4724). Without it they do not
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Unix socket that answers `peerage show`, `monitor` and `clear` [default: the file's]
    #[arg(long, value_name = "PATH", env = "PEERAGE_SOCKET")]
    pub(crate) socket: Option<PathBuf>,
}

/// `peerage agent`
#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    /// The directory of manifests: policies, and the Node of this name
    #[arg(long, value_name = "DIR")]
    pub(crate) manifests: PathBuf,
    /// Which node this is
    #[arg(long, value_name = "NAME", env = "NODE_NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) node: String,
    /// Which sockets and clock the speakers run on
    #[arg(long, value_enum, default_value_t)]
    pub(crate) runtime: Runtime,
    /// Unix socket that answers `peerage show` and `monitor`
    /// [default: $XDG_RUNTIME_DIR/peerage/agent.sock]
    #[arg(long, value_name = "PATH", env = "PEERAGE_SOCKET")]
    pub(crate) socket: Option<PathBuf>,
    /// What neighbours with graceful restart are told when it ends
    #[arg(long, value_enum, value_name = "HOW", default_value_t)]
    pub(crate) on_shutdown: OnShutdown,
    /// Where it keeps what outlives it: whether the machine has booted since, which decides whether neighbours
    /// keep routes over a restart until they come again (the F bit of RFC 4724). Without it they do not
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// How long the directory has to be still before it is read
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = parse_time)]
    pub(crate) debounce: std::time::Duration,
    #[command(flatten)]
    pub(crate) compile: CompileArgs,
    /// How log lines are written, which go to standard error
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    pub(crate) output: Format,
}

/// How Kubernetes objects become what a node does.
#[derive(Debug, Args)]
pub(crate) struct CompileArgs {
    /// Where PodCIDRs come from: auto, kubernetes, cluster-pool, multi-pool, none
    #[arg(long, value_name = "MODE", default_value_t)]
    ipam: Ipam,
    /// Whether endpoints that terminate and still serve are backends: withdraw (no), keep (yes)
    #[arg(long, value_name = "HOW", default_value_t)]
    terminating: Terminating,
}

impl CompileArgs {
    /// The same, for the compiler.
    pub(crate) const fn options(&self) -> Options {
        Options { ipam: self.ipam, terminating: self.terminating }
    }
}

/// `peerage monitor`
#[derive(Debug, Args)]
pub(crate) struct MonitorArgs {
    /// Which instance, at an agent that runs several: its AS
    #[arg(long, value_name = "NAME")]
    pub(crate) node: Option<String>,
    /// How to write it: lines for people, or one JSON object a line
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

/// `peerage clear`
#[derive(Debug, Args)]
pub(crate) struct ClearArgs {
    /// The neighbour's address, interface, range or host name; or `all`
    pub(crate) neighbor: String,
    /// Run its import policy again over what it announced; the session stays
    #[arg(long)]
    soft_in: bool,
    /// Send it everything again; the session stays
    #[arg(long)]
    soft_out: bool,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

impl ClearArgs {
    /// Which way; `None`: hard.
    pub(crate) const fn soft(&self) -> Option<Soft> {
        match (self.soft_in, self.soft_out) {
            (false, false) => None,
            (true, false) => Some(Soft::In),
            (false, true) => Some(Soft::Out),
            (true, true) => Some(Soft::Both),
        }
    }
}

/// Which routes are judged or sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Soft {
    /// What the neighbour announced.
    In,
    /// What is announced to it.
    Out,
    /// Both.
    Both,
}

/// Whose routes a table shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FamilyName {
    /// IPv4 unicast
    #[default]
    Ipv4,
    /// IPv6 unicast
    Ipv6,
}

/// Where a running router, agent or lab answers.
#[derive(Debug, Args)]
pub(crate) struct SocketArgs {
    /// The running router's, agent's or lab's Unix socket
    #[arg(long, value_name = "PATH", env = "PEERAGE_SOCKET", global = true)]
    pub(crate) socket: Option<PathBuf>,
}

/// `peerage show`
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// What to show.
    #[command(subcommand)]
    pub(crate) what: What,
    /// Whose view: in a lab a router, a node, or node/instance [default: router0]; at an agent an instance
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) node: Option<String>,
    /// How to write it
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t, global = true)]
    pub(crate) output: Format,
    /// Which table `summary` and `routes` are about
    #[arg(long, value_enum, value_name = "FAMILY", default_value_t, global = true)]
    pub(crate) family: FamilyName,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

/// What `peerage show` shows.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand, serde::Serialize, serde::Deserialize)]
#[serde(tag = "what", rename_all = "lowercase")]
pub(crate) enum What {
    /// Sessions: `show bgp ipv4 summary wide`
    Summary,
    /// The table: `show bgp ipv4 wide`
    #[command(visible_alias = "table")]
    Routes,
    /// One neighbour, or all of them, in full
    #[command(visible_alias = "neighbors")]
    Neighbor {
        /// Its address or interface
        neighbor: Option<String>,
    },
    /// What is wrong with the objects of an agent or a lab
    Faults,
    /// One prefix with all its paths, or the longest prefix that covers an address
    Route {
        /// The prefix or address
        #[arg(value_parser = parse_prefix)]
        prefix: Lookup,
    },
}

/// What to look up in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) enum Lookup {
    /// This prefix and no other.
    Exact(IpNet),
    /// The longest that covers this address.
    Longest(std::net::IpAddr),
}

impl From<Lookup> for String {
    fn from(lookup: Lookup) -> Self {
        match lookup {
            Lookup::Exact(net) => net.to_string(),
            Lookup::Longest(address) => address.to_string(),
        }
    }
}

impl TryFrom<String> for Lookup {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_prefix(&text)
    }
}

/// `peerage apply` and `peerage delete`
#[derive(Debug, Args)]
pub(crate) struct ChangeArgs {
    /// Manifests; `-` is standard input; may be given several times
    #[arg(short, long = "filename", value_name = "FILE", required = true, num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

/// `peerage plan`
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Manifests, files or folders; may be given several times
    #[arg(short, long = "filename", value_name = "FILE|DIR", required = true, num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,
    /// Kind cluster file that says which nodes there are, beside Node manifests
    #[arg(long, value_name = "FILE")]
    pub(crate) cluster: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) compile: CompileArgs,
    /// How to write it
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    pub(crate) output: Format,
}

/// `30`, `30s`, `500ms` or `2m`.
fn parse_time(text: &str) -> Result<std::time::Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let millis = match unit {
        "" | "s" => 1000,
        "ms" => 1,
        "m" => 60_000,
        _ => 0,
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(millis)) {
        Some(time @ 1..=86_400_000) => Ok(std::time::Duration::from_millis(time)),
        _ => Err("expected a time between 1ms and 1440m, such as 30s".into()),
    }
}

/// A prefix, or an address to look up.
fn parse_prefix(text: &str) -> Result<Lookup, String> {
    if let Ok(address) = text.parse() {
        return Ok(Lookup::Longest(address));
    }
    match text.parse::<IpNet>() {
        Ok(net) if net.trunc() == net => Ok(Lookup::Exact(net)),
        Ok(net) => Err(format!("host bits are set: did you mean {} or {}?", net.trunc(), net.addr())),
        Err(_) => Err("expected a prefix such as 10.1.2.0/24 or an address such as 10.1.2.7".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_holds() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times() {
        assert_eq!(parse_time("30s").unwrap().as_secs(), 30);
        assert_eq!(parse_time("30").unwrap().as_secs(), 30);
        assert_eq!(parse_time("250ms").unwrap().as_millis(), 250);
        assert_eq!(parse_time("2m").unwrap().as_secs(), 120);
        for wrong in ["", "s", "0s", "-1s", "1h", "99999999999999999999s", "1 s"] {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lookups() {
        assert_eq!(parse_prefix("10.1.2.7"), Ok(Lookup::Longest("10.1.2.7".parse().unwrap())));
        assert_eq!(parse_prefix("10.1.2.0/24"), Ok(Lookup::Exact("10.1.2.0/24".parse().unwrap())));
        assert!(parse_prefix("10.1.2.7/24").unwrap_err().contains("10.1.2.0/24"));
        assert!(parse_prefix("10.1.2").is_err());
    }
}
