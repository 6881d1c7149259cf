//! The directory as a source: a thread of its own looks when something may have changed, and gives the
//! newest [`Snapshot`] to whoever takes it.
//!
//! A disk that hangs stops this thread and nothing else.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use peerage_kubernetes::{Fault, Severity, Snapshot, Store};

use super::{directory, watch::Watch};

/// Time between two looks that nobody asked for, while hints come.
const PERIOD: Duration = Duration::from_secs(10);
/// The same where none can come.
const PERIOD_BLIND: Duration = Duration::from_secs(1);
/// How often it is found out whether another directory is at the path.
const CHECK: Duration = Duration::from_secs(1);
/// Such looks take one part in so many of the time.
const SHARE: u32 = 100;
/// A file that is written all the time is looked at after so many times the debounce time.
const MOST: u32 = 10;

/// What a look found.
#[derive(Debug)]
pub(super) struct Found {
    /// The objects in use.
    pub(super) snapshot: Snapshot,
    /// The names of the files.
    pub(super) files: BTreeSet<String>,
    /// What is to be said about the source itself.
    pub(super) notes: Vec<Fault>,
    /// Whether somebody asked for it.
    pub(super) asked: bool,
}

/// What the source tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// There is something to take.
    Found,
    /// Nothing will come any more, and why.
    Ended(String),
}

/// The source as the rest sees it.
#[derive(Debug)]
pub(super) struct Source {
    newest: Arc<Mutex<Option<Found>>>,
    asked: Arc<AtomicBool>,
    hint: SyncSender<()>,
}

impl Source {
    /// Looks for the first time, and from then on when something changes; `tell` says what comes of it, as
    /// long as it wants to know. A directory that cannot be looked at in the beginning is the end.
    pub(super) fn start(
        path: &Path,
        debounce: Duration,
        tell: impl Fn(Told) -> bool + Send + 'static,
    ) -> Result<Self> {
        let (hint, hints) = sync_channel(1);
        let asked = Arc::new(AtomicBool::new(false));
        let newest = Arc::new(Mutex::new(None));
        let hinting = hint.clone();
        // A hint that waits already is as good as another one.
        let watch = Watch::start(move || !matches!(hinting.try_send(()), Err(error) if is_gone(&error)));
        let mut follower = Follower {
            path: path.to_owned(),
            store: Store::new(directory::name(path)),
            watch,
            blind: None,
            debounce,
            hints,
            asked: Arc::clone(&asked),
            newest: Arc::clone(&newest),
        };
        let follow = move || {
            let last = Last(tell);
            // What is written in two pieces never looks whole to the first look: only a directory is asked for.
            if let Err(why) = directory::manifests(&follower.path) {
                last.0(Told::Ended(why));
                return;
            }
            follower.look();
            follower.publish(false);
            if last.0(Told::Found) {
                follower.follow(&|| last.0(Told::Found));
            }
        };
        thread::Builder::new().name("manifests".into()).spawn(follow).context("cannot start a thread")?;
        Ok(Self { newest, asked, hint })
    }

    /// Has it looked at now.
    pub(super) fn ask(&self) {
        self.asked.store(true, Ordering::Release);
        // A hint that waits already does, too.
        _ = self.hint.try_send(());
    }

    /// What was found since it was taken last.
    pub(super) fn take(&self) -> Option<Found> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn is_gone(error: &std::sync::mpsc::TrySendError<()>) -> bool {
    matches!(error, std::sync::mpsc::TrySendError::Disconnected(()))
}

/// Who is told, also of the end if the thread panics: else everything would stay as it is for ever.
struct Last<F: Fn(Told) -> bool>(F);

impl<F: Fn(Told) -> bool> Drop for Last<F> {
    fn drop(&mut self) {
        if thread::panicking() {
            (self.0)(Told::Ended("whoever looks at it has panicked, which is a fault of Peerage".into()));
        }
    }
}

/// The thread that looks.
struct Follower {
    path: PathBuf,
    store: Store,
    watch: Watch,
    /// Why no hints come.
    blind: Option<String>,
    debounce: Duration,
    hints: Receiver<()>,
    asked: Arc<AtomicBool>,
    newest: Arc<Mutex<Option<Found>>>,
}

impl Follower {
    fn follow(&mut self, tell: &dyn Fn() -> bool) {
        let mut next = Instant::now() + PERIOD;
        loop {
            let wait = next.saturating_duration_since(Instant::now()).min(CHECK);
            match self.hints.recv_timeout(wait) {
                Ok(()) => self.settle(),
                Err(RecvTimeoutError::Timeout) if Instant::now() >= next => {}
                Err(RecvTimeoutError::Timeout) if self.blind.is_none() && self.watch.is_stale(&self.path) => {
                    self.settle();
                }
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let asked = self.asked.swap(false, Ordering::AcqRel);
            let begin = Instant::now();
            let changed = self.look();
            let period = if self.blind.is_some() { PERIOD_BLIND } else { PERIOD };
            next = Instant::now() + period.max(begin.elapsed() * SHARE);
            if self.store.is_unsettled() {
                next = Instant::now() + self.debounce.max(begin.elapsed());
            }
            if changed || asked {
                self.publish(asked);
                if !tell() {
                    return;
                }
            }
        }
    }

    /// Waits until nothing has changed for a while, but not for ever, and not for who asked.
    fn settle(&self) {
        let end = Instant::now() + self.debounce * MOST;
        while !self.asked.load(Ordering::Acquire) && Instant::now() < end {
            if self.hints.recv_timeout(self.debounce).is_err() {
                return;
            }
        }
    }

    /// Looks once. The watch comes first: what changes after this look is hinted at.
    fn look(&mut self) -> bool {
        let blind = self.watch.renew(&self.path).err();
        let changed = blind != self.blind;
        self.blind = blind;
        directory::look(&self.path, &mut self.store) | changed
    }

    /// Makes this look the one to be taken.
    fn publish(&self, asked: bool) {
        let note = |why: &String| Fault {
            severity: Severity::Notice,
            ..Fault::error(directory::name(&self.path), why.clone())
        };
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = asked || newest.as_ref().is_some_and(|waiting| waiting.asked);
        *newest = Some(Found {
            snapshot: self.store.snapshot(),
            files: self.store.files().map(str::to_owned).collect(),
            notes: self.blind.iter().map(note).collect(),
            asked,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn a_thread_that_panics_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let (say, said) = channel();
        let tell = move |told| match told {
            Told::Found => panic!("on purpose"),
            Told::Ended(why) => say.send(why).is_ok(),
        };
        let _source = Source::start(folder.path(), Duration::ZERO, tell).unwrap();
        assert!(said.recv_timeout(PATIENCE).unwrap().contains("has panicked"));
    }

    #[test]
    fn a_directory_that_is_not_there_is_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let (say, said) = channel();
        let path = folder.path().join("none");
        let _source = Source::start(&path, Duration::ZERO, move |told| say.send(told).is_ok()).unwrap();
        let told = said.recv_timeout(PATIENCE).unwrap();
        assert!(matches!(told, Told::Ended(why) if why.contains("there is no such directory; make it")));
        assert!(said.recv_timeout(PATIENCE).is_err(), "it has ended");
    }
}
