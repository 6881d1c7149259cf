//! Writing to a connection: by its task, or by whoever has just read what it is to be told.
//!
//! A message that comes in and goes out to a few neighbours is written on the spot. Waking their tasks for
//! it would cost more than all the work on it.

use std::{collections::VecDeque, fmt, io, sync::Arc};

use bytes::Bytes;

use crate::{
    Connection, Driver, Host,
    driver::{CHUNK, lock},
};

/// Writes to a socket, never waits.
pub type Write = Box<dyn Fn(&[u8]) -> io::Result<usize> + Send>;

/// Connections that are written to on the spot; more are left to their tasks, where what comes meanwhile
/// goes along.
pub(crate) const ON_THE_SPOT: usize = 4;

/// What to do after [`Driver::flush`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// There is more: flush again after others had their turn.
    More,
    /// Wait until the socket takes something.
    Blocked,
    /// All is written: [`Connection::writable`] says when there is something again.
    Idle,
}

/// Where a connection's octets go.
#[derive(Default)]
pub(crate) struct Outlet {
    /// Gone before the socket is.
    pub(crate) write: Option<Write>,
    /// Given out by the speaker and not written.
    pending: VecDeque<Bytes>,
}

impl Outlet {
    /// Writes what is pending; `false`: the socket takes no more.
    fn drain(&mut self) -> io::Result<bool> {
        let write = self.write.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        while let Some(octets) = self.pending.front_mut() {
            match write(octets) {
                Ok(len) if len < octets.len() => drop(octets.split_to(len)),
                Ok(_) => _ = self.pending.pop_front(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlet").field("pending", &self.pending.len()).finish_non_exhaustive()
    }
}

impl<H: Host> Driver<H> {
    /// Writes what there is to write to a connection, a chunk of it at most.
    ///
    /// # Errors
    /// If the socket has failed.
    pub fn flush(self: &Arc<Self>, connection: &Connection) -> io::Result<Flushed> {
        self.flush_outlet(connection, &mut lock(connection.outlet()))
    }

    /// The same where nobody waits for the result. What cannot be written now is the task's.
    pub(crate) fn flush_now(self: &Arc<Self>, connection: &Connection) {
        let flushed = match connection.outlet().try_lock() {
            Ok(mut outlet) if outlet.write.is_some() => self.flush_outlet(connection, &mut outlet).ok(),
            _ => None,
        };
        if flushed != Some(Flushed::Idle) {
            connection.wake_writable();
        }
    }

    fn flush_outlet(self: &Arc<Self>, connection: &Connection, outlet: &mut Outlet) -> io::Result<Flushed> {
        if !outlet.drain()? {
            return Ok(Flushed::Blocked);
        }
        let more = self.with(|speaker, now| {
            let mut len = 0;
            while let Some(octets) = speaker.poll_transmit(now, connection.id(), CHUNK) {
                len += octets.len();
                outlet.pending.push_back(octets);
                // Half a chunk is worth a system call, and others want the lock.
                if len > CHUNK / 2 {
                    return true;
                }
            }
            false
        });
        if !outlet.pending.is_empty() {
            connection.note_written();
        }
        Ok(match (outlet.drain()?, more) {
            (false, _) => Flushed::Blocked,
            (true, true) => Flushed::More,
            (true, false) => Flushed::Idle,
        })
    }
}
