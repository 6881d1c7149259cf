//! A hash over everything that goes into speakers and comes out of them, in order.

use core::fmt::{self, Write};

/// The hash so far.
#[derive(Clone, Debug)]
pub(crate) struct Transcript {
    hash: u64,
    entries: u64,
    /// With `PEERAGE_SIM_TRACE` set, entries are printed too.
    print: bool,
}

impl Transcript {
    pub(crate) fn new() -> Self {
        Self {
            hash: 0xCBF2_9CE4_8422_2325,
            entries: 0,
            print: std::env::var_os("PEERAGE_SIM_TRACE").is_some(),
        }
    }

    /// Adds octets.
    pub(crate) fn octets(&mut self, octets: &[u8]) {
        let mut chunks = octets.chunks_exact(8);
        for chunk in &mut chunks {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            self.word(u64::from_be_bytes(word));
        }
        for &octet in chunks.remainder() {
            self.word(u64::from(octet));
        }
        self.word(octets.len() as u64);
    }

    /// Adds a line of text.
    pub(crate) fn entry(&mut self, entry: fmt::Arguments<'_>) {
        self.entries += 1;
        if self.print {
            eprintln!("{entry}");
        }
        let _ = self.write_fmt(entry);
        self.word(0xA);
    }

    /// The hash.
    pub(crate) const fn hash(&self) -> u64 {
        self.hash ^ self.entries
    }

    const fn word(&mut self, word: u64) {
        self.hash = (self.hash.rotate_left(5) ^ word).wrapping_mul(0x517C_C1B7_2722_0A95);
    }
}

impl Write for Transcript {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.octets(text.as_bytes());
        Ok(())
    }
}
