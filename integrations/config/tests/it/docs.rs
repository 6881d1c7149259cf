//! `docs/router.md` has every key.

use std::{env, fs, path::Path};

use peerage_config::{parse, reference};

const BEGIN: &str =
    "<!-- made by peerage-config: PEERAGE_WRITE_DOCS=1 cargo test -p peerage-config docs -->\n\n";

#[test]
fn the_reference_is_in_the_manual() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/router.md");
    let text = fs::read_to_string(&path).expect("docs/router.md is there");
    let (before, after) = text.split_once(BEGIN).expect("the mark is there");
    let wanted = reference::markdown();
    if env::var_os("PEERAGE_WRITE_DOCS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{wanted}")).expect("docs/router.md is written");
    } else {
        assert_eq!(after, wanted, "docs/router.md is old: {BEGIN}");
    }
}

/// The blocks of TOML in it are good.
#[test]
fn the_manual_tells_the_truth() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/router.md");
    let text = fs::read_to_string(&path).expect("docs/router.md is there");
    let blocks: Vec<&str> = text.split("```toml\n").skip(1).filter_map(|it| it.split("```").next()).collect();
    assert!(blocks.len() >= 3);
    for block in blocks {
        let base = if block.starts_with("as = ") { "" } else { crate::BASE };
        if let Err(faults) = parse("router.md", &format!("{base}{block}")) {
            panic!("{faults:#?}\n{block}");
        }
    }
}
