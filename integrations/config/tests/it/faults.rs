//! All of them at once, in order, each at its place, with what may be meant.

use peerage_config::{Severity, parse};

use crate::{BASE, faults};

#[test]
fn no_toml() {
    assert_eq!(
        faults("as = 65000\nrouter-id = \"10.0.0.1\"\nlisten = [\n"),
        ["t.toml:3:11: unclosed array, expected `]`"]
    );
    let twice = format!("{BASE}[neighbor.a]\nas = 1\n[neighbor.a]\n");
    assert_eq!(faults(&twice), ["t.toml:5:11: duplicate key"]);
    assert_eq!(faults("as = 65000\nas = 65001\n"), ["t.toml:2:1: duplicate key"]);
}

#[test]
fn nothing_at_all() {
    let expected = [
        "t.toml:1:1: as: missing: expected an AS number",
        "t.toml:1:1: router-id: missing: expected an IPv4 address",
    ];
    assert_eq!(faults(""), expected);
    assert_eq!(faults("\u{feff}# a comment\r\n"), expected);
}

#[test]
fn all_at_once() {
    let text = r#"as = 0
router_id = "10.0.0.1"
listen = ["10.0.0.1:179", "nowhere", "10.0.0.1"]
originate = ["10.0.0.0/8", "10.0.0.0/8", { med = -1 }]

[group.spines]
as = "external"
timers = { hold = 2, keepalive = "often" }

[neighbor."10.0.0.2"]
group = "spine"
pasive = true

[neighbor.net0]
group = "spines"
local-address = "10.0.0.1"
import = "inn"

[neighbor.net1]
group = "spines"
import = "in"
families = []

[policy.in]
rule = [{ match = { prefix = ["10.0.0.0/8 ge 4"], not = { colour = 1 } }, verdict = "maybe" }]
"#;
    assert_eq!(
        faults(text),
        [
            "t.toml:1:1: router-id: missing: expected an IPv4 address",
            "t.toml:1:6: as: expected a whole number from 1 to 4294967295, found 0",
            "t.toml:2:1: router_id: nobody knows this key: is `router-id` meant?",
            "t.toml:3:27: listen[1]: expected an address and port such as \"0.0.0.0:179\" or \"[::]:179\", found the text \"nowhere\"",
            "t.toml:3:38: listen[2]: 10.0.0.1:179 is there already",
            "t.toml:4:28: originate[1]: 10.0.0.0/8 is originated already",
            "t.toml:4:42: originate[2].prefix: missing: expected a prefix such as \"10.0.0.0/8\"",
            "t.toml:4:50: originate[2].med: expected a whole number from 0 to 4294967295, found -1",
            "t.toml:8:19: group.spines.timers.hold: 2s is not acceptable (RFC 4271 §4.2); expected 0 or 3 to 65535 whole seconds",
            "t.toml:8:34: group.spines.timers.keepalive: expected seconds, or a time such as \"9s\", \"500ms\" or \"1m30s\", found the text \"often\"",
            "t.toml:11:9: neighbor.\"10.0.0.2\".group: there is no group \"spine\": is `spines` meant?",
            "t.toml:12:1: neighbor.\"10.0.0.2\".pasive: nobody knows this key: is `passive` meant?",
            "t.toml:16:17: neighbor.net0.local-address: the session of an interface is over IPv6 link-local addresses; leave it out",
            "t.toml:17:10: neighbor.net0.import: there is no policy \"inn\": is `in` meant?",
            "t.toml:22:12: neighbor.net1.families: expected at least one family",
            "t.toml:25:31: policy.in.rule[0].match.prefix[0]: lengths from 4 to 32 are none of 10.0.0.0/8: expected 8 <= ge <= le <= 32",
            "t.toml:25:59: policy.in.rule[0].match.not.colour: nobody knows this key",
            "t.toml:25:85: policy.in.rule[0].verdict: expected \"accept\", \"reject\" or \"next\", found the text \"maybe\"",
        ]
    );
}

