//! Which files a lab is made of: the user's, or those that are built in.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use peerage_kubernetes::{Fault, Severity, plan};
use peerage_lab_input::{Inputs, Lab};

use crate::cli::LabArgs;

/// The built-in files, in order of use: cluster, topology, policies, pods, values.
const BUILT_IN: [(&str, &str); 5] = [
    ("cluster.yaml", include_str!("../../../lab/cluster.yaml")),
    ("topo.yaml", include_str!("../../../lab/topo.yaml")),
    ("cilium-bgp-peering-policies.yaml", include_str!("../../../lab/cilium-bgp-peering-policies.yaml")),
    ("nettool.yaml", include_str!("../../../lab/nettool.yaml")),
    ("values.yaml", include_str!("../../../lab/values.yaml")),
];

/// Reads the lab and says every fault; with the lab, whether any is an error. A faulty object is left out
/// and the others go on. `None`: what there is makes no lab.
pub(super) fn load(arguments: &LabArgs) -> Result<Option<(Lab, bool)>> {
    let folder = tempfile::tempdir()
        .context("cannot make a temporary folder; set TMPDIR to one that can be written")?;
    let built_in: Vec<PathBuf> =
        BUILT_IN.iter().map(|(name, text)| place(folder.path(), name, text)).collect::<Result<_>>()?;
    let [cluster, topology, policies, pods, values] = built_in.as_slice() else {
        anyhow::bail!("no built-in lab")
    };
    let chosen =
        |given: &Option<PathBuf>, default: &Path| given.clone().unwrap_or_else(|| default.to_owned());
    let inputs = Inputs {
        cluster: chosen(&arguments.cluster, cluster),
        topology: chosen(&arguments.topology, topology),
        manifests: if arguments.manifests.is_empty() {
            vec![policies.clone(), pods.clone()]
        } else {
            arguments.manifests.clone()
        },
        values: Some(chosen(&arguments.values, values)),
    };
    let (lab, mut faults) = peerage_lab_input::load(&inputs);
    if let Some(lab) = &lab {
        // What is wrong with objects together is said before anything runs, too.
        let known = lab.snapshot.faults();
        faults.extend(plan(&lab.snapshot).faults.into_iter().filter(|fault| !known.contains(fault)));
        let mut seen = BTreeSet::new();
        faults.retain(|fault| seen.insert(fault.clone()));
    }
    for fault in &mut faults {
        if let Ok(name) = Path::new(&fault.file).strip_prefix(folder.path()) {
            fault.file = format!("(built in)/{}", name.display());
        }
        eprintln!("{fault}");
    }
    Ok(lab.map(|lab| (lab, has_errors(&faults))))
}

/// Whether anything is wrong, rather than only to be noticed.
pub(super) fn has_errors(faults: &[Fault]) -> bool {
    faults.iter().any(|fault| fault.severity == Severity::Error)
}

/// Where a built-in file can be read: in the source, where that is the current folder, so that faults
/// name a file that can be opened; else in a temporary folder.
fn place(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let source = Path::new("examples/lab").join(name);
    if fs::read_to_string(&source).is_ok_and(|found| found == text) {
        return Ok(source);
    }
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
