//! Long work in slices: what concerns every prefix of the table is done some prefixes at a time.

use alloc::{collections::VecDeque, vec::Vec};

use super::{Plane, Rib, Shared, table::Address};

/// Work that walks all ids of both families.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Task {
    /// These sources are gone.
    Forget(Vec<u16>),
    /// A source's import policy is another one. `touch`: its routes are to be looked at again by who
    /// follows the table.
    Reimport { source: u16, touch: bool },
    /// Next hops came or went.
    Redecide,
}

#[derive(Clone, Debug)]
struct Job {
    task: Task,
    /// The next id in the first family, then in the second.
    next: [u32; 2],
}

/// What is still to be done. One walk serves all sources that are gone when it starts; work that is asked
/// for again while it is under way is done once more after that, so that steady asking starves nobody.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    queue: VecDeque<Job>,
}

impl Jobs {
    pub(super) fn forget(&mut self, gone: u16) {
        // A source that goes needs no other work.
        self.queue.retain(|job| !matches!(job.task, Task::Reimport { source, .. } if source == gone));
        for job in self.queue.iter_mut().filter(|job| job.next == [0; 2]) {
            if let Task::Forget(sources) = &mut job.task {
                return sources.push(gone);
            }
        }
        self.queue.push_back(Job { task: Task::Forget(Vec::from([gone])), next: [0; 2] });
    }

    pub(super) fn reimport(&mut self, source: u16, touch: bool) {
        self.request(Task::Reimport { source, touch });
    }

    pub(super) fn redecide(&mut self) {
        self.request(Task::Redecide);
    }

    fn request(&mut self, task: Task) {
        if !self.queue.iter().any(|job| job.task == task && job.next == [0; 2]) {
            self.queue.push_back(Job { task, next: [0; 2] });
        }
    }
}

impl Rib {
    /// Does up to `budget` steps; `true`: more is waiting.
    pub(crate) fn work(&mut self, budget: usize) -> bool {
        let mut left = budget;
        while let Some(Job { task, next: [v4, v6] }) = self.jobs.queue.front_mut() {
            let done = slice(&mut self.v4, &mut self.shared, task, v4, &mut left)
                && slice(&mut self.v6, &mut self.shared, task, v6, &mut left);
            if !done {
                return true;
            }
            if let Task::Forget(sources) = task {
                sources.iter().for_each(|&source| self.shared.sources.remove(source));
            }
            self.jobs.queue.pop_front();
        }
        false
    }

    /// Whether [`Rib::work`] has anything to do.
    pub(crate) fn has_work(&self) -> bool {
        !self.jobs.queue.is_empty()
    }
}

/// Walks on in one family; whether it reached the end.
fn slice<A: Address>(
    plane: &mut Plane<A>,
    shared: &mut Shared,
    task: &Task,
    next: &mut u32,
    left: &mut usize,
) -> bool {
    while *next < plane.table.bound() {
        if *left == 0 {
            return false;
        }
        *left -= 1;
        let id = *next;
        *next += 1;
        match task {
            Task::Forget(_) => plane.sweep(shared, id),
            Task::Reimport { source, touch } => plane.reimport(shared, *source, *touch, id),
            Task::Redecide => plane.redecide(shared, id),
        }
    }
    true
}