/// In every table, not in the first one only.
#[test]
fn unknown_keys_everywhere() {
    let text = format!(
        "{BASE}[limits]\nx1 = 1\n[[originate]]\nprefix = \"::/0\"\nx2 = 1\nprepend.x3 = 1\n\
         [neighbor.a]\nas = 1\nx4 = 1\ntimers.x5 = 1\n[policy.p]\nx6 = 1\n[[policy.p.rule]]\nx7 = 1\n\
         match.x8 = 1\nset.x9 = 1\nset.community.xa = 1\nset.large-community.xb = 1\nset.prepend.xc = 1\n\
         [group.g]\nxd = 1\n[xe]\n"
    );
    let said = faults(&text);
    assert_eq!(said.len(), 14, "{said:#?}");
    for (said, digit) in said.iter().zip("123456789abcde".chars()) {
        assert!(said.ends_with(&format!("x{digit}: nobody knows this key")), "{said}");
    }
}

#[test]
fn columns_are_characters() {
    let text =
        format!("{BASE}[neighbor.\"10.0.0.2\"]\nas = \"internal\"\ntimers = {{ hold = \"é\", open = 0 }}");
    let columns: Vec<_> = parse("t.toml", &text).unwrap_err().iter().map(|fault| fault.column).collect();
    assert_eq!(columns, [Some(19), Some(31)]);
}

#[test]
fn a_password_is_in_no_fault_and_no_debug_output() {
    let secret = "hunter2";
    let neighbor = format!("{BASE}[neighbor.\"10.0.0.2\"]\nas = \"internal\"\n");
    for wrong in [
        format!("{neighbor}password = [\"{secret}\"]"),
        format!("{neighbor}pasword = \"{secret}\""),
        format!("{neighbor}password = \"{secret}"),
        format!("{neighbor}password = \"{secret}\" x"),
        format!("{neighbor}password = {secret}"),
        format!("{neighbor}password = \"{secret}{}\"", "x".repeat(80)),
        format!("{neighbor}[neighbor.\"10.0.0.2\".password]\n{secret} = 1"),
    ] {
        let said = parse("t.toml", &wrong).unwrap_err();
        assert!(!said.is_empty() && !format!("{said:?}").contains(secret), "{said:?}");
    }
    let config = crate::config(&format!("{neighbor}password = \"{secret}\""));
    let key =
        config.desired.neighbors.values().next().and_then(|neighbor| neighbor.socket.md5_key.as_deref());
    assert_eq!(key, Some(secret.as_bytes()));
    assert!(!format!("{config:?}").contains(secret));
    assert!(!peerage_config::render(&config).contains(secret));
}

#[test]
fn a_fault_of_many_neighbours_is_one() {
    let mut text = format!("{BASE}[group.g]\nas = \"internal\"\ntimers.open = 0\n");
    for octet in 2..100 {
        text.push_str(&format!("[neighbor.\"10.0.0.{octet}\"]\ngroup = \"g\"\n"));
    }
    assert_eq!(faults(&text), ["t.toml:5:15: group.g.timers.open: expected 1 ms to 2147483647 s"]);
}

#[test]
fn notices_do_not_stop_anything() {
    let text = format!("{BASE}[neighbor.net0]\nas = \"external\"\n[group.g]\n[policy.p]\n");
    let config = crate::config(&text);
    let said: Vec<String> = config.notices.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "t.toml:3:11: notice: neighbor.net0: no `export`: nothing is announced to it where it is external (RFC 8212)",
            "t.toml:3:11: notice: neighbor.net0: no `import`: nothing is learned from it where it is external (RFC 8212)",
            "t.toml:5:8: notice: group.g: no neighbour is in this group",
            "t.toml:6:9: notice: policy.p: no neighbour uses this policy",
        ]
    );
    assert!(config.notices.iter().all(|notice| notice.severity == Severity::Notice));
}
