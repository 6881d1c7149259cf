//! Objects from files: documents, lists, directories.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;

use crate::{
    Fault, Origin, Severity, Snapshot,
    objects::name_of,
    yaml::{self, Document},
};

impl Snapshot {
    /// Reads files and directories. Of a directory it reads `*.yaml`, `*.yml` and `*.json` in order of
    /// their names, and none of the directories in it.
    pub fn load<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Self {
        let mut snapshot = Self::new();
        for path in paths {
            let path = path.as_ref();
            if path.is_dir() {
                match manifests_in(path) {
                    Ok(files) if files.is_empty() => {
                        let message = "there is no *.yaml, *.yml or *.json file in this directory";
                        snapshot.say(Fault::error(path.display().to_string(), message));
                    }
                    Ok(files) => files.iter().for_each(|file| snapshot.read_file(file, true)),
                    Err(error) => snapshot.unreadable(path, &error),
                }
            } else {
                snapshot.read_file(path, false);
            }
        }
        snapshot
    }

    /// Reads the objects of a text, which `file` is the name of.
    pub fn read(&mut self, file: &str, text: &str) {
        _ = self.read_text(file, text, false);
    }

    fn read_file(&mut self, path: &Path, of_directory: bool) {
        match fs::read(path) {
            Ok(octets) => match String::from_utf8(octets) {
                Ok(text) => _ = self.read_text(&path.display().to_string(), &text, of_directory),
                Err(error) => {
                    let at = error.utf8_error().valid_up_to();
                    let message = format!("not UTF-8 from octet {at} on: expected a text file");
                    self.say(Fault::error(path.display().to_string(), message));
                }
            },
            Err(error) => self.unreadable(path, &error),
        }
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error) {
        let message = match error.kind() {
            io::ErrorKind::NotFound => {
                "there is no such file or directory; give the path of one, from the current folder".to_owned()
            }
            io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
            _ => format!("cannot be read: {error}"),
        };
        self.say(Fault::error(path.display().to_string(), message));
    }

    /// Reads a text, where not everything has to be an object if it is `of_directory`. Whether all of it is
    /// YAML.
    pub(crate) fn read_text(&mut self, file: &str, text: &str, of_directory: bool) -> bool {
        let (documents, faults) = yaml::parse(file, text);
        let whole = faults.iter().all(|fault| fault.severity != Severity::Error);
        faults.into_iter().for_each(|fault| self.say(fault));
        for document in documents {
            let document = Arc::new(document);
            self.add(&document.value, &document, "", None, of_directory);
        }
        whole
    }

    /// Adds the object at a path of a document, or what is in it if it is a list. Items of a typed list
    /// need not say what they are: `inherited` does.
    fn add(
        &mut self,
        value: &Value,
        document: &Arc<Document>,
        path: &str,
        inherited: Option<(&str, &str)>,
        of_directory: bool,
    ) {
        let origin = Origin::document(Arc::clone(document), path);
        let text = |name| value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (version, kind) = match (text("apiVersion"), text("kind"), inherited) {
            (Some(version), Some(kind), _) | (None, None, Some((version, kind))) => (version, kind),
            (None, None, None) if of_directory => {
                let message = "not a Kubernetes object (neither apiVersion nor kind), passed over";
                self.say(document.fault(Severity::Notice, path, message));
                return;
            }
            (version, kind, _) => {
                let missing = match (version, kind) {
                    (None, None) => "`apiVersion` and `kind`",
                    (None, _) => "`apiVersion`",
                    _ => "`kind`",
                };
                let message = format!("expected a Kubernetes object, found nothing under {missing}");
                self.say(document.fault(Severity::Error, path, message));
                return;
            }
        };
        let Err(origin) = self.add_value(value, version, kind, origin) else { return };
        match value.get("items") {
            Some(Value::Array(items)) if kind.ends_with("List") => {
                let of = kind.strip_suffix("List").filter(|of| !of.is_empty()).map(|of| (version, of));
                for (index, item) in items.iter().enumerate() {
                    let dot = if path.is_empty() { "" } else { "." };
                    self.add(item, document, &format!("{path}{dot}items[{index}]"), of, false);
                }
            }
            _ => {
                self.pass_over_one(version, kind, name_of(value), origin);
            }
        }
    }
}

fn manifests_in(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if matches!(extension, Some("yaml" | "yml" | "json")) && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
