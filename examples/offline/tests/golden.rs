//! The example prints the same, octet by octet, every time. Where a change to core is meant to change it:
//! `cargo run -p peerage-offline > examples/offline/tests/golden.txt`.

use std::process::Command;

fn printed() -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_peerage-offline")).output().expect("the example runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn it_prints_what_it_printed_before() {
    let (expected, printed) = (include_str!("golden.txt").replace("\r\n", "\n"), printed());
    for (number, (expected, printed)) in expected.lines().zip(printed.lines()).enumerate() {
        assert_eq!(printed, expected, "line {} of golden.txt", number + 1);
    }
    assert_eq!(printed.lines().count(), expected.lines().count());
}

#[test]
fn what_it_shows_is_what_it_is_for() {
    let text = printed();
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("no `{part}` in\n{text}"));
    let course = [
        "a connects",
        "a -> b  OPEN AS 65001",
        "b -> a  KEEPALIVE",
        "b is up with AS 65001",
        "has all routes of ipv4-unicast",
        "203.0.113.128/25    via 192.0.2.1, AS path 65001",
        "UPDATE withdraws 203.0.113.128/25",
        "a shuts down",
        "NOTIFICATION 6/2",
        "b is down: received NOTIFICATION 6/2",
    ];
    assert!(course.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{text}");
}
