//! Label selectors: what they choose, and which are refused.

use std::collections::BTreeMap;

use peerage_kubernetes::{LabelSelector, Requirement};
use proptest::prelude::*;

use crate::{NODES, compiled, faults, policy};

const SELECTOR: &str = "\n    matchLabels:\n      rack: r0";

/// Which nodes a selector, as YAML, chooses of n0 in r0 and n1 in r1.
fn chosen(selector: &str) -> Vec<&'static str> {
    let text = policy(SELECTOR, &format!(" {selector}"));
    ["n0", "n1"].into_iter().filter(|node| compiled(&[&text, NODES], node).policy.is_some()).collect()
}

#[test]
fn what_is_chosen() {
    for (selector, nodes) in [
        ("", &["n0", "n1"][..]),
        ("{}", &["n0", "n1"]),
        ("{matchLabels: {}, matchExpressions: []}", &["n0", "n1"]),
        ("{matchLabels: {rack: r0}}", &["n0"]),
        ("{matchLabels: {rack: r1}}", &["n1"]),
        ("{matchLabels: {rack: r2}}", &[]),
        ("{matchLabels: {rack: r0, zone: a}}", &[]),
        ("{matchLabels: {rack: ''}}", &[]),
        ("{matchExpressions: [{key: rack, operator: In, values: [r1, r2]}]}", &["n1"]),
        ("{matchExpressions: [{key: rack, operator: NotIn, values: [r1, r2]}]}", &["n0"]),
        ("{matchExpressions: [{key: zone, operator: NotIn, values: [a]}]}", &["n0", "n1"]),
        ("{matchExpressions: [{key: zone, operator: In, values: ['']}]}", &[]),
        ("{matchExpressions: [{key: rack, operator: Exists}]}", &["n0", "n1"]),
        ("{matchExpressions: [{key: zone, operator: Exists, values: []}]}", &[]),
        ("{matchExpressions: [{key: rack, operator: DoesNotExist}]}", &[]),
        ("{matchExpressions: [{key: zone, operator: DoesNotExist}]}", &["n0", "n1"]),
        ("{matchLabels: {rack: r0}, matchExpressions: [{key: rack, operator: NotIn, values: [r0]}]}", &[]),
    ] {
        assert_eq!(chosen(selector), nodes, "{selector}");
    }
}

