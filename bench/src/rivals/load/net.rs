//! All peers, driven by one epoll.

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::{
    buffer::spare_capacity,
    event::{
        Timespec,
        epoll::{self, CreateFlags, EventData, EventFlags},
    },
    io::Errno,
};

use super::{
    expect::Expect,
    peer::{Peer, Role},
    receiver::Receiver,
};

const BUFFER: usize = 128 * 1024;
/// How often timers are looked at.
const TICK: Duration = Duration::from_millis(20);

/// All peers of the speaker under test.
pub(crate) struct Net {
    pub(crate) expect: Expect,
    pub(crate) peers: Vec<Peer>,
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    /// Which of them wait for their socket to take more.
    blocked: Vec<bool>,
    buffer: Vec<u8>,
    next_tick: Instant,
}

impl Net {
    pub(crate) fn new(expect: Expect, peers: Vec<Peer>) -> Result<Self> {
        Ok(Self {
            expect,
            blocked: vec![false; peers.len()],
            peers,
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(256),
            buffer: vec![0; BUFFER],
            next_tick: Instant::now(),
        })
    }

    pub(crate) fn receivers(&self) -> impl Iterator<Item = &Receiver> {
        self.peers.iter().filter_map(|peer| match &peer.role {
            Role::Receiver(receiver) => Some(receiver),
            Role::Sender => None,
        })
    }

    pub(crate) fn receivers_mut(&mut self) -> impl Iterator<Item = &mut Receiver> {
        self.peers.iter_mut().filter_map(|peer| match &mut peer.role {
            Role::Receiver(receiver) => Some(receiver),
            Role::Sender => None,
        })
    }

    /// The last time that any receiver was told of a prefix.
    pub(crate) fn last_heard(&self) -> Option<Instant> {
        self.receivers().filter_map(|receiver| receiver.last_heard).max()
    }

    /// Writes what a peer was given, as far as that goes.
    pub(crate) fn write(&mut self, index: usize) -> Result<()> {
        self.peers[index].write()?;
        let Some(stream) = self.peers[index].stream() else { return Ok(()) };
        let blocked = self.peers[index].is_writing();
        if blocked != self.blocked[index] {
            self.blocked[index] = blocked;
            let flags = if blocked { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            epoll::modify(&self.epoll, stream, EventData::new_u64(index as u64), flags)?;
        }
        Ok(())
    }

    /// Waits for something to happen, at most so long, and deals with it.
    pub(crate) fn poll(&mut self, at_most: Duration) -> Result<()> {
        let now = Instant::now();
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            self.tick(now)?;
        }
        let timeout = Timespec { tv_sec: 0, tv_nsec: at_most.min(TICK).as_nanos() as _ };
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for at in 0..self.events.len() {
            let epoll::Event { flags, data } = self.events[at];
            let index = data.u64() as usize;
            if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                self.peers[index].read(&mut self.buffer, &self.expect)?;
            }
            // Reading may have given it something to say.
            if self.peers[index].is_writing() {
                self.write(index)?;
            }
        }
        Ok(())
    }

    fn tick(&mut self, now: Instant) -> Result<()> {
        for index in 0..self.peers.len() {
            if self.peers[index].tick(now)? {
                let stream = self.peers[index].stream().context("a stream")?;
                epoll::add(&self.epoll, stream, EventData::new_u64(index as u64), EventFlags::IN)?;
                self.blocked[index] = false;
            }
            if self.peers[index].is_writing() {
                self.write(index)?;
            }
        }
        Ok(())
    }

    /// Polls until something holds.
    ///
    /// # Errors
    /// If it does not by `deadline`.
    pub(crate) fn until(
        &mut self,
        what: &str,
        deadline: Instant,
        mut holds: impl FnMut(&Self) -> bool,
    ) -> Result<()> {
        while !holds(self) {
            if Instant::now() > deadline {
                let counts: Vec<(usize, usize)> = self.receivers().map(|it| (it.count, it.best)).collect();
                bail!(
                    "waited in vain for {what}; receivers hold so many prefixes, so many by the best path: {counts:?}"
                );
            }
            self.poll(TICK)?;
        }
        Ok(())
    }
}
