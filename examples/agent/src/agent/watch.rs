//! Who is told that something in a directory may have changed.
//!
//! On Linux by inotify, through rustix: the crate is here already, its interface is safe, and what is left of
//! a watching library when every hint leads to a whole new look is these few lines. A hint is only a hint.
//! Whoever watches looks from time to time as well, so a lost one, a queue that ran over and a file system
//! that gives none (NFS) cost time and nothing else.

#[cfg(target_os = "linux")]
pub(super) use linux::Watch;
#[cfg(not(target_os = "linux"))]
pub(super) use nothing::Watch;

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        mem::MaybeUninit,
        os::{fd::OwnedFd, unix::fs::MetadataExt as _},
        path::Path,
        sync::Arc,
        thread,
    };

    use rustix::{
        fs::inotify::{self, CreateFlags, Reader, WatchFlags},
        io::Errno,
    };

    /// Everything that writing, renaming, deleting and mounting do to a directory's files.
    const WHAT: WatchFlags = WatchFlags::CREATE
        .union(WatchFlags::DELETE)
        .union(WatchFlags::MOVED_FROM)
        .union(WatchFlags::MOVED_TO)
        .union(WatchFlags::MODIFY)
        .union(WatchFlags::CLOSE_WRITE)
        .union(WatchFlags::ATTRIB)
        .union(WatchFlags::DELETE_SELF)
        .union(WatchFlags::MOVE_SELF)
        .union(WatchFlags::ONLYDIR);

    /// Hints about one directory, whichever is at its path.
    #[derive(Debug)]
    pub(in crate::agent) struct Watch {
        queue: Result<Arc<OwnedFd>, Errno>,
        /// Device and inode of what is watched, and its number there.
        watched: Option<((u64, u64), i32)>,
    }

    impl Watch {
        /// Calls `hint` whenever something may have changed, until it does not want to know.
        pub(in crate::agent) fn start(hint: impl Fn() -> bool + Send + 'static) -> Self {
            let queue = inotify::init(CreateFlags::CLOEXEC).map(Arc::new);
            if let Ok(queue) = &queue {
                let queue = Arc::clone(queue);
                // Without this thread there are no hints, and looks still happen.
                _ = thread::Builder::new().name("inotify".into()).spawn(move || read(&queue, &hint));
            }
            Self { queue, watched: None }
        }

        /// Watches what is at `path` now. Why it cannot, where it cannot.
        pub(in crate::agent) fn renew(&mut self, path: &Path) -> Result<(), String> {
            let queue = self.queue.as_ref().map_err(|error| explain(*error))?;
            let now = identity(path);
            // What is not there is for the next look to say.
            let added = now.map(|identity| (identity, inotify::add_watch(queue, path, WHAT)));
            let (watched, result) = match added {
                // Again for the same directory, that is the same number. An inode alone says nothing: another
                // directory may have got it.
                Some((identity, Ok(number))) => (Some((identity, number)), Ok(())),
                None | Some((_, Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS))) => (None, Ok(())),
                Some((_, Err(error))) => (None, Err(explain(error))),
            };
            let old = std::mem::replace(&mut self.watched, watched);
            if let Some((_, number)) = old
                && self.watched.is_none_or(|(_, now)| now != number)
            {
                // It went with its directory, most likely.
                _ = inotify::remove_watch(queue, number);
            }
            result
        }

        /// Whether something else is at `path` than what is watched.
        pub(in crate::agent) fn is_stale(&self, path: &Path) -> bool {
            identity(path) != self.watched.map(|(identity, _)| identity)
        }
    }

    fn identity(path: &Path) -> Option<(u64, u64)> {
        std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
    }

    fn explain(error: Errno) -> String {
        let remedy = match error {
            Errno::NOSPC => "; raise fs.inotify.max_user_watches",
            Errno::MFILE => "; raise fs.inotify.max_user_instances",
            _ => "",
        };
        format!("inotify does not watch it ({error}{remedy}): it is looked at every second instead")
    }

    /// Reads events and passes on that there are some; an overflow is one of them.
    fn read(queue: &OwnedFd, hint: &dyn Fn() -> bool) {
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        let mut reader = Reader::new(queue, &mut buffer);
        loop {
            match reader.next() {
                Ok(_) => {
                    if !hint() {
                        return;
                    }
                }
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use std::{fs, sync::mpsc::channel, time::Duration};

        use super::*;

        #[test]
        fn a_directory_with_the_inode_of_the_one_before_is_watched() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("watched");
            let (hint, hints) = channel();
            let mut watch = Watch::start(move || hint.send(()).is_ok());
            for _ in 0..20 {
                fs::create_dir(&path).unwrap();
                watch.renew(&path).unwrap();
                watch.renew(&path).unwrap();
                assert!(!watch.is_stale(&path));
                fs::remove_dir(&path).unwrap();
                fs::create_dir(&path).unwrap();
                // Most file systems give the inode again, and then only this tells them apart.
                watch.renew(&path).unwrap();
                // Hints about what was before are none about the file.
                while hints.recv_timeout(Duration::from_millis(20)).is_ok() {}
                fs::write(path.join("a.yaml"), "").unwrap();
                hints.recv_timeout(Duration::from_secs(30)).unwrap();
                fs::remove_dir_all(&path).unwrap();
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod nothing {
    use std::path::Path;

    /// No hints.
    #[derive(Debug)]
    pub(in crate::agent) struct Watch;

    impl Watch {
        pub(in crate::agent) fn start(_hint: impl Fn() -> bool + Send + 'static) -> Self {
            Self
        }

        pub(in crate::agent) fn renew(&mut self, _path: &Path) -> Result<(), String> {
            Err("this system has no inotify: it is looked at every second instead".into())
        }

        pub(in crate::agent) fn is_stale(&self, _path: &Path) -> bool {
            true
        }
    }
}
