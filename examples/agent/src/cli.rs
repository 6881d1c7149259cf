//! The command line: what can be asked for, and the help that teaches it.
//!
//! Nothing is done here. Usage errors end the process with 2 (clap), everything else with 1.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;

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
  peerage lab --runtime smol               the same on the other runtime";

/// After the help of `show`.
const SHOW_EXAMPLES: &str = "\
Examples:
  peerage show summary                     the sessions of router0
  peerage show routes --node tor0          its table
  peerage show neighbor 10.0.1.2 --node tor0
  peerage show route 10.1.2.0/24 -o json   one prefix, with the reason for the choice
  peerage show route 10.1.2.7              the longest prefix that covers an address";

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
    /// Ask a running lab
    #[command(after_help = SHOW_EXAMPLES)]
    Show(ShowArgs),
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
}

/// Where a running lab answers.
#[derive(Debug, Args)]
pub(crate) struct SocketArgs {
    /// The running lab's Unix socket
    #[arg(long, value_name = "PATH", env = "PEERAGE_SOCKET", global = true)]
    pub(crate) socket: Option<PathBuf>,
}

/// `peerage show`
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// What to show.
    #[command(subcommand)]
    pub(crate) what: What,
    /// Whose view: a router, a node, or node/instance
    #[arg(long, value_name = "NAME", default_value = "router0", global = true)]
    pub(crate) node: String,
    /// How to write it
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t, global = true)]
    pub(crate) output: Format,
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
