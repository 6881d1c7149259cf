//! Every key: what it takes, what it does not, and where the fault is.

use std::collections::BTreeSet;

use peerage_config::reference::SECTIONS;

use crate::{BASE, faults};

/// What a key takes, and what is said about what it does not take.
type Case<'a> = (&'a str, &'a [&'a str], &'a [(&'a str, &'a str)]);

const U32: &str = "expected a whole number from 0 to 4294967295";
const U32_FROM_1: &str = "expected a whole number from 1 to 4294967295";
const BOOL: &str = "expected true or false";
const TIME: &str = "expected seconds, or a time such as \"9s\", \"500ms\" or \"1m30s\"";
const ADDRESS: &str = "expected a unicast address";
const ORIGIN: &str = "expected \"igp\", \"egp\" or \"incomplete\"";
const COMMUNITY: &str = "expected a community such as \"65000:1\" or \"no-export\"";
const LARGE: &str = "expected a large community such as \"65000:1:2\"";
const ITEM: &str = "[0] expected a community such as \"65000:1\" or \"no-export\"";
const LARGE_ITEM: &str = "[0] expected a large community such as \"65000:1:2\"";
const POLICY: &str = "expected \"accept\", \"reject\", the name of a policy, a policy or a list of rules";

/// Tries each case at the end of `before`, whose last table has `path`, and that every key has one.
///
/// A message that begins with "expected" goes on with what was found. One with `[0]` in front is about the
/// first item, one column further.
fn check(section: usize, before: &str, path: &str, cases: &[Case<'_>]) {
    let keys: BTreeSet<&str> = SECTIONS[section].keys.iter().map(|key| key.name).collect();
    assert_eq!(keys, cases.iter().map(|case| case.0).collect(), "{}", SECTIONS[section].title);
    for (key, right, wrong) in cases {
        // What the template says about the key in its last table makes way.
        let lines: Vec<&str> = before.lines().collect();
        let header = lines.iter().rposition(|line| line.starts_with('[')).unwrap_or(0);
        let kept = lines
            .iter()
            .enumerate()
            .filter(|(index, line)| *index < header || !line.starts_with(&format!("{key} = ")));
        let before: String = kept.map(|(_, line)| format!("{line}\n")).collect();
        for value in *right {
            let text = format!("{before}{key} = {value}\n");
            assert_eq!(faults(&text), [""; 0], "{text}");
        }
        for (value, message) in *wrong {
            let text = format!("{before}{key} = {value}\n");
            let line = before.lines().count() + 1;
            let (item, message) = match message.strip_prefix("[0] ") {
                Some(message) => ("[0]", message),
                None => ("", *message),
            };
            let column = key.len() + 4 + usize::from(!item.is_empty());
            let dot = if path.is_empty() { "" } else { "." };
            let said = faults(&text);
            let expected = format!("t.toml:{line}:{column}: {path}{dot}{key}{item}: {message}");
            let matches = said.len() == 1
                && (said[0] == expected
                    || message.starts_with("expected")
                        && said[0].starts_with(&format!("{expected}, found ")));
            assert!(matches, "{text}\nsaid:     {said:#?}\nexpected: {expected}");
        }
    }
}

#[test]
fn router() {
    check(
        0,
        BASE,
        "",
        &[
            (
                "as",
                &["1", "4294967295", "0xFDE8"],
                &[
                    ("0", U32_FROM_1),
                    ("4294967296", U32_FROM_1),
                    ("\"65000\"", U32_FROM_1),
                    ("-1", U32_FROM_1),
                ],
            ),
            (
                "router-id",
                &["\"1.2.3.4\""],
                &[
                    ("\"::1\"", "expected an IPv4 address, found the text \"::1\""),
                    ("1", "expected an IPv4 address, found 1"),
                    ("\"0.0.0.0\"", "0.0.0.0 identifies nobody (RFC 6286); expected another IPv4 address"),
                ],
            ),
            (
                "cluster-id",
                &["\"1.2.3.4\""],
                &[
                    ("1", "expected an IPv4 address other than 0.0.0.0"),
                    ("\"0.0.0.0\"", "expected an IPv4 address other than 0.0.0.0"),
                ],
            ),
            (
                "hostname",
                &["\"tor0\""],
                &[
                    ("1", "expected a text, found 1"),
                    (
                        "\"0123456789012345678901234567890123456789012345678901234567890123456789\"",
                        "the FQDN capability has room for 64 octets",
                    ),
                ],
            ),
            (
                "listen",
                &["[]", "[\"10.0.0.1\"]", "[\"[::1]:1790\", \"::1\"]"],
                &[
                    ("\"10.0.0.1\"", "expected a list"),
                    (
                        "[\"10.0.0.1:\"]",
                        "[0] expected an address and port such as \"0.0.0.0:179\" or \"[::]:179\"",
                    ),
                    (
                        "[179]",
                        "[0] expected an address and port such as \"0.0.0.0:179\" or \"[::]:179\", found 179",
                    ),
                ],
            ),
            (
                "socket",
                &["\"/run/peerage.sock\""],
                &[
                    ("\"\"", "expected the path of a socket, 1 to 107 octets"),
                    ("\"a\\u0000b\"", "expected the path of a socket, 1 to 107 octets"),
                ],
            ),
            (
                "log",
                &["\"error\"", "\"warn\"", "\"info\"", "\"debug\"", "\"trace\""],
                &[(
                    "\"loud\"",
                    "expected \"error\", \"warn\", \"info\", \"debug\" or \"trace\", found the text \"loud\"",
                )],
            ),
            (
                "limits",
                &["{}", "{ events = 1 }"],
                &[("1", "expected a table, found 1"), ("[]", "expected a table, found an empty list")],
            ),
            (
                "originate",
                &["[]", "[\"10.0.0.0/8\", { prefix = \"::/0\" }]"],
                &[
                    ("\"10.0.0.0/8\"", "expected a list of prefixes, or tables: `[[originate]]`"),
                    ("[1]", "[0] expected a prefix such as \"10.0.0.0/8\", or a table with one, found 1"),
                    ("[\"10.0.0.1/8\"]", "[0] 10.0.0.1/8 has bits beyond its length: is `10.0.0.0/8` meant?"),
                    (
                        "[\"10.0.0.1\"]",
                        "[0] expected a prefix, found the address 10.0.0.1: is `10.0.0.1/32` meant?",
                    ),
                ],
            ),
            (
                "neighbor",
                &["{}", "{ \"10.0.0.2\" = { as = \"internal\" } }"],
                &[(
                    "[]",
                    "expected a table for each neighbour: `[neighbor.\"10.0.0.1\"]` or `[neighbor.eth0]`, found an empty list",
                )],
            ),
            ("group", &["{}", "{ a = {} }"], &[("1", "expected a table for each group: `[group.NAME]`")]),
            ("policy", &["{}", "{ a = {} }"], &[("1", "expected a table for each policy: `[policy.NAME]`")]),
        ],
    );
}

#[test]
fn limits() {
    check(
        1,
        &format!("{BASE}[limits]\n"),
        "limits",
        &[
            ("prefixes-per-neighbor", &["1", "4294967295"], &[("0", U32_FROM_1), ("4294967296", U32_FROM_1)]),
            ("refused-connections", &["0", "4294967295"], &[("-1", U32)]),
            ("dynamic-peers", &["0", "4294967295"], &[("1.5", U32)]),
            ("retained-octets", &["0", "4294967295"], &[("\"4M\"", U32)]),
            ("events", &["1", "4294967295"], &[("0", U32_FROM_1)]),
        ],
    );
}

#[test]
fn originate() {
    check(
        2,
        &format!("{BASE}[[originate]]\nprefix = \"10.0.0.0/8\"\n"),
        "originate[0]",
        &[
            (
                "prefix",
                &["\"::/0\""],
                &[
                    ("8", "expected a prefix such as \"10.0.0.0/8\", found 8"),
                    ("\"ten\"", "expected a prefix such as \"10.0.0.0/8\", found the text \"ten\""),
                ],
            ),
            ("origin", &["\"igp\"", "\"egp\"", "\"incomplete\""], &[("\"IGP\"", ORIGIN), ("1", ORIGIN)]),
            ("med", &["0", "4294967295"], &[("-1", U32), ("4294967296", U32), ("\"none\"", U32)]),
            ("local-pref", &["0", "4294967295"], &[("-1", U32)]),
            (
                "communities",
                &["\"65000:1\"", "[\"65000:1\", \"no-export\", \"5\"]", "[]"],
                &[("[\"65536:1\"]", ITEM), ("5", COMMUNITY)],
            ),
            ("large-communities", &["\"1:2:3\"", "[\"1:2:3\"]"], &[("\"1:2\"", LARGE), ("[1]", LARGE_ITEM)]),
            ("prepend", &["{}", "{ as = 1, count = 2 }"], &[("1", "expected a table, found 1")]),
        ],
    );
}

const NEIGHBOR: &str = "as = 65000\nrouter-id = \"10.0.0.1\"\n[neighbor.\"10.0.0.2\"]\nas = \"internal\"\n";

#[test]
fn neighbor() {
    let asn = "expected an AS number from 1 to 4294967295, \"internal\", \"external\" or \"any\"";
    let group = "there is no group \"a\"";
    check(
        3,
        NEIGHBOR,
        "neighbor.\"10.0.0.2\"",
        &[
            (
                "as",
                &["1", "4294967295", "\"internal\"", "\"external\"", "\"any\""],
                &[("0", asn), ("-1", asn), ("4294967296", asn), ("\"inside\"", asn), ("true", asn)],
            ),
            ("group", &[], &[("\"a\"", group), ("1", "expected a text, found 1")]),
            ("description", &["\"\"", "\"to the left\""], &[("1", "expected a text, found 1")]),
            ("passive", &["true", "false"], &[("1", BOOL), ("\"true\"", BOOL)]),
            ("shutdown", &["true", "false"], &[("\"no\"", BOOL)]),
            (
                "port",
                &["1", "65535"],
                &[
                    ("0", "expected a whole number from 1 to 65535, found 0"),
                    ("65536", "expected a whole number from 1 to 65535, found 65536"),
                ],
            ),
            (
                "local-address",
                &["\"10.0.0.1\""],
                &[
                    ("\"::1\"", "expected an address of the same family as 10.0.0.2"),
                    ("\"0.0.0.0\"", ADDRESS),
                    ("\"224.0.0.1\"", ADDRESS),
                    ("\"lo\"", ADDRESS),
                ],
            ),
            (
                "multihop",
                &["1", "255"],
                &[
                    ("0", "expected a whole number from 1 to 255, found 0"),
                    ("256", "expected a whole number from 1 to 255, found 256"),
                    ("true", "expected a whole number from 1 to 255, found true"),
                ],
            ),
            (
                "ttl-security",
                &["1", "254"],
                &[
                    ("0", "expected a whole number from 1 to 254, found 0"),
                    ("255", "expected a whole number from 1 to 254, found 255"),
                ],
            ),
            (
                "password",
                &["\"secret\""],
                &[
                    ("\"\"", "expected a text of 1 to 80 octets"),
                    ("1234", "expected a text of 1 to 80 octets"),
                    (LONG, "expected a text of 1 to 80 octets"),
                ],
            ),
            ("timers", &["{}", "{ hold = 9 }"], &[("9", "expected a table, found 9")]),
            (
                "families",
                &["[\"ipv4-unicast\"]", "[\"ipv6-unicast\", \"ipv4-unicast\"]"],
                &[
                    ("[]", "expected at least one family"),
                    (
                        "\"ipv4-unicast\"",
                        "expected a list of \"ipv4-unicast\" and \"ipv6-unicast\", found the text \"ipv4-unicast\"",
                    ),
                    (
                        "[\"ipv4\"]",
                        "[0] expected \"ipv4-unicast\" or \"ipv6-unicast\", found the text \"ipv4\"",
                    ),
                    ("[1]", "[0] expected \"ipv4-unicast\" or \"ipv6-unicast\", found 1"),
                ],
            ),
            ("extended-next-hop", &["true", "false"], &[("1", BOOL)]),
            (
                "graceful-restart",
                &["true", "false", "0", "4095", "\"1h\""],
                &[
                    (
                        "4096",
                        "4096s does not fit its 12 bits (RFC 4724 §3); expected 0 to 4095 whole seconds",
                    ),
                    (
                        "\"1500ms\"",
                        "1.5s does not fit its 12 bits (RFC 4724 §3); expected 0 to 4095 whole seconds",
                    ),
                    ("-1", TIME),
                    ("\"yes\"", TIME),
                ],
            ),
            (
                "next-hop",
                &["\"standard\"", "\"self\"", "\"unchanged\""],
                &[("\"own\"", "expected \"standard\", \"self\" or \"unchanged\", found the text \"own\"")],
            ),
            ("route-reflector-client", &["true", "false"], &[("1", BOOL)]),
            (
                "default-originate",
                &["true", "false", "[]", "[\"ipv4-unicast\"]"],
                &[
                    (
                        "\"ipv4-unicast\"",
                        "expected true, false or a list of families, found the text \"ipv4-unicast\"",
                    ),
                    (
                        "[\"ipv5\"]",
                        "[0] expected \"ipv4-unicast\" or \"ipv6-unicast\", found the text \"ipv5\"",
                    ),
                ],
            ),
            ("prefix-limit", &["1", "4294967295"], &[("0", U32_FROM_1), ("4294967296", U32_FROM_1)]),
            ("enforce-first-as", &["true", "false"], &[("1", BOOL)]),
            (
                "import",
                &[
                    "\"accept\"",
                    "\"reject\"",
                    "[]",
                    "{}",
                    "{ otherwise = \"accept\" }",
                    "[{ verdict = \"accept\" }]",
                ],
                &[
                    ("\"acept\"", "there is no policy \"acept\": is `accept` meant?"),
                    ("true", POLICY),
                    ("[1]", "[0] expected a table, found 1"),
                ],
            ),
            (
                "export",
                &["\"accept\"", "\"reject\""],
                &[("\"none\"", "there is no policy \"none\""), ("1", POLICY)],
            ),
        ],
    );
}

/// 82 octets.
const LONG: &str = "\"0123456789012345678901234567890123456789012345678901234567890123456789012345678901\"";

#[test]
fn timers() {
    let zero = "expected 1 ms to 2147483647 s";
    check(
        4,
        &format!("{NEIGHBOR}[neighbor.\"10.0.0.2\".timers]\n"),
        "neighbor.\"10.0.0.2\".timers",
        &[
            (
                "hold",
                &["0", "3", "65535", "\"9s\"", "\"2m\""],
                &[
                    ("2", "2s is not acceptable (RFC 4271 §4.2); expected 0 or 3 to 65535 whole seconds"),
                    (
                        "65536",
                        "65536s is not acceptable (RFC 4271 §4.2); expected 0 or 3 to 65535 whole seconds",
                    ),
                    (
                        "\"3500ms\"",
                        "3.5s is not acceptable (RFC 4271 §4.2); expected 0 or 3 to 65535 whole seconds",
                    ),
                    ("-1", TIME),
                    ("\"9\"", TIME),
                    ("\"9 s\"", TIME),
                    ("9.5", TIME),
                    ("9223372036854775807", TIME),
                ],
            ),
            (
                "keepalive",
                &["1", "90", "\"500ms\""],
                &[
                    ("0", "0ns does not keep a session alive whose hold time is 90 s"),
                    ("91", "91s does not keep a session alive whose hold time is 90 s"),
                ],
            ),
            ("connect-retry", &["1"], &[("0", zero), ("true", TIME)]),
            ("idle-hold", &["1"], &[("0", zero)]),
            ("open", &["1"], &[("\"0s\"", zero)]),
            ("send-hold", &["1"], &[("0", "expected 1 ms to 2147483647 s")]),
        ],
    );
}

/// A neighbour that uses the policy `p`, which comes last.
const WITH_POLICY: &str = "as = 65000\nrouter-id = \"10.0.0.1\"\n[neighbor.\"10.0.0.2\"]\nas = \"internal\"\nimport = \"p\"\n[policy.p]\n";

#[test]
fn policy() {
    check(
        5,
        WITH_POLICY,
        "policy.p",
        &[
            (
                "otherwise",
                &["\"accept\"", "\"reject\""],
                &[("\"next\"", "expected \"accept\" or \"reject\", found the text \"next\"")],
            ),
            (
                "rule",
                &["[]", "[{}]"],
                &[("{}", "expected a list, found a table"), ("[1]", "[0] expected a table, found 1")],
            ),
        ],
    );
}

#[test]
fn rule() {
    check(
        6,
        &format!("{WITH_POLICY}[[policy.p.rule]]\n"),
        "policy.p.rule[0]",
        &[
            ("match", &["{}"], &[("1", "expected a table, found 1")]),
            ("set", &["{}"], &[("[]", "expected a table, found an empty list")]),
            (
                "verdict",
                &["\"accept\"", "\"reject\"", "\"next\""],
                &[("\"drop\"", "expected \"accept\", \"reject\" or \"next\", found the text \"drop\"")],
            ),
        ],
    );
}

/// The same under `match` and under `not`.
#[test]
fn conditions() {
    let asn = U32_FROM_1;
    let length = "expected a length, or a range such as \"1..3\", \"..3\" or \"2..\"";
    for (table, path) in [("match", "match"), ("match.not", "match.not")] {
        let before = format!("{WITH_POLICY}[[policy.p.rule]]\n[policy.p.rule.{table}]\n");
        let not: Case<'_> = match table {
            "match" => ("not", &["{}", "{ med = 1 }"], &[("1", "expected a table, found 1")]),
            _ => ("not", &[], &[("{}", "`not` is within `not`: write the condition under `match` itself")]),
        };
        check(
            7,
            &before,
            &format!("policy.p.rule[0].{path}"),
            &[
                (
                    "prefix",
                    &["\"10.0.0.0/8\"", "[\"10.0.0.0/8 le 24\", \"::/0 ge 1 le 48\"]"],
                    &[
                        ("[]", "expected at least one item, found an empty list"),
                        (
                            "8",
                            "expected a prefix such as \"10.0.0.0/8\" or \"10.0.0.0/8 ge 16 le 24\", found 8",
                        ),
                        (
                            "\"10.0.0.0/8 le 33\"",
                            "lengths from 8 to 33 are none of 10.0.0.0/8: expected 8 <= ge <= le <= 32",
                        ),
                        (
                            "[\"10.0.0.0/8 to 24\"]",
                            "[0] expected `ge` or `le` after the prefix, found \"to\"",
                        ),
                        ("\"10.0.0.1/8\"", "10.0.0.1/8 has bits beyond its length: is `10.0.0.0/8` meant?"),
                    ],
                ),
                (
                    "source",
                    &["\"local\"", "[\"internal\", \"external\"]"],
                    &[
                        (
                            "\"ibgp\"",
                            "expected \"local\", \"internal\" or \"external\", found the text \"ibgp\"",
                        ),
                        ("[]", "expected at least one item, found an empty list"),
                    ],
                ),
                (
                    "community",
                    &["\"1:2\"", "[\"blackhole\", \"4294967295\"]"],
                    &[("\"x\"", COMMUNITY), ("[]", "expected at least one item, found an empty list")],
                ),
                ("large-community", &["\"1:2:3\""], &[("\"1\"", LARGE)]),
                ("as-path-contains", &["1"], &[("0", asn)]),
                ("neighbor-as", &["1"], &[("\"1\"", asn)]),
                ("origin-as", &["1"], &[("4294967296", asn)]),
                (
                    "as-path-length",
                    &["0", "\"1..3\"", "\"..3\"", "\"2..\""],
                    &[("\"3..1\"", length), ("\"..\"", length), ("65536", length), ("[1, 2]", length)],
                ),
                ("origin", &["\"egp\""], &[("\"x\"", ORIGIN)]),
                ("next-hop", &["\"10.0.0.1\"", "\"fe80::1\""], &[("\"\"", ADDRESS)]),
                ("med", &["0"], &[("-1", U32)]),
                ("local-pref", &["0"], &[("\"1\"", U32)]),
                not,
            ],
        );
    }
}

