//! What the lab shows: the fabric without policies, then with them, then packets on their way.

use std::{
    fmt::Write as _,
    net::IpAddr,
    sync::PoisonError,
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use ipnet::IpNet;
use peerage_kubernetes::Snapshot;
use serde_json::{Map, Value, json};

use super::{
    super::{
        course::ends,
        progress::Progress,
        stop::Stop,
        trace::{self, Onward, Way},
    },
    converge,
    inside::Inside,
    packets,
    plan::{pod_file, router_address},
    routers::Look,
};
use crate::cli::{FamilyName, Format, LabArgs, What};

/// How long the kernels may take until packets go the way of the tables, however late it is.
const AT_LEAST: Duration = Duration::from_secs(10);

/// Without policies, then with them, then packets.
pub(super) struct Course<'a> {
    pub(super) inside: &'a Inside,
    pub(super) arguments: &'a LabArgs,
    /// Both stages together may take until then.
    pub(super) deadline: Instant,
    pub(super) progress: &'a Progress,
    pub(super) stop: &'a Stop,
}

/// The routers at one moment.
struct Stage {
    looks: Vec<Look>,
    text: String,
}

impl Course<'_> {
    /// Shows it; what was missing in the end is returned.
    pub(super) fn run(&self) -> Result<Vec<String>> {
        let (before, missing) =
            self.stage("the fabric", &Snapshot::new(), "Before: the fabric is up, no policy is applied")?;
        if !missing.is_empty() {
            self.document(&before, None)?;
            return Ok(missing);
        }
        self.print(&before.text)?;
        let cluster = self.inside.cluster.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match &self.inside.agents {
            Some(agents) => {
                agents.apply(&cluster)?;
                self.progress.say("the policies are in the agents' directory");
            }
            None => self.progress.say("bgpControlPlane.enabled is false: no agent runs"),
        }
        let (after, mut missing) = self.stage("the policies", &cluster, "After: the policies are applied")?;
        self.print(&after.text)?;
        if missing.is_empty() {
            missing = self.packets(&after.looks)?;
        }
        self.document(&before, Some(&after))?;
        Ok(missing)
    }

    /// Waits for a stage and says how it went.
    fn stage(&self, what: &str, policies: &Snapshot, title: &str) -> Result<(Stage, Vec<String>)> {
        let (looks, missing) = converge::wait(self.inside, policies, self.deadline, self.stop)?;
        if missing.is_empty() {
            self.progress.say(&format!("converged with {what}"));
        } else {
            let when = if self.stop.requested() {
                "when it was interrupted".into()
            } else {
                format!("within {:?}", self.arguments.timeout)
            };
            eprintln!("peerage: not converged with {what} {when}; missing:");
            missing.iter().for_each(|missing| eprintln!("  {missing}"));
            if let Some(said) = self.inside.agents.as_ref().map(super::agents::Agents::said) {
                eprint!("peerage: the agents said last:\n{said}");
            }
        }
        let text = if self.arguments.json { String::new() } else { self.text(title)? };
        Ok((Stage { looks, text }, missing))
    }

    /// The summaries of all routers and the table of the one in the middle.
    fn text(&self, title: &str) -> Result<String> {
        let mut out = format!("==== {title}\n");
        let routers = &self.inside.lab.routers;
        let show = |index: usize, what: &What| match routers.get(index) {
            Some(router) => self.inside.routers.show(index, router, what, Format::Text, FamilyName::Ipv4),
            None => Ok(String::new()),
        };
        for index in 0..routers.len() {
            _ = write!(out, "\n{}", show(index, &What::Summary)?);
        }
        let center = routers.iter().position(|router| router.name == "router0").unwrap_or(0);
        _ = writeln!(out, "\n{}", show(center, &What::Routes)?);
        Ok(out)
    }

    /// A ping and a traceroute between two pods; what was not as the tables have it.
    fn packets(&self, looks: &[Look]) -> Result<Vec<String>> {
        let mut out = String::from("==== The way of a packet\n\n");
        let Some((from, to)) = ends(&self.inside.lab) else {
            self.progress.say("there are no two pods on different nodes: no packet is sent");
            return Ok(Vec::new());
        };
        let machines = &self.inside.machines;
        let lookup = |machine: usize, address| way(self.inside, machine, looks.get(machine)?, address);
        out += &trace::trace_text(machines, &from, &to, "the routers' tables", &lookup);
        if !self.inside.routers.forward() {
            out.push_str("\nNo packet was sent: `peerage router` puts no routes into the kernel yet.\n");
            self.progress.say("no ping, no traceroute: `peerage router` puts no routes into the kernel yet");
            self.print(&out)?;
            return Ok(Vec::new());
        }
        let Some(computed) = trace::addresses(machines, &from, &to, &lookup) else {
            out.push_str("\nNo packet was sent.\n");
            self.progress.say("by the tables nothing arrives: no packet is sent");
            self.print(&out)?;
            return Ok(Vec::new());
        };
        let wanted = self.wanted(from.machine, &computed, to.address);
        let space = self.inside.run.join(pod_file(&from.name));
        let deadline = self.deadline.max(Instant::now() + AT_LEAST);
        let mut missing = Vec::new();
        loop {
            let (ping, answered) = packets::ping(&self.inside.run, &space, to.address)?;
            let (trace, hops) = packets::traceroute(&self.inside.run, &space, to.address)?;
            let as_wanted = hops == wanted;
            if answered && as_wanted || Instant::now() >= deadline || self.stop.requested() {
                _ = write!(out, "\n{}# {ping}\n{}# {trace}", from.name, from.name);
                let ends =
                    format!("pod {} ({}) to pod {} ({})", from.name, from.address, to.name, to.address);
                if !answered {
                    missing.push(format!("an answer to a ping from {ends}"));
                }
                if !as_wanted {
                    let missed =
                        format!("the way from {ends}: {}; by the tables {}", list(&hops), list(&wanted));
                    missing.push(missed);
                }
                break;
            }
            thread::sleep(Duration::from_millis(100));
        }
        if missing.is_empty() {
            out.push_str("\nThe packets went the way that the tables have.\n");
            self.progress.say(&format!("ping and traceroute: {}", list(&wanted)));
        } else {
            eprintln!("peerage: packets do not go the way that the tables have; missing:");
            missing.iter().for_each(|missing| eprintln!("  {missing}"));
        }
        self.print(&out)?;
        Ok(missing)
    }

    /// Who has to answer at each hop: Cilium's address on the first node, then the computed way, then the pod.
    fn wanted(&self, first: usize, computed: &[Option<IpAddr>], pod: IpAddr) -> Vec<Option<IpAddr>> {
        let node = first.checked_sub(self.inside.lab.routers.len());
        let node = node.and_then(|node| self.inside.lab.nodes.get(node));
        let own = node.and_then(|node| router_address(&node.pod_cidrs)).map(IpAddr::V4);
        let rest = computed.iter().skip(1).copied();
        std::iter::once(own).chain(rest).chain([Some(pod)]).collect()
    }

    /// Text goes out as soon as it is known, unless a document is asked for.
    fn print(&self, text: &str) -> Result<()> {
        if self.arguments.json { Ok(()) } else { crate::print(text) }
    }

    /// The document, if it is asked for.
    fn document(&self, before: &Stage, after: Option<&Stage>) -> Result<()> {
        if !self.arguments.json {
            return match after {
                None => self.print(&before.text),
                Some(_) => Ok(()),
            };
        }
        let json = |stage: &Stage| {
            let routers = self.inside.lab.routers.iter().zip(&stage.looks);
            let views = |look: &Look| json!({ "summary": look.summary, "table": look.table });
            Value::Object(
                routers.map(|(router, look)| (router.name.clone(), views(look))).collect::<Map<_, _>>(),
            )
        };
        let document = json!({ "before": json(before), "after": after.map_or(Value::Null, json) });
        crate::print(&format!("{}\n", serde_json::to_string_pretty(&document)?))
    }
}

