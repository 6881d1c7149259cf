//! What a source of files holds, as one look after another finds it, and the [`Snapshot`] of what is in
//! use: pure, so that every way a directory can change is a row in a table.
//!
//! A file that stops being readable takes nothing away. Whatever it said when it was last whole stays in
//! use, with a fault that says so, until the file is good again or gone:
//!
//! | the file now | what is in use of it |
//! |---|---|
//! | is good | what it says |
//! | is gone | nothing |
//! | is no YAML, empty, or cannot be read | what it said when it was last good |
//! | is new, and part of it is no YAML | the documents that are |
//! | has a faulty object, or something that is none | the object as it last was; the others as they are |
//!
//! A directory that is away, or is back and still empty, changes nothing either. Of one that is back without
//! some of its files those stay in use, until two looks in a row have found the same: it may be filled
//! right now.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use crate::{Fault, Severity, Snapshot};

/// Faults of one file that are kept; nobody reads more of them.
const MAX_FAULTS: usize = 100;

/// One look at a source.
#[derive(Debug)]
pub enum Look<I> {
    /// It cannot be looked at: why, and what helps.
    Absent(String),
    /// Its files: the name of each, and its text or why it cannot be read. A file that is not among them
    /// is not there any more.
    Files(I),
}

/// The files of a source.
#[derive(Clone, Debug, Default)]
pub struct Store {
    name: String,
    files: BTreeMap<String, Entry>,
    absent: Option<String>,
    /// What the last look found in a directory that is back and lacks files.
    back: Option<BTreeSet<String>>,
}

/// One file.
#[derive(Clone, Debug, Default)]
struct Entry {
    /// Of the text that was read last; `None`: it could not be read.
    digest: Option<u64>,
    /// What is in use of it, without faults.
    used: Snapshot,
    /// What is to be said about it as it is now.
    faults: Vec<Fault>,
}

impl Store {
    /// An empty one; the name is the directory's, for faults.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Takes in one look. Whether anything differs from the one before.
    pub fn look<I>(&mut self, look: Look<I>) -> bool
    where
        I: IntoIterator<Item = (String, Result<String, String>)>,
    {
        match look {
            Look::Absent(why) => {
                self.back = None;
                self.say_absent(why)
            }
            Look::Files(files) => {
                let mut before = std::mem::take(&mut self.files);
                let mut changed = false;
                for (name, found) in files {
                    let mut entry = before.remove(&name).unwrap_or_else(|| {
                        changed = true;
                        Entry::default()
                    });
                    changed |= match found {
                        Ok(text) => entry.read(&name, &text),
                        Err(why) => entry.unreadable(&name, why),
                    };
                    self.files.insert(name, entry);
                }
                if self.absent.is_some() && !before.is_empty() {
                    let found: BTreeSet<String> = self.files.keys().cloned().collect();
                    let is_settled =
                        !changed && !found.is_empty() && self.back.as_ref().is_some_and(|it| *it == found);
                    if !is_settled {
                        // Made again, and not filled yet: no reason to end every session.
                        let why = lacks(&before, found.is_empty());
                        self.files.append(&mut before);
                        self.back = Some(found);
                        return self.say_absent(why) | changed;
                    }
                }
                self.back = None;
                changed |= !before.is_empty();
                changed | self.absent.take().is_some()
            }
        }
    }

    /// Takes in why not all of it is there; whether that is news.
    fn say_absent(&mut self, why: String) -> bool {
        let is_news = self.absent.as_ref() != Some(&why);
        self.absent = Some(why);
        is_news
    }

    /// Whether another look is wanted soon: the directory is back and may be filled right now, and the next
    /// look that finds the same as the last one believes it.
    pub fn is_unsettled(&self) -> bool {
        self.back.as_ref().is_some_and(|found| !found.is_empty())
    }

    /// The names of the files, in order.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// What is in use of all files, in order of their names, and what is to be said about them. Of an
    /// object in two files the first is used; the fault names both.
    pub fn snapshot(&self) -> Snapshot {
        let mut whole = Snapshot::new();
        if let Some(why) = &self.absent {
            whole.say(Fault::error(&self.name, format!("{why}; what it held last stays in use")));
        }
        for entry in self.files.values() {
            entry.faults.iter().for_each(|fault| whole.say(fault.clone()));
            whole.merge(&entry.used);
        }
        whole
    }
}

impl Entry {
    /// Takes in its text; whether anything changes.
    fn read(&mut self, name: &str, text: &str) -> bool {
        let digest = digest(text);
        if self.digest.replace(digest) == Some(digest) {
            return false;
        }
        if text.trim().is_empty() && !self.used.is_empty() {
            // Cut off to be written anew, most likely.
            let why = "is empty; delete the file to take its objects away";
            self.keep(vec![Fault::error(name, why)], name);
            return true;
        }
        let mut new = Snapshot::new();
        // In a folder other things may lie about, but not where an object was.
        let whole = new.read_text(name, text, self.used.is_empty());
        let mut faults = new.take_faults();
        let many = faults.len();
        if many > MAX_FAULTS {
            // Errors first: they are what has to be mended.
            faults.sort_by_key(|fault| std::cmp::Reverse(fault.severity));
            faults.truncate(MAX_FAULTS);
            // About no object in particular: none goes that may be meant.
            faults.push(Fault::error(name, format!("and {} more faults", many - MAX_FAULTS)));
        }
        if !whole && !self.used.is_empty() {
            faults.retain(|fault| fault.severity == Severity::Error);
            self.keep(faults, name);
            return true;
        }
        let kept = new.fill_from(&self.used, &faults);
        if !kept.is_empty() {
            faults.push(stays(name, &kept));
        }
        (self.used, self.faults) = (new, faults);
        true
    }

    /// Takes in that it cannot be read; whether that is news.
    fn unreadable(&mut self, name: &str, why: String) -> bool {
        self.digest = None;
        let before = std::mem::take(&mut self.faults);
        self.keep(vec![Fault::error(name, why)], name);
        self.faults != before
    }

    /// Leaves in use what is in use.
    fn keep(&mut self, mut faults: Vec<Fault>, name: &str) {
        let used = self.used.objects();
        if !used.is_empty() {
            faults.push(stays(name, &used));
        }
        self.faults = faults;
    }
}

/// Says what a directory that is back lacks.
fn lacks(missing: &BTreeMap<String, Entry>, is_empty: bool) -> String {
    if is_empty {
        return "is back and holds no *.yaml, *.yml or *.json file yet".to_owned();
    }
    let told: Vec<&str> = missing.keys().map(String::as_str).take(8).collect();
    let untold = missing.len() - told.len();
    let more = if untold == 0 { String::new() } else { format!(" and {untold} more") };
    format!("is back without {}{more}, so far", told.join(", "))
}

/// Says which objects are in use although their file is not good.
fn stays(name: &str, objects: &[String]) -> Fault {
    let (told, untold) = objects.split_at(objects.len().min(8));
    let more = if untold.is_empty() { String::new() } else { format!(" and {} more", untold.len()) };
    let verb = if objects.len() == 1 { "stays" } else { "stay" };
    let message = format!("{}{more} {verb} in use as last good", told.join(", "));
    Fault { severity: Severity::Notice, ..Fault::error(name, message) }
}

/// Two texts with the same one are the same: whoever can write the files needs no collision.
fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