#[test]
fn edits() {
    let before = format!("{WITH_POLICY}[[policy.p.rule]]\n[policy.p.rule.set]\n");
    let path = "policy.p.rule[0].set";
    let med = "expected a whole number from 0 to 4294967295 or \"none\"";
    check(
        8,
        &before,
        path,
        &[
            ("local-pref", &["0", "4294967295"], &[("-1", U32)]),
            ("med", &["0", "\"none\""], &[("-1", med), ("\"no\"", med)]),
            ("origin", &["\"igp\""], &[("0", ORIGIN)]),
            (
                "community",
                &["{ set = [] }", "{ add = \"1:2\", remove = [\"1:3\"] }"],
                &[("[\"1:2\"]", "expected a table, found a list")],
            ),
            (
                "large-community",
                &["{ add = \"1:2:3\" }"],
                &[("\"1:2:3\"", "expected a table, found the text \"1:2:3\"")],
            ),
            ("prepend", &["{}", "{ count = 3 }"], &[("3", "expected a table, found 3")]),
            ("next-hop", &["\"10.0.0.1\""], &[("\"self\"", ADDRESS)]),
        ],
    );
    let empty = "expected at least one item, found an empty list";
    check(
        9,
        &format!("{before}[policy.p.rule.set.community]\n"),
        &format!("{path}.community"),
        &[
            ("set", &["[]", "\"1:2\"", "[\"1:2\"]"], &[("\"1:2:3\"", COMMUNITY)]),
            ("remove", &["\"1:2\""], &[("[]", empty), ("1", COMMUNITY)]),
            ("add", &["[\"1:2\", \"no-peer\"]"], &[("[]", empty)]),
        ],
    );
    check(
        10,
        &format!("{before}[policy.p.rule.set.large-community]\n"),
        &format!("{path}.large-community"),
        &[
            ("set", &["[]", "\"1:2:3\""], &[("\"1:2\"", LARGE)]),
            ("remove", &["\"1:2:3\""], &[("[]", empty)]),
            ("add", &["[\"1:2:3\"]"], &[("[]", empty), ("1", LARGE)]),
        ],
    );
    check(
        11,
        &format!("{before}[policy.p.rule.set.prepend]\n"),
        &format!("{path}.prepend"),
        &[
            ("as", &["1", "4294967295"], &[("0", U32_FROM_1)]),
            (
                "count",
                &["1", "255"],
                &[
                    ("0", "expected a whole number from 1 to 255, found 0"),
                    ("256", "expected a whole number from 1 to 255, found 256"),
                ],
            ),
        ],
    );
}
