//! Long work in slices: what concerns every prefix of the table is done some prefixes at a time.

use alloc::collections::VecDeque;

use super::{Plane, Rib, Shared, table::Address};

/// Work that walks all ids of both families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    /// A source is gone.
    Forget(u16),
    /// A source's import policy is another one.
    Reimport(u16),
    /// Whom a source's routes are sent on to is another question now.
    Resend(u16),
    /// Next hops came or went.
    Redecide,
}

#[derive(Clone, Copy, Debug)]
struct Job {
    task: Task,
    /// The next id in the first family, then in the second.
    next: [u32; 2],
}

/// What is still to be done.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    queue: VecDeque<Job>,
}

impl Jobs {
    pub(super) fn forget(&mut self, source: u16) {
        // A source that goes needs no other work.
        self.queue.retain(|job| job.task != Task::Reimport(source) && job.task != Task::Resend(source));
        self.queue.push_back(Job { task: Task::Forget(source), next: [0; 2] });
    }

    pub(super) fn reimport(&mut self, source: u16) {
        self.restart(Task::Reimport(source));
    }

    pub(super) fn resend(&mut self, source: u16) {
        self.restart(Task::Resend(source));
    }

    pub(super) fn redecide(&mut self) {
        self.restart(Task::Redecide);
    }

    /// Work that is under way and has to be done again starts again: it is never queued twice.
    fn restart(&mut self, task: Task) {
        self.queue.retain(|job| job.task != task);
        self.queue.push_back(Job { task, next: [0; 2] });
    }
}

impl Rib {
    /// Does up to `budget` steps; `true`: more is waiting.
    pub(crate) fn work(&mut self, budget: usize) -> bool {
        let mut left = budget;
        while let Some(job) = self.jobs.queue.front_mut() {
            let [v4, v6] = &mut job.next;
            let done = slice(&mut self.v4, &mut self.shared, job.task, v4, &mut left)
                && slice(&mut self.v6, &mut self.shared, job.task, v6, &mut left);
            if !done {
                return true;
            }
            if let Task::Forget(source) = job.task {
                self.shared.sources.remove(source);
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
    task: Task,
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
            Task::Forget(source) => plane.sweep(shared, source, id),
            Task::Reimport(source) => plane.reimport(shared, source, id),
            Task::Resend(source) => plane.resend(source, id),
            Task::Redecide => plane.redecide(shared, id),
        }
    }
    true
}
