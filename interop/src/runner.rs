//! Runs cells, a few at once, each in a process and namespaces of its own.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{Read as _, Seek as _},
    path::Path,
    process::ExitCode,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::{Behaviour, Kind, install, namespace, table};

/// Cells that run at once: they mostly wait.
const WORKERS: usize = 4;
/// Of the heavy ones.
const HEAVY_WORKERS: usize = 2;
/// When a cell is given up.
const LIMIT: Duration = Duration::from_secs(240);

/// The `main` of the test: runs what the command line asks for.
pub fn main(behaviours: &[Behaviour]) -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let result = match arguments.iter().position(|it| it == "--cell") {
        Some(at) => cell(behaviours, arguments.get(at + 1).map_or("", String::as_str)),
        None => all(behaviours, &arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Within the namespaces: one cell.
fn cell(behaviours: &[Behaviour], name: &str) -> Result<()> {
    let (behaviour, kind) = cells(behaviours).find(|it| id(*it) == name).context("no such cell")?;
    namespace::prepare()?;
    (behaviour.run)(kind)
}

fn all(behaviours: &[Behaviour], arguments: &[String]) -> Result<()> {
    let has = |flag: &str| arguments.iter().any(|it| it == flag);
    let filters: Vec<&String> = arguments.iter().filter(|it| !it.starts_with('-')).collect();
    let wanted = |cell: Cell<'_>| {
        let name = id(cell);
        filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
    };
    if has("--list") {
        cells(behaviours).filter(|&cell| wanted(cell)).for_each(|cell| println!("{}: test", id(cell)));
        return Ok(());
    }
    let mut missing = Vec::new();
    if has("--install")
        && let Err(error) = install::install(Kind::ALL.into_iter().flat_map(Kind::wanted))
    {
        missing.push(format!("{error:#}"));
    }
    let (cells, left_out) = runnable(cells(behaviours).filter(|&cell| wanted(cell)).collect(), &mut missing);
    for what in &missing {
        println!("\n!!!!!!!! interop: {what} !!!!!!!!\n");
    }
    let start = Instant::now();
    let (heavy, light): (Vec<Cell<'_>>, Vec<Cell<'_>>) = cells.iter().partition(|(it, _)| it.heavy);
    let exe = env::current_exe()?;
    let mut failed = run(&exe, &light, WORKERS);
    failed.extend(run(&exe, &heavy, HEAVY_WORKERS));
    println!(
        "\ninterop: {} passed, {} failed, {left_out} left out, in {:.0} s",
        cells.len() - failed.len(),
        failed.len(),
        start.elapsed().as_secs_f64()
    );
    if !failed.is_empty() {
        bail!("{} failed: {}", failed.len(), failed.into_keys().collect::<Vec<_>>().join(", "));
    }
    if !missing.is_empty() && env::var("CI").is_ok_and(|it| !matches!(it.as_str(), "" | "0" | "false")) {
        bail!("CI runs every cell: {}", missing.join("; "));
    }
    document(behaviours, filters.is_empty() && left_out == 0)
}

/// Writes the page, if it is asked for and all cells have run, and compares it with the one that is there.
fn document(behaviours: &[Behaviour], complete: bool) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/interop.md");
    let page = table::page(behaviours, Kind::version);
    if env::var_os("PEERAGE_INTEROP_WRITE").is_some_and(|it| !it.is_empty()) {
        if !complete {
            bail!("docs/interop.md is written only by a run of every cell");
        }
        fs::write(&path, &page)?;
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    if !table::same_shape(&page, &there) {
        bail!("docs/interop.md says something else: PEERAGE_INTEROP_WRITE=1 writes it anew");
    }
    Ok(())
}

type Cell<'a> = (&'a Behaviour, Kind);

fn id((behaviour, kind): Cell<'_>) -> String {
    format!("{}/{}", behaviour.name, kind.id())
}

fn cells(behaviours: &[Behaviour]) -> impl Iterator<Item = Cell<'_>> {
    behaviours.iter().flat_map(|behaviour| {
        Kind::ALL
            .into_iter()
            .filter(|&kind| (behaviour.cannot)(kind).is_none())
            .map(move |kind| (behaviour, kind))
    })
}

/// The cells that can run on this machine, and how many cannot; why goes to `missing`.
fn runnable<'a>(cells: Vec<Cell<'a>>, missing: &mut Vec<String>) -> (Vec<Cell<'a>>, usize) {
    let total = cells.len();
    if let Some(why) = namespace::unavailable() {
        missing.push(format!("no namespaces here: {why}"));
        return (Vec::new(), total);
    }
    let absent = |kind: &Kind| kind.missing() || (kind.needs_root() && !namespace::is_root());
    for kind in Kind::ALL.iter().filter(|kind| cells.iter().any(|(_, it)| it == *kind) && absent(kind)) {
        let why = if kind.missing() { "is not installed" } else { "needs root" };
        missing.push(format!("{kind} {why}: left out"));
    }
    let cells = cells.into_iter().filter(|(_, kind)| !absent(kind));
    let (cells, rooted): (Vec<Cell<'a>>, Vec<Cell<'a>>) =
        cells.partition(|(behaviour, _)| namespace::is_root() || !behaviour.root);
    missing.extend(rooted.into_iter().map(|cell| format!("{} needs root: left out", id(cell))));
    let left_out = total - cells.len();
    (cells, left_out)
}

/// Runs cells and returns what those said that failed.
fn run(exe: &Path, cells: &[Cell<'_>], workers: usize) -> BTreeMap<String, String> {
    let next = Mutex::new(cells.iter());
    let failed = Mutex::new(BTreeMap::new());
    let lock = PoisonError::into_inner;
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let Some(&cell) = next.lock().unwrap_or_else(lock).next() else { return };
                    let name = id(cell);
                    let start = Instant::now();
                    let outcome = in_namespaces(exe, &name);
                    let seconds = start.elapsed().as_secs_f64();
                    match outcome {
                        Ok(()) => println!("{name:<32} pass  {seconds:5.1} s"),
                        Err(error) => {
                            println!("{name:<32} FAIL  {seconds:5.1} s\n{error:#}\n");
                            failed
                                .lock()
                                .unwrap_or_else(PoisonError::into_inner)
                                .insert(name, error.to_string());
                        }
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Runs one cell as a process, to its end or its limit.
fn in_namespaces(exe: &Path, name: &str) -> Result<()> {
    let mut log = tempfile::tempfile()?;
    let (output, errors) = (log.try_clone()?, log.try_clone()?);
    let mut child = namespace::within(exe).args(["--cell", name]).stdout(output).stderr(errors).spawn()?;
    let deadline = Instant::now() + LIMIT;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() >= deadline {
            // Everything in its namespaces ends with it.
            child.kill()?;
            child.wait()?;
            bail!("not done after {LIMIT:?}\n{}", text(&mut log)?);
        }
        thread::sleep(Duration::from_millis(20));
    };
    if !status.success() {
        bail!("{status}\n{}", text(&mut log)?);
    }
    Ok(())
}

fn text(log: &mut fs::File) -> Result<String> {
    let mut text = Vec::new();
    log.rewind()?;
    log.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
