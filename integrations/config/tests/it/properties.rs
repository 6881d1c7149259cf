//! Of all texts and all policies.

use std::{collections::BTreeSet, net::IpAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use peerage_config::{Config, parse, reference, render};
use peerage_core::{
    policy::{Match, Policy, PrefixMatch, RouteSource, Rule, Set, Verdict},
    speaker::{Desired, Neighbor, NeighborKey, PeerAs},
    wire::{Asn, Community, LargeCommunity, Origin, RouterId},
};
use proptest::{collection::vec, option, prelude::*, sample::select};

/// Pieces that files are made of, so that more than the first character is read.
fn pieces() -> impl Strategy<Value = String> {
    let mut words: Vec<String> =
        reference::SECTIONS.iter().flat_map(|section| section.keys).map(|key| key.name.to_owned()).collect();
    let more = [
        "=",
        " = ",
        "\n",
        ".",
        ",",
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "\"",
        "'''",
        "#",
        "1",
        "-1",
        "0x",
        "9s",
        "true",
        "10.0.0.0/8",
        "\"10.0.0.1\"",
        "\"10.0.0.0/8 le 24\"",
        "[neighbor.net0]\n",
        "[[policy.p.rule]]\n",
        "\"accept\"",
        "é",
        "\u{feff}",
        "\r\n",
        "\0",
    ];
    words.extend(more.map(str::to_owned));
    vec(select(words), 0..60).prop_map(|words| words.concat())
}

/// What is always so, whatever the text is.
fn holds(text: &str) -> Result<(), TestCaseError> {
    match parse("t.toml", text) {
        Ok(config) => {
            prop_assert_eq!(config.desired.check(), Ok(()));
            let again = parse("t.toml", &render(&config));
            prop_assert!(again.is_ok(), "{:?}", again);
        }
        Err(faults) => {
            prop_assert!(!faults.is_empty());
            let lines: Vec<&str> = text.split('\n').collect();
            let mut last = (0, 0);
            for fault in faults {
                let (Some(line), Some(column)) = (fault.line, fault.column) else {
                    return Err(TestCaseError::fail("a fault without a place"));
                };
                prop_assert!((line, column) >= last, "in order");
                last = (line, column);
                let found = lines.get(line - 1).map(|line| line.chars().count());
                prop_assert!(column >= 1 && found.is_some_and(|length| column <= length + 1), "{:?}", fault);
            }
        }
    }
    Ok(())
}

fn prefix() -> impl Strategy<Value = PrefixMatch> {
    let v4 = (any::<[u8; 4]>(), 0..=32_u8)
        .prop_map(|(address, length)| Ipv4Net::new_assert(address.into(), length).trunc().into());
    let v6 = (any::<[u8; 16]>(), 0..=128_u8)
        .prop_map(|(address, length)| Ipv6Net::new_assert(address.into(), length).trunc().into());
    let net = prop_oneof![v4.boxed(), v6.boxed()];
    (net, any::<u8>(), any::<u8>()).prop_map(|(net, a, b): (IpNet, _, _)| {
        let span = net.max_prefix_len() - net.prefix_len() + 1;
        let (a, b) = (net.prefix_len() + a % span, net.prefix_len() + b % span);
        PrefixMatch { net, min_len: a.min(b), max_len: a.max(b) }
    })
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)]
        .prop_filter("unicast", |address| !address.is_unspecified() && !address.is_multicast())
}

fn asn() -> impl Strategy<Value = Asn> {
    (1..=u32::MAX).prop_map(Asn)
}

fn origin() -> impl Strategy<Value = Origin> {
    select(vec![Origin::Igp, Origin::Egp, Origin::Incomplete])
}

fn communities() -> impl Strategy<Value = Vec<Community>> {
    vec(any::<u32>().prop_map(Community), 1..4)
}

fn large_communities() -> impl Strategy<Value = Vec<LargeCommunity>> {
    vec(any::<[u32; 3]>(), 1..4).prop_map(|items| {
        items.into_iter().map(|[global, local1, local2]| LargeCommunity { global, local1, local2 }).collect()
    })
}

