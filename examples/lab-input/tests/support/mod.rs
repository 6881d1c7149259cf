//! The lab's own files, whole or with something changed.
#![allow(dead_code, unreachable_pub)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use peerage_kubernetes::{Fault, Severity};
use peerage_lab_input::{Inputs, Lab, load};

/// The workspace's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").components().collect()
}

/// The inputs in a directory that has the lab's five files.
pub fn inputs(directory: &Path) -> Inputs {
    Inputs {
        cluster: directory.join("cluster.yaml"),
        topology: directory.join("topo.yaml"),
        manifests: vec![directory.join("cilium-bgp-peering-policies.yaml"), directory.join("nettool.yaml")],
        values: Some(directory.join("values.yaml")),
    }
}

/// A copy of the lab's own files.
pub struct Copy {
    directory: tempfile::TempDir,
    pub inputs: Inputs,
}

impl Copy {
    pub fn new() -> Self {
        Self::of(&root().join("examples/lab"))
    }

    pub fn of(source: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for file in
            ["cluster.yaml", "topo.yaml", "cilium-bgp-peering-policies.yaml", "nettool.yaml", "values.yaml"]
        {
            fs::copy(source.join(file), directory.path().join(file)).unwrap();
        }
        let inputs = inputs(directory.path());
        Self { directory, inputs }
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    /// Replaces the only place in a file that says `from`.
    pub fn replace(self, file: &str, from: &str, to: &str) -> Self {
        let text = fs::read_to_string(self.path(file)).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{file} has to say this once: {from}");
        self.write(file, &text.replace(from, to))
    }

    /// Replaces every place in a file that says `from`.
    pub fn replace_all(self, file: &str, from: &str, to: &str) -> Self {
        let text = fs::read_to_string(self.path(file)).unwrap();
        assert!(text.contains(from), "{file} does not say: {from}");
        self.write(file, &text.replace(from, to))
    }

    pub fn append(self, file: &str, more: &str) -> Self {
        let text = fs::read_to_string(self.path(file)).unwrap();
        self.write(file, &(text + more))
    }

    pub fn write(self, file: &str, text: &str) -> Self {
        fs::write(self.path(file), text).unwrap();
        self
    }

    /// An additional manifest.
    pub fn manifest(mut self, file: &str, text: &str) -> Self {
        self.inputs.manifests.push(self.path(file));
        self.write(file, text)
    }

    pub fn load(&self) -> (Option<Lab>, Vec<Fault>) {
        load(&self.inputs)
    }

    /// The lab, which has to be without errors.
    pub fn lab(&self) -> Lab {
        let (lab, faults) = self.load();
        let errors: Vec<String> = errors(&faults).map(ToString::to_string).collect();
        assert_eq!(errors, [""; 0]);
        lab.unwrap()
    }

    /// Errors as texts, without the directory.
    pub fn errors(&self) -> Vec<String> {
        self.texts(errors(&self.load().1))
    }

    /// Notices as texts, without the directory.
    pub fn notices(&self) -> Vec<String> {
        self.texts(self.load().1.iter().filter(|fault| fault.severity == Severity::Notice))
    }

    fn texts<'a>(&self, faults: impl Iterator<Item = &'a Fault>) -> Vec<String> {
        let directory = format!("{}/", self.directory.path().display());
        faults.map(|fault| fault.to_string().replace(&directory, "")).collect()
    }
}

pub fn errors(faults: &[Fault]) -> impl Iterator<Item = &Fault> {
    faults.iter().filter(|fault| fault.severity == Severity::Error)
}
