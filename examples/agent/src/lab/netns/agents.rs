//! The nodes' agents: `peerage agent` in each server's namespace, all of them with one directory of
//! manifests, where files are replaced as a whole.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use peerage_kubernetes::Snapshot;
use peerage_lab_input::Lab;
use serde_json::{Value, json};

use super::{peer::Peer, plan::node_file};
use crate::{
    cli::Runtime,
    control::{Request, Response},
};

/// How long ending sessions may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// All agents.
#[derive(Debug)]
pub(super) struct Agents {
    manifests: PathBuf,
    /// Where files are written before they are there.
    desk: PathBuf,
    agents: Vec<Mutex<Peer>>,
}

impl Agents {
    /// Starts an agent on each node of the lab, which knows nodes and no policies.
    pub(super) fn start(lab: &Lab, cluster: &Snapshot, run: &Path, runtime: Runtime) -> Result<Self> {
        let manifests = run.join("manifests");
        let desk = run.join("desk");
        for folder in [&manifests, &desk] {
            fs::create_dir(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let mut agents = Self { manifests, desk, agents: Vec::new() };
        agents.write("nodes.json", &nodes(cluster)?)?;
        for (index, node) in lab.nodes.iter().enumerate() {
            let dir = run.join("agents").join(index.to_string());
            fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
            let words =
                ["agent".as_ref(), "--manifests".as_ref(), agents.manifests.as_os_str(), "--node".as_ref()];
            let words = [&words[..], &[node.name.as_ref()]].concat();
            let agent = Peer::spawn(&node.name, &words, &dir, run, &node_file(&node.server), runtime)?;
            agents.agents.push(Mutex::new(agent));
        }
        agents.agents.iter().try_for_each(|agent| lock(agent).wait())?;
        Ok(agents)
    }

    /// Lets the agents read what the cluster's objects are now.
    pub(super) fn apply(&self, cluster: &Snapshot) -> Result<()> {
        self.write("nodes.json", &nodes(cluster)?)?;
        self.write("policies.json", &policies(cluster)?)
    }

    /// Replaces a manifest, unless it says the same.
    fn write(&self, name: &str, objects: &Value) -> Result<()> {
        let (written, place) = (self.desk.join(name), self.manifests.join(name));
        let text = serde_json::to_string_pretty(objects)?;
        if fs::read_to_string(&place).is_ok_and(|there| there == text) {
            return Ok(());
        }
        fs::write(&written, text)
            .and_then(|()| fs::rename(&written, &place))
            .with_context(|| format!("cannot write {}", place.display()))
    }

    /// Asks the agent of the lab's node with this index.
    pub(super) fn ask(&self, index: usize, request: &Request) -> Result<Response> {
        lock(self.agents.get(index).context("there is no such node")?).ask(request)
    }

    /// That every agent lives.
    pub(super) fn check(&self) -> Result<()> {
        self.agents.iter().try_for_each(|agent| lock(agent).check())
    }

    /// What the agents wrote last, for who looks for a reason.
    pub(super) fn said(&self) -> String {
        let last = |agent: &Mutex<Peer>| {
            let agent = lock(agent);
            let said = agent.said();
            let lines: Vec<&str> = said.lines().collect();
            let lines = lines.get(lines.len().saturating_sub(5)..).unwrap_or_default();
            lines.iter().map(|line| format!("  {}: {line}\n", agent.name())).collect::<String>()
        };
        self.agents.iter().map(last).collect()
    }

    /// Ends every session with Cease 6/2.
    pub(super) fn stop(&self) {
        self.agents.iter().for_each(|agent| lock(agent).terminate());
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline && self.agents.iter().any(|agent| !lock(agent).is_gone()) {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The nodes as a manifest.
fn nodes(cluster: &Snapshot) -> Result<Value> {
    list("v1", "Node", cluster.nodes().map(|stored| serde_json::to_value(&stored.object)))
}

/// The policies as a manifest.
fn policies(cluster: &Snapshot) -> Result<Value> {
    let policies = cluster.policies().map(|stored| serde_json::to_value(&stored.object));
    list("cilium.io/v2alpha1", "CiliumBGPPeeringPolicy", policies)
}

fn list(
    version: &str,
    kind: &str,
    objects: impl Iterator<Item = Result<Value, serde_json::Error>>,
) -> Result<Value> {
    let mut items = Vec::new();
    for object in objects {
        let mut object = object?;
        let Some(fields) = object.as_object_mut() else { bail!("a {kind} that is no object") };
        fields.insert("apiVersion".into(), version.into());
        fields.insert("kind".into(), kind.into());
        items.push(object);
    }
    Ok(json!({ "apiVersion": "v1", "kind": "List", "items": items }))
}

/// A panic elsewhere was reported there; there is no state that it could leave half-made.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