/// At most one of each condition, in the order in which they are read.
fn conditions() -> impl Strategy<Value = Vec<Match>> {
    let sources = vec![RouteSource::Local, RouteSource::Internal, RouteSource::External];
    let first = (
        option::of(vec(prefix(), 1..4).prop_map(Match::Prefix)),
        option::of(
            proptest::sample::subsequence(sources, 1..=3)
                .prop_map(|it| Match::Source(BTreeSet::from_iter(it))),
        ),
        option::of(communities().prop_map(Match::AnyCommunity)),
        option::of(large_communities().prop_map(Match::AnyLargeCommunity)),
        option::of(asn().prop_map(Match::AsPathContains)),
        option::of(asn().prop_map(Match::NeighborAs)),
    );
    let second = (
        option::of(asn().prop_map(Match::OriginAs)),
        option::of(
            any::<(u16, u16)>().prop_map(|(a, b)| Match::AsPathLength { min: a.min(b), max: a.max(b) }),
        ),
        option::of(origin().prop_map(Match::Origin)),
        option::of(address().prop_map(Match::NextHop)),
        option::of(any::<u32>().prop_map(Match::Med)),
        option::of(any::<u32>().prop_map(Match::LocalPref)),
    );
    (first, second).prop_map(|((a, b, c, d, e, f), (g, h, i, j, k, l))| {
        [a, b, c, d, e, f, g, h, i, j, k, l].into_iter().flatten().collect()
    })
}

fn edits() -> impl Strategy<Value = Vec<Set>> {
    let first = (
        option::of(any::<u32>().prop_map(Set::LocalPref)),
        option::of(any::<Option<u32>>().prop_map(Set::Med)),
        option::of(origin().prop_map(Set::Origin)),
        option::of(communities().prop_map(Set::Communities)),
        option::of(communities().prop_map(Set::RemoveCommunities)),
        option::of(communities().prop_map(Set::AddCommunities)),
    );
    let second = (
        option::of(large_communities().prop_map(Set::LargeCommunities)),
        option::of(large_communities().prop_map(Set::RemoveLargeCommunities)),
        option::of(large_communities().prop_map(Set::AddLargeCommunities)),
        option::of((asn(), 1..=255_u8).prop_map(|(asn, count)| Set::Prepend { asn, count })),
        option::of(address().prop_map(Set::NextHop)),
    );
    (first, second).prop_map(|((a, b, c, d, e, f), (g, h, i, j, k))| {
        [a, b, c, d, e, f, g, h, i, j, k].into_iter().flatten().collect()
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    let verdict = select(vec![Verdict::Accept, Verdict::Reject]);
    let rule = (conditions(), conditions(), edits(), option::of(verdict.clone()));
    let rule = rule.prop_map(|(mut matches, none, sets, verdict)| {
        matches.extend(none.into_iter().map(|condition| Match::Not(Box::new(condition))));
        Rule { matches, sets, verdict }
    });
    (vec(rule, 0..4), verdict).prop_map(|(rules, otherwise)| Policy { rules, otherwise })
}

proptest! {
    #[test]
    fn any_text(text in any::<String>()) {
        holds(&text)?;
    }

    #[test]
    fn any_text_that_looks_like_a_file(text in pieces()) {
        holds(&text)?;
        holds(&format!("as = 1\nrouter-id = \"1.1.1.1\"\n{text}"))?;
    }

    /// A good file with something in it replaced.
    #[test]
    fn any_damage(at in any::<prop::sample::Index>(), length in 0..20_usize, with in pieces()) {
        for (_, text) in crate::examples::EXAMPLES {
            let from = at.index(text.len() + 1);
            let cut = |offset: usize| (0..=offset.min(text.len())).rev().find(|it| text.is_char_boundary(*it));
            let (Some(from), Some(to)) = (cut(from), cut(from + length)) else { continue };
            let (Some(before), Some(after)) = (text.get(..from), text.get(to.max(from)..)) else { continue };
            holds(&format!("{before}{with}{after}"))?;
        }
    }

    /// Policies, and the name of the group.
    #[test]
    fn what_is_rendered_is_read(
        import in option::of(policy()),
        export in option::of(policy()),
        group in option::of(any::<String>()),
        description in option::of(any::<String>()),
    ) {
        let mut desired = Desired::new(Asn(65000), RouterId(1));
        let mut neighbor = Neighbor::new(PeerAs::Internal);
        neighbor.import = import;
        neighbor.export = export;
        neighbor.peer_group = group;
        neighbor.description = description;
        desired.neighbors.insert(NeighborKey::Interface("net0".into()), neighbor);
        let text = render(&Config::new(desired.clone()));
        let config = parse("t.toml", &text).map_err(|faults| TestCaseError::fail(format!("{faults:?}\n{text}")))?;
        prop_assert_eq!(config.desired, desired, "{}", text);
    }
}
