//! SIGTERM and SIGINT end a program, SIGHUP has it read its files again.

use std::{
    sync::mpsc::{Receiver, channel},
    thread,
};

use anyhow::{Context as _, Result};
use async_signal::{Signal, Signals};
use smol::stream::StreamExt as _;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Read the file again.
    Reload,
    /// End in order.
    End,
}

/// Watches from now on. Who asks for the end twice gets it at once.
pub(crate) fn watch() -> Result<Receiver<Asked>> {
    let (asked, answers) = channel();
    watch_with(move |what| asked.send(what).is_ok())?;
    Ok(answers)
}

/// The same, where somebody is told, until it does not want to be any more.
pub(crate) fn watch_with(mut tell: impl FnMut(Asked) -> bool + Send + 'static) -> Result<()> {
    let mut signals =
        Signals::new([Signal::Term, Signal::Int, Signal::Hup]).context("cannot watch signals")?;
    let watch = move || {
        let mut ending = false;
        while let Some(signal) = smol::block_on(signals.next()) {
            let what = match signal {
                Ok(Signal::Hup) => Asked::Reload,
                // 128 and its number, as a shell has it.
                Ok(signal) if ending => std::process::exit(if signal == Signal::Int { 130 } else { 143 }),
                Ok(_) => Asked::End,
                Err(_) => continue,
            };
            ending |= what == Asked::End;
            if !tell(what) && !ending {
                return;
            }
        }
    };
    thread::Builder::new().name("signals".into()).spawn(watch).context("cannot start a thread")?;
    Ok(())
}
