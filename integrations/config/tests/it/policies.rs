//! Policies: how they are written where they are used, their notices, and that what is written is read.

use peerage_core::{
    policy::{Match, Policy, RouteSource, Rule, Set, Verdict},
    wire::Asn,
};

use crate::{BASE, config, faults, notices};

/// What a neighbour imports by this.
fn import(lines: &str) -> Policy {
    let config = config(&format!("{BASE}[neighbor.net0]\nas = \"internal\"\n{lines}\n"));
    let neighbor = config.desired.neighbors.into_values().next();
    neighbor.and_then(|neighbor| neighbor.import).expect("it imports something")
}

#[test]
fn four_ways_to_say_the_same() {
    let named = import("import = \"p\"\n[policy.p]\n[[policy.p.rule]]\nmatch.med = 1\nverdict = \"accept\"");
    let expected = Rule { matches: vec![Match::Med(1)], sets: vec![], verdict: Some(Verdict::Accept) };
    assert_eq!(named, Policy { rules: vec![expected], otherwise: Verdict::Reject });
    assert_eq!(import("import = [{ match.med = 1, verdict = \"accept\" }]"), named);
    assert_eq!(import("import.rule = [{ match.med = 1, verdict = \"accept\" }]"), named);
    assert_eq!(import("[[neighbor.net0.import]]\nmatch.med = 1\nverdict = \"accept\""), named);
    assert_eq!(import("import = \"accept\""), Policy::accept());
    assert_eq!(import("import = \"reject\""), Policy::reject());
    assert_eq!(import("import = {}"), Policy::reject());
    assert_eq!(import("import = { otherwise = \"accept\" }"), Policy::accept());
}

#[test]
fn not_negates_each() {
    let policy = import("import = [{ match.not = { source = \"external\", origin-as = 7 } }]");
    let not = |condition| Match::Not(Box::new(condition));
    let expected = [not(Match::Source([RouteSource::External].into())), not(Match::OriginAs(Asn(7)))];
    assert_eq!(policy.rules[0].matches, expected);
}

#[test]
fn the_own_as_is_prepended() {
    let policy = import("import = [{ set.prepend = {} }, { set.prepend.count = 3 }]");
    let sets: Vec<&Set> = policy.rules.iter().flat_map(|rule| &rule.sets).collect();
    let prepend = |count| Set::Prepend { asn: Asn(65000), count };
    assert_eq!(sets, [&prepend(1), &prepend(3)]);
}

#[test]
fn names_that_are_taken() {
    assert_eq!(
        faults(&format!("{BASE}[policy.accept]\n")),
        ["t.toml:3:9: policy.accept: `accept` is a policy already: name it otherwise"]
    );
}

#[test]
fn rules_that_do_nothing() {
    let said =
        |rules: &str| notices(&format!("{BASE}[neighbor.net0]\nas = \"internal\"\nimport = [{rules}]\n"));
    let at = |column: usize, index: usize, message: &str| {
        format!("t.toml:5:{column}: notice: neighbor.net0.import[{index}]: {message}")
    };
    assert_eq!(said("{ verdict = \"accept\" }"), [""; 0]);
    assert_eq!(
        said("{ verdict = \"accept\" }, { verdict = \"reject\" }"),
        [at(35, 1, "no route gets here: a rule before it decides on all of them")]
    );
    assert_eq!(said("{ match.med = 1 }"), [at(11, 0, "this rule changes nothing and decides nothing")]);
    assert_eq!(
        said("{ set.med = 1, verdict = \"reject\" }"),
        [at(11, 0, "what this rule changes has no effect, for it rejects")]
    );
}