#[test]
fn what_is_refused() {
    let value = "at most 63 letters, digits, \"-\", \"_\" and \".\", the first and last a letter or digit";
    let key = "a label key such as \"rack\" or \"example.org/rack\"";
    let long = "x".repeat(64);
    for (selector, place, message) in [
        (
            "{matchLabels: {rack: 1}}".to_owned(),
            "6:38: F.matchLabels[rack]",
            format!("expected {value}, found 1"),
        ),
        (
            "{matchLabels: {rack: a b}}".into(),
            "6:38: F.matchLabels[rack]",
            format!("expected {value}, found the text \"a b\""),
        ),
        (
            format!("{{matchLabels: {{rack: {long}}}}}"),
            "6:38: F.matchLabels[rack]",
            format!("expected {value}, found the text \"{long}\""),
        ),
        (
            "{matchLabels: {/rack: a}}".into(),
            "6:39: F.matchLabels[/rack]",
            format!("expected {key} as the key"),
        ),
        (
            "{matchLabels: {a/b/c: a}}".into(),
            "6:39: F.matchLabels[a/b/c]",
            format!("expected {key} as the key"),
        ),
        (
            "{matchLabels: {Example.org/a: a}}".into(),
            "6:47: F.matchLabels[Example.org/a]",
            format!("expected {key} as the key"),
        ),
        (
            "{matchLabels: [rack]}".into(),
            "6:31: F.matchLabels",
            "expected a mapping of texts to texts, found a list".into(),
        ),
        (
            "{matchExpressions: [{key: rack, operator: in, values: [a]}]}".into(),
            "6:59: F.matchExpressions[0].operator",
            "expected In, NotIn, Exists or DoesNotExist, found the text \"in\"".into(),
        ),
        (
            "{matchExpressions: [{key: rack, values: [a]}]}".into(),
            "6:37: F.matchExpressions[0].operator",
            "missing: expected In, NotIn, Exists or DoesNotExist".into(),
        ),
        (
            "{matchExpressions: [{operator: Exists}]}".into(),
            "6:37: F.matchExpressions[0].key",
            format!("missing: expected {key}"),
        ),
        (
            "{matchExpressions: [{key: 'a b', operator: Exists}]}".into(),
            "6:43: F.matchExpressions[0].key",
            format!("expected {key}, found the text \"a b\""),
        ),
        (
            "{matchExpressions: [{key: a, operator: In}]}".into(),
            "6:37: F.matchExpressions[0].values",
            "expected at least one value for the operator In".into(),
        ),
        (
            "{matchExpressions: [{key: a, operator: NotIn, values: []}]}".into(),
            "6:71: F.matchExpressions[0].values",
            "expected at least one value for the operator NotIn".into(),
        ),
        (
            "{matchExpressions: [{key: a, operator: Exists, values: [b]}]}".into(),
            "6:72: F.matchExpressions[0].values",
            "expected no values for the operator Exists".into(),
        ),
        (
            "{matchExpressions: [{key: a, operator: DoesNotExist, values: [b]}]}".into(),
            "6:78: F.matchExpressions[0].values",
            "expected no values for the operator DoesNotExist".into(),
        ),
        ("rack0".into(), "6:17: F", "expected a mapping, found the text \"rack0\"".into()),
    ] {
        let place = place.replace('F', "CiliumBGPPeeringPolicy/rack0: spec.nodeSelector");
        assert_eq!(
            faults(&[&policy(SELECTOR, &format!(" {selector}"))]),
            [format!("a.yaml:{place}: {message}")],
            "{selector}"
        );
    }
    // The other selectors are held to the same.
    for field in ["serviceSelector", "podIPPoolSelector"] {
        let wrong = format!("{field}: {{matchExpressions: [{{key: a, operator: In}}]}}");
        assert_eq!(faults(&[&policy("exportPodCIDR: true", &wrong)]).len(), 1);
    }
}

/// The definition, written down once more and differently: the set of objects that each requirement
/// leaves over.
fn naive(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let mut left = vec![labels];
    if let Some(wanted) = &selector.match_labels {
        left.retain(|labels| wanted.iter().all(|pair| labels.iter().any(|other| other == pair)));
    }
    for requirement in selector.match_expressions.as_deref().unwrap_or_default() {
        let values = requirement.values.clone().unwrap_or_default();
        left.retain(|labels| match (requirement.operator.as_str(), labels.get(&requirement.key)) {
            ("In", Some(value)) => values.contains(value),
            ("NotIn", Some(value)) => !values.contains(value),
            ("Exists", Some(_)) | ("NotIn" | "DoesNotExist", None) => true,
            _ => false,
        });
    }
    !left.is_empty()
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    proptest::collection::btree_map("[abc]", "[xyz]", 0..4)
}

fn requirement() -> impl Strategy<Value = Requirement> {
    let operator = proptest::sample::select(vec!["In", "NotIn", "Exists", "DoesNotExist"]);
    ("[abc]", operator, proptest::collection::vec("[xyz]", 1..3)).prop_map(|(key, operator, values)| {
        let values = ["In", "NotIn"].contains(&operator).then_some(values);
        Requirement { key, operator: operator.into(), values }
    })
}

proptest! {
    #[test]
    fn selectors_choose_what_their_definition_says(
        labels in labels(),
        match_labels in proptest::option::of(labels()),
        match_expressions in proptest::option::of(proptest::collection::vec(requirement(), 0..4)),
    ) {
        let selector = LabelSelector { match_labels, match_expressions };
        prop_assert_eq!(selector.matches(&labels), naive(&selector, &labels));
    }
}
