//! Running a test over many seeds, and one of them again.

/// How many cases to run where `base` is the usual number: `PEERAGE_SIM_CASES` is a factor, such as `10`
/// or `0.5`. One at least.
pub fn scaled(base: u64) -> u64 {
    let factor =
        std::env::var("PEERAGE_SIM_CASES").ok().and_then(|text| text.parse::<f64>().ok()).unwrap_or(1.0);
    ((base as f64 * factor) as u64).max(1)
}

/// Calls `case` with [`scaled`]`(base)` seeds; with `PEERAGE_SIM_SEED` set, with that one only. A panic in
/// `case` is followed by the seed and by how to run it again.
pub fn cases(base: u64, mut case: impl FnMut(u64)) {
    if let Some(seed) = std::env::var("PEERAGE_SIM_SEED").ok().and_then(|text| text.parse().ok()) {
        let _report = Report(seed);
        return case(seed);
    }
    for number in 0..scaled(base) {
        // Spread out, so that neighbouring cases share nothing.
        let seed = crate::Rng::new(number).word() >> 16;
        let report = Report(seed);
        case(seed);
        drop(report);
    }
}

/// Prints its seed when it is dropped by a panic.
pub(crate) struct Report(pub(crate) u64);

impl Drop for Report {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let test = std::thread::current().name().unwrap_or("TEST").to_owned();
            eprintln!(
                "seed {0}: run again with PEERAGE_SIM_SEED={0} cargo test -p peerage-sim {test}",
                self.0
            );
        }
    }
}
