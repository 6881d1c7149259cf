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

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader},
        process::{Command, Stdio},
    };

    use super::*;

    /// What a child of [`a_second_signal_ends_a_program_that_does_not_end`] is known by.
    const CHILD: &str = "PEERAGE_TEST_SIGNALS";

    #[test]
    fn a_second_signal_ends_a_program_that_does_not_end() {
        if std::env::var_os(CHILD).is_some() {
            // This is the program: it takes no notice of being asked.
            let asked = watch().unwrap();
            eprintln!("watches");
            loop {
                eprintln!("{:?}", asked.recv_timeout(std::time::Duration::from_secs(60)).unwrap());
            }
        }
        let name = "daemon::signals::tests::a_second_signal_ends_a_program_that_does_not_end";
        for (signals, code) in [
            (["-TERM", "-TERM"], 143),
            (["-TERM", "-INT"], 130),
            (["-INT", "-INT"], 130),
            (["-INT", "-TERM"], 143),
        ] {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", name, "--nocapture"])
                .env(CHILD, "")
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let pid = child.id().to_string();
            let signal =
                |name: &str| assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
            let lines = BufReader::new(child.stderr.take().unwrap()).lines();
            // Its end ends them, too.
            for line in lines.map_while(Result::ok) {
                match line.as_str() {
                    "watches" => signal("-HUP"),
                    "Reload" => signal(signals[0]),
                    "End" => signal(signals[1]),
                    _ => {}
                }
            }
            assert_eq!(child.wait().unwrap().code(), Some(code), "{signals:?}");
        }
    }
}