fn list(hops: &[Option<IpAddr>]) -> String {
    let hops = hops.iter().map(|hop| hop.map_or_else(|| "*".into(), |hop| hop.to_string()));
    hops.collect::<Vec<String>>().join(", ")
}

/// What a router's table, as it printed it, has for an address.
fn way(inside: &Inside, machine: usize, look: &Look, address: IpAddr) -> Option<Way> {
    let routes = look.table.get("routes")?.as_object()?;
    let routes = routes.iter().filter_map(|(prefix, paths)| Some((prefix.parse::<IpNet>().ok()?, paths)));
    let (prefix, paths) = routes
        .filter(|(prefix, _)| prefix.contains(&address))
        .max_by_key(|(prefix, _)| prefix.prefix_len())?;
    let best = paths.as_array()?.iter().find(|path| path.get("bestpath").is_some());
    let Some(best) = best else { return Some(Way { prefix, to: Onward::NoBest }) };
    let next_hop = best.pointer("/nexthops/0/ip")?.as_str()?.parse::<IpAddr>().ok()?;
    let across = inside.machines.get(machine)?.links.iter().find(|link| {
        let peer = inside.machines.get(link.peer).and_then(|peer| peer.link(&link.peer_interface));
        peer.is_some_and(|peer| IpAddr::V6(peer.link_local) == next_hop)
    });
    let to = match across {
        Some(link) => Onward::Interface(link.interface.clone(), next_hop),
        None if next_hop.is_unspecified() => Onward::Own,
        None => Onward::Address(next_hop),
    };
    Some(Way { prefix, to })
}
