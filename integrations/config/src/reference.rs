//! Every key of the file: its type, its default, what it means. The parser knows these and no others, and
//! `docs/router.md` has a table made of them.

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it takes, in words.
    pub takes: &'static str,
    /// What holds where it is left out; empty: it has to be there.
    pub default: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

/// The keys of one kind of table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// How the table is written.
    pub title: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

const fn key(name: &'static str, takes: &'static str, default: &'static str, meaning: &'static str) -> Key {
    Key { name, takes, default, meaning }
}

/// Every section, in the order in which a reader meets them.
pub const SECTIONS: [&Section; 12] = [
    &ROUTER,
    &LIMITS,
    &ORIGINATE,
    &NEIGHBOR,
    &TIMERS,
    &POLICY,
    &RULE,
    &MATCH,
    &SET,
    &COMMUNITY,
    &LARGE_COMMUNITY,
    &PREPEND,
];

/// All sections as Markdown tables.
pub fn markdown() -> String {
    let mut out = String::new();
    for section in SECTIONS {
        out.push_str(&format!("### {}\n\n{}\n\n", section.title, section.about));
        out.push_str("| key | takes | default | meaning |\n|---|---|---|---|\n");
        for Key { name, takes, default, meaning } in section.keys {
            let default = if default.is_empty() { "**required**" } else { default };
            out.push_str(&format!("| `{name}` | {takes} | {default} | {meaning} |\n"));
        }
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

pub(crate) static ROUTER: Section = Section {
    title: "The file",
    about: "Keys before the first table.",
    keys: &[
        key("as", "1 to 4294967295", "", "The router's AS."),
        key("router-id", "an IPv4 address other than `0.0.0.0`", "", "Its BGP identifier."),
        key(
            "cluster-id",
            "an IPv4 address",
            "the router id",
            "The cluster it serves as a route reflector (RFC 4456 §7).",
        ),
        key("hostname", "a text of at most 64 octets", "none", "Sent to neighbours in the FQDN capability."),
        key(
            "listen",
            "a list of `\"ADDRESS:PORT\"` or `\"ADDRESS\"` (port 179)",
            "`[\"0.0.0.0:179\", \"[::]:179\"]`",
            "Where connections are awaited; `[]`: nowhere.",
        ),
        key(
            "socket",
            "a path",
            "the program's",
            "The Unix socket that answers `show`, `monitor` and `clear`.",
        ),
        key(
            "log",
            "`\"error\"`, `\"warn\"`, `\"info\"`, `\"debug\"` or `\"trace\"`",
            "`\"info\"`",
            "How much is logged.",
        ),
        key("limits", "a table: [limits]", "as there", "Bounds against hostile or broken neighbours."),
        key(
            "originate",
            "a list of prefixes or tables, or `[[originate]]`: see there",
            "`[]`",
            "Routes that are always announced.",
        ),
        key("neighbor", "tables with names: see there", "none", "Whom to speak with."),
        key("group", "tables with names: as of neighbours", "none", "Values that several neighbours share."),
        key(
            "policy",
            "tables with names: see there",
            "none",
            "What is learned and announced, and with which changes.",
        ),
    ],
};

pub(crate) static LIMITS: Section = Section {
    title: "`[limits]`",
    about: "Bounds that hold for the whole router.",
    keys: &[
        key(
            "prefixes-per-neighbor",
            "1 to 4294967295",
            "4000000",
            "Prefixes accepted from a neighbour in one family where it has no `prefix-limit`.",
        ),
        key(
            "refused-connections",
            "0 to 4294967295",
            "64",
            "Connections that are being refused at the same time; further ones are dropped without a word.",
        ),
        key("dynamic-peers", "0 to 4294967295", "1024", "Peers that all ranges together may let in."),
        key(
            "retained-octets",
            "0 to 4294967295",
            "4194304",
            "Encoded octets kept for members of an update group that are behind, before the slowest goes on by itself.",
        ),
        key(
            "events",
            "1 to 4294967295",
            "4096",
            "Events kept until they are read; further ones are counted and lost.",
        ),
    ],
};

pub(crate) static ORIGINATE: Section = Section {
    title: "`[[originate]]`",
    about: "A route that is always announced. A text in `originate = [\"10.0.0.0/8\"]` is one with a prefix only.",
    keys: &[
        key("prefix", "a prefix", "", "What is announced."),
        key("origin", "`\"igp\"`, `\"egp\"` or `\"incomplete\"`", "`\"igp\"`", "ORIGIN."),
        key("med", "0 to 4294967295", "none", "MULTI_EXIT_DISC."),
        key(
            "local-pref",
            "0 to 4294967295",
            "none (100 to iBGP)",
            "LOCAL_PREF; reaches iBGP neighbours only.",
        ),
        key(
            "communities",
            "a community or a list",
            "none",
            "`\"65000:1\"`, or a name such as `\"no-export\"`.",
        ),
        key("large-communities", "a large community or a list", "none", "`\"65000:1:2\"`."),
        key("prepend", "a table: see there", "none", "ASes that stand in its path already."),
    ],
};

pub(crate) static NEIGHBOR: Section = Section {
    title: "`[neighbor.NAME]` and `[group.NAME]`",
    about: "The name of a neighbour says who it is: an address (`[neighbor.\"10.0.0.1\"]`), an interface with whoever \
            is on its other end (`[neighbor.net0]`), or a range of those who may connect \
            (`[neighbor.\"10.1.0.0/16\"]`). A group takes the same keys but `group`; a neighbour has the group's \
            value of each key, each timer for itself, that it does not give.",
    keys: &[
        key(
            "as",
            "1 to 4294967295, `\"internal\"`, `\"external\"` or `\"any\"`",
            "",
            "Its AS; `\"internal\"` is the router's own, `\"external\"` any other.",
        ),
        key(
            "group",
            "a group's name",
            "none",
            "Whose values it has where it does not give its own. Neighbours only.",
        ),
        key("description", "a text", "none", "For tables."),
        key("passive", "true or false", "false", "Only waits for connections."),
        key("shutdown", "true or false", "false", "Administratively down."),
        key("port", "1 to 65535", "179", "TCP port to connect to."),
        key(
            "local-address",
            "an address",
            "the system's choice",
            "Source of connections to it; connections from it have to be to this address.",
        ),
        key(
            "multihop",
            "1 to 255",
            "1 to eBGP, the system's to iBGP",
            "TTL of outgoing packets. Not together with `ttl-security`.",
        ),
        key(
            "ttl-security",
            "1 to 254",
            "off",
            "How many hops away it may be: packets from further away are dropped (RFC 5082). 1: directly connected.",
        ),
        key("password", "a text of 1 to 80 octets", "none", "TCP MD5 key (RFC 2385). Never printed."),
        key("timers", "a table: see there", "as there", "Timers of its session."),
        key("families", "a list of `\"ipv4-unicast\"` and `\"ipv6-unicast\"`", "both", "Families to offer."),
        key(
            "extended-next-hop",
            "true or false",
            "false; always on for an interface",
            "Offers IPv4 routes with IPv6 next hops (RFC 8950).",
        ),
        key(
            "graceful-restart",
            "false, true or 0 to 4095 s",
            "false; true is 120 s",
            "How long it is asked to keep routes while this router restarts (RFC 4724, RFC 8538). Its own routes are not kept while it restarts.",
        ),
        key(
            "next-hop",
            "`\"standard\"`, `\"self\"` or `\"unchanged\"`",
            "`\"standard\"`",
            "Next hop of what is announced to it: as RFC 4271 §5.1.3 says, always the router itself, or what was learned.",
        ),
        key(
            "route-reflector-client",
            "true or false",
            "false",
            "Whether it is a client of this route reflector (RFC 4456). iBGP only.",
        ),
        key(
            "default-originate",
            "true, false or a list of families",
            "false",
            "Families in which a default route is announced to it, whatever `export` says; true: all of its own.",
        ),
        key(
            "prefix-limit",
            "1 to 4294967295",
            "`limits.prefixes-per-neighbor`",
            "Most prefixes accepted in one family before the session is closed.",
        ),
        key(
            "enforce-first-as",
            "true or false",
            "true",
            "Whether paths from it have to begin with its AS. eBGP only.",
        ),
        key(
            "import",
            "a policy",
            "everything from iBGP, nothing from eBGP (RFC 8212)",
            "What is learned from it: `\"accept\"`, `\"reject\"`, the name of a `[policy.NAME]`, a table like that, or a list of its rules.",
        ),
        key(
            "export",
            "a policy",
            "everything to iBGP, nothing to eBGP (RFC 8212)",
            "What is announced to it, likewise.",
        ),
    ],
};

pub(crate) static TIMERS: Section = Section {
    title: "`timers` of a neighbour",
    about: "A time is a number of seconds, or a text with units: `\"9s\"`, `\"500ms\"`, `\"1m30s\"`, `\"1h\"`, `\"1d\"`.",
    keys: &[
        key(
            "hold",
            "0 or 3 to 65535 s",
            "90",
            "Proposed hold time; the smaller of both sides' counts. 0: none.",
        ),
        key(
            "keepalive",
            "more than 0, at most `hold`",
            "30, or a third of `hold` if less",
            "Time between KEEPALIVEs.",
        ),
        key("connect-retry", "more than 0", "120", "Time between attempts to connect."),
        key("idle-hold", "more than 0", "5", "Time in Idle after a session ended by an error."),
        key("open", "more than 0", "240", "How long it may take to send its OPEN."),
        key(
            "send-hold",
            "more than 0",
            "twice the hold time, at least 480",
            "How long writing may make no progress (RFC 9687).",
        ),
    ],
};

pub(crate) static POLICY: Section = Section {
    title: "`[policy.NAME]`",
    about: "Rules in order: the first one that matches and has a verdict decides. The names `accept` and `reject` are taken.",
    keys: &[
        key(
            "otherwise",
            "`\"accept\"` or `\"reject\"`",
            "`\"reject\"`",
            "What happens to a route that no rule decides on.",
        ),
        key("rule", "a list of tables, or `[[policy.NAME.rule]]`: see there", "`[]`", "The rules."),
    ],
};

pub(crate) static RULE: Section = Section {
    title: "`[[policy.NAME.rule]]`",
    about: "One rule.",
    keys: &[
        key("match", "a table: see there", "always", "Conditions, all of which must hold."),
        key("set", "a table: see there", "nothing", "What is changed when it matches."),
        key(
            "verdict",
            "`\"accept\"`, `\"reject\"` or `\"next\"`",
            "`\"next\"`",
            "What happens then; `\"next\"`: the changes are made, and the next rule is asked.",
        ),
    ],
};

pub(crate) static MATCH: Section = Section {
    title: "`match` of a rule",
    about: "Conditions, all of which must hold. Of a list, one item is enough. Under `not`, each of the same conditions must not hold: `match.not.source = \"external\"`.",
    keys: &[
        key(
            "prefix",
            "a prefix or a list, each with `ge` and `le`",
            "any",
            "`\"10.0.0.0/8\"` itself; `\"10.0.0.0/8 le 24\"`: what is in it, no longer than 24; `\"… ge 16\"`, `\"… ge 16 le 24\"` likewise.",
        ),
        key(
            "source",
            "`\"local\"`, `\"internal\"`, `\"external\"` or a list",
            "any",
            "Where it came from: originated here, iBGP, eBGP.",
        ),
        key("community", "a community or a list", "any", "One of these is on it."),
        key("large-community", "a large community or a list", "any", "One of these is on it."),
        key("as-path-contains", "1 to 4294967295", "any", "The AS is in its path."),
        key("neighbor-as", "1 to 4294967295", "any", "The first AS of its path."),
        key("origin-as", "1 to 4294967295", "any", "The last AS of its path."),
        key(
            "as-path-length",
            "a number, `\"1..3\"`, `\"..3\"` or `\"2..\"`",
            "any",
            "The length of its path; both ends included.",
        ),
        key("origin", "`\"igp\"`, `\"egp\"` or `\"incomplete\"`", "any", "ORIGIN."),
        key("next-hop", "an address", "any", "Its next hop."),
        key("med", "0 to 4294967295", "any", "MULTI_EXIT_DISC."),
        key("local-pref", "0 to 4294967295", "any", "LOCAL_PREF."),
        key("not", "a table with these keys but `not`", "nothing", "Conditions, none of which may hold."),
    ],
};

pub(crate) static SET: Section = Section {
    title: "`set` of a rule",
    about: "What is changed.",
    keys: &[
        key("local-pref", "0 to 4294967295", "unchanged", "LOCAL_PREF; reaches iBGP neighbours only."),
        key(
            "med",
            "0 to 4294967295 or `\"none\"`",
            "unchanged",
            "MULTI_EXIT_DISC; `\"none\"` takes it away.",
        ),
        key("origin", "`\"igp\"`, `\"egp\"` or `\"incomplete\"`", "unchanged", "ORIGIN."),
        key("community", "a table: see there", "unchanged", "Communities."),
        key("large-community", "a table: see there", "unchanged", "Large communities."),
        key("prepend", "a table: see there", "nothing", "ASes put in front of the path."),
        key("next-hop", "an address", "unchanged", "The next hop."),
    ],
};

pub(crate) static COMMUNITY: Section = Section {
    title: "`set.community`",
    about: "Done in this order.",
    keys: &[
        key("set", "a community or a list", "unchanged", "Replaces them; `[]` takes all away."),
        key("remove", "a community or a list", "none", "Takes these away."),
        key("add", "a community or a list", "none", "Adds these where they are not there yet."),
    ],
};

pub(crate) static LARGE_COMMUNITY: Section = Section {
    title: "`set.large-community`",
    about: "Done in this order.",
    keys: &[
        key("set", "a large community or a list", "unchanged", "Replaces them; `[]` takes all away."),
        key("remove", "a large community or a list", "none", "Takes these away."),
        key("add", "a large community or a list", "none", "Adds these where they are not there yet."),
    ],
};

pub(crate) static PREPEND: Section = Section {
    title: "`prepend`",
    about: "An AS in front of a path.",
    keys: &[
        key("as", "1 to 4294967295", "the router's own", "Which."),
        key("count", "1 to 255", "1", "How often."),
    ],
};
