//! Waking a task, on whatever runtime it runs: the flags are the caller's, this only wakes.

use std::{
    future::poll_fn,
    sync::{Mutex, PoisonError},
    task::{Poll, Waker},
};

use smallvec::SmallVec;

/// Who waits for a condition that someone else makes true.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    /// Mostly one task waits.
    wakers: Mutex<SmallVec<[Waker; 2]>>,
}

impl Signal {
    /// Wakes everyone who waits, to look at their conditions again. Call it after making one true.
    pub(crate) fn notify(&self) {
        let wakers = std::mem::take(&mut *self.wakers.lock().unwrap_or_else(PoisonError::into_inner));
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until `ready` returns something.
    pub(crate) async fn wait<T>(&self, mut ready: impl FnMut() -> Option<T>) -> T {
        poll_fn(|context| {
            if let Some(value) = ready() {
                return Poll::Ready(value);
            }
            {
                let mut wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
                // One task may wait for several conditions, and poll often: one waker does for all.
                if !wakers.iter().any(|waker| waker.will_wake(context.waker())) {
                    wakers.push(context.waker().clone());
                }
            }
            // What became true between the look and the registration woke nobody.
            ready().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::{Context, Wake},
    };

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_waiter_is_woken_once_however_often_it_was_polled() {
        let signal = Signal::default();
        let ready = AtomicUsize::new(0);
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        let mut wait = Box::pin(signal.wait(|| (ready.load(Ordering::SeqCst) == 1).then_some(7)));

        assert!(wait.as_mut().poll(&mut context).is_pending());
        assert!(wait.as_mut().poll(&mut context).is_pending());
        signal.notify();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);

        assert!(wait.as_mut().poll(&mut context).is_pending());
        ready.store(1, Ordering::SeqCst);
        signal.notify();
        assert_eq!(count.0.load(Ordering::SeqCst), 2);
        assert_eq!(wait.as_mut().poll(&mut context), Poll::Ready(7));
    }

    #[test]
    fn what_becomes_true_while_registering_is_seen() {
        let signal = Signal::default();
        let mut looks = 0;
        let mut wait = Box::pin(signal.wait(|| {
            looks += 1;
            (looks == 2).then_some(())
        }));
        assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    }
}
