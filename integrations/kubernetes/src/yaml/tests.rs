use proptest::prelude::*;
use serde::Deserialize;
use serde_json::json;

use super::*;

/// The only document of a text that has nothing wrong.
fn one(text: &str) -> Document {
    let (mut documents, faults) = parse("file.yaml", text);
    assert_eq!(faults, []);
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0)
}

/// What is said about a text, and how many documents of it can be read.
fn faults(text: &str) -> (usize, Vec<String>) {
    let (documents, faults) = parse("file.yaml", text);
    (documents.len(), faults.iter().map(ToString::to_string).collect())
}

#[test]
fn scalars_follow_the_core_schema_of_yaml_1_2() {
    for (text, value) in [
        ("no", json!("no")),
        ("yes", json!("yes")),
        ("on", json!("on")),
        ("off", json!("off")),
        ("true", json!(true)),
        ("False", json!(false)),
        ("tRue", json!("tRue")),
        ("x: ~", json!({"x": null})),
        ("x: null", json!({"x": null})),
        ("x:", json!({"x": null})),
        ("x: ''", json!({"x": ""})),
        ("65010", json!(65010)),
        ("-1", json!(-1)),
        ("+7", json!(7)),
        ("0777", json!(777)),
        ("0o777", json!(511)),
        ("0x1F", json!(31)),
        ("0x", json!("0x")),
        ("4294967296", json!(4_294_967_296_u64)),
        ("18446744073709551615", json!(u64::MAX)),
        ("99999999999999999999", json!(1e20)),
        ("1.5", json!(1.5)),
        ("1e3", json!(1000.0)),
        (".5", json!(0.5)),
        ("1.", json!(1.0)),
        (".", json!(".")),
        (".inf", json!(".inf")),
        ("1_000", json!("1_000")),
        ("10:20", json!("10:20")),
        ("10.0.0.1", json!("10.0.0.1")),
        ("10.0.0.1/32", json!("10.0.0.1/32")),
        ("fd00::1/128", json!("fd00::1/128")),
        ("2026-11-23", json!("2026-11-23")),
        ("'65010'", json!("65010")),
        ("!!str 65010", json!("65010")),
        ("! 65010", json!("65010")),
        ("!!int 65010", json!(65010)),
        ("{1: a, true: b}", json!({"1": "a", "true": "b"})),
    ] {
        assert_eq!(one(text).value, value, "{text}");
    }
}

#[test]
fn json_is_yaml() {
    let document = one("{\n\t\"kind\": \"Node\",\n\t\"spec\": {\"podCIDRs\": [\"10.1.0.0/24\"]}\n}\n");
    assert_eq!(document.value, json!({"kind": "Node", "spec": {"podCIDRs": ["10.1.0.0/24"]}}));
    assert_eq!(document.position("spec.podCIDRs[0]"), Some((3, 24)));
}

#[test]
fn positions() {
    let document = one("\
# a comment
kind: Node   # another
metadata:
  name: \"ä\"
  labels: {example.org/rack: r0, example: x}
spec:
- one
-
  - two
  - key: {three: 3}
empty:
text: |
  a
");
    for (path, position) in [
        ("", (2, 1)),
        ("kind", (2, 7)),
        ("metadata", (3, 1)),
        ("metadata.name", (4, 9)),
        ("metadata.labels", (5, 11)),
        ("metadata.labels.example.org/rack", (5, 30)),
        ("metadata.labels[example.org/rack]", (5, 30)),
        ("metadata.labels[\"example.org/rack\"]", (5, 30)),
        ("metadata.labels.example", (5, 43)),
        ("spec", (6, 1)),
        ("spec[0]", (7, 3)),
        ("spec[1]", (9, 3)),
        ("spec[1][0]", (9, 5)),
        ("spec[1][1].key.three", (10, 18)),
        ("empty", (11, 1)),
        ("text", (13, 3)),
        // The nearest that exists.
        ("metadata.namespace", (3, 1)),
        ("metadata.labels.none.deeper[3]", (5, 11)),
        ("spec[9].x", (6, 1)),
        ("spec[x]", (6, 1)),
        ("nothing", (2, 1)),
        ("[0]", (2, 1)),
        ("kind[0].x", (2, 7)),
    ] {
        assert_eq!(document.position(path), Some(position), "{path}");
    }
    assert_eq!(document.get("spec[1][1].key.three"), Some(&json!(3)));
    assert_eq!(document.get("metadata.labels.example.org/rack"), Some(&json!("r0")));
    assert_eq!(document.get("spec[9]"), None);
    assert_eq!(document.keys(""), ["kind", "metadata", "spec", "empty", "text"]);
    assert_eq!(document.keys("spec"), [""; 0]);
}

#[test]
fn a_document_that_is_no_yaml_does_not_take_the_others_down() {
    let text = "a: 1\n---\nb: [1, 2\n---\nc: 3\n--- # d\nd: 'open\n---\ne: 5\n...\n---\nf: }\n";
    let (documents, faults) = parse("file.yaml", text);
    let values: Vec<_> = documents.iter().map(|document| document.value.clone()).collect();
    assert_eq!(values, [json!({"a": 1}), json!({"c": 3}), json!({"e": 5})]);
    assert_eq!(documents[1].position("c"), Some((5, 4)));
    let texts: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "file.yaml:3:4: not valid YAML: unclosed bracket '['",
            "file.yaml:7:4: not valid YAML: while scanning a quoted scalar, found unexpected document indicator",
            "file.yaml:12:4: not valid YAML: misplaced bracket",
        ]
    );
}

#[test]
fn a_marker_inside_a_block_scalar_splits_nothing() {
    let document = one("a: |\n  x: 1\n  ---\n  y: 2\nb: 1\n");
    assert_eq!(document.value, json!({"a": "x: 1\n---\ny: 2\n", "b": 1}));
    let (inner, faults) = document.nested("a");
    assert_eq!(faults, []);
    assert_eq!(inner.len(), 2);
    assert_eq!(inner[1].position("y"), Some((4, 6)));
}

#[test]
fn empty_documents_are_left_out() {
    for text in ["", "\n", "# only a comment\n", "---\n", "---\n---\n...\n", "\u{FEFF}"] {
        assert_eq!(faults(text), (0, vec![]), "{text:?}");
    }
    assert_eq!(one("---\n---\na: 1\n---\n").position("a"), Some((3, 4)));
    assert_eq!(one("\u{FEFF}a: 1\n").position("a"), Some((1, 4)));
    assert_eq!(one("a: 1\r\nb: 2\r\n").position("b"), Some((2, 4)));
}

#[test]
fn what_is_refused() {
    for (text, expected) in [
        ("a: 1\nb: 2\na: 3\n", "file.yaml:3:1: the key `a` stands here twice, first on line 1"),
        ("a: {x: 1, 'x': 2}", "file.yaml:1:11: the key `x` stands here twice, first on line 1"),
        ("a: !cat 1", "file.yaml:1:9: the tag `!cat` does not go with `1`"),
        ("a: !!int x", "file.yaml:1:10: the tag `!!int` does not go with `x`"),
        ("a: !set {x: 1}", "file.yaml:1:9: the tag `!set` is not known here"),
        ("[a]: 1", "file.yaml:1:1: a list or mapping cannot be a key here: expected a text"),
        ("a: *x", "file.yaml:1:4: not valid YAML: while parsing node, found unknown anchor"),
        ("a: &x [*x]", "file.yaml:1:8: this alias refers to what it stands in"),
        ("a: &x b\n*x : c", "file.yaml:2:1: an alias cannot be a key here: expected a text"),
        ("a: b: c", "file.yaml:1:5: not valid YAML: mapping values are not allowed in this context"),
    ] {
        assert_eq!(faults(text), (0, vec![expected.to_owned()]), "{text}");
    }
    // What was wrong before a document turns out unreadable is said as well.
    let (documents, both) = faults("a: 1\na: 2\nb: [\n---\nc: 1\n");
    assert_eq!((documents, both.len()), (1, 2), "{both:?}");
    let many = faults(&"a: 1\n".repeat(100_000));
    assert_eq!(many.1.len(), 33);
    assert_eq!(many.1[32], "file.yaml:34:1: and more like this");
    // Both of two, and the other document goes on working.
    let (documents, both) = faults("a: 1\na: 2\nb: 1\nb: 2\n---\nc: 1\n");
    assert_eq!((documents, both.len()), (1, 2));
}

#[test]
fn aliases_and_merge_keys() {
    let document =
        one("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\nlist: *b\nboth: {<<: [{p: 1}, {p: 2, q: 3}]}\n");
    assert_eq!(
        document.value,
        json!({
            "base": {"x": 1, "y": 2}, "use": {"x": 1, "y": 3}, "list": {"x": 1, "y": 2},
            "both": {"p": 1, "q": 3},
        })
    );
    assert_eq!(document.position("list"), Some((5, 7)));
    assert_eq!(document.position("list.y"), Some((1, 20)), "where it has to be changed");
    assert_eq!(document.position("use.x"), Some((1, 14)));
    assert_eq!(document.position("use.y"), Some((4, 6)));
    assert_eq!(one("'<<': {a: 1}").value, json!({"a": 1}));
}

#[test]
fn bombs() {
    let mut laughs = String::from("a0: &a0 [lol, lol, lol]\n");
    for level in 1..40 {
        let below = level - 1;
        laughs += &format!("a{level}: &a{level} [*a{below}, *a{below}, *a{below}]\n");
    }
    laughs += "---\nfine: 1\n";
    let (documents, texts) = faults(&laughs);
    assert_eq!((documents, texts.len()), (1, 1));
    assert!(texts[0].ends_with("anchors and aliases copy more than 100000 values"), "{texts:?}");

    let long = "x".repeat(1 << 20);
    let copies = format!("a: &a {long}\nb: [{}]\n", vec!["*a"; 1000].join(", "));
    assert!(faults(&copies).1[0].contains("copy more than"));

    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        let nested = |depth| format!("{}{}", open.repeat(depth), close.repeat(depth));
        assert_eq!(faults(&nested(90)).0, 1);
        assert_eq!(faults(&nested(100_000)).0, 0);
        assert_eq!(faults(&nested(100_000)).1.len(), 1);
    }
    assert_eq!(faults(&"- ".repeat(50_000)).0, 0);

    let mut deep = String::from("a0: &a0 [[[[[[[[[[x]]]]]]]]]]\n");
    for level in 1..40 {
        deep += &format!("a{level}: &a{level} [[[[[[[[[[*a{}]]]]]]]]]]\n", level - 1);
    }
    let (_, texts) = faults(&deep);
    assert!(texts[0].ends_with("nested more than 100 deep"), "{texts:?}");
}

#[test]
fn a_type_error_has_a_path_and_a_place() {
    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Outer {
        #[allow(dead_code)]
        inner_list: Vec<Inner>,
    }
    #[derive(Debug, Deserialize)]
    struct Inner {
        #[allow(dead_code)]
        port: u16,
    }
    let document = one("x:\n  innerList:\n  - port: 179\n  - port: no\n");
    assert_eq!(
        document.read::<Outer>("x").unwrap_err().to_string(),
        "file.yaml:4:11: x.innerList[1].port: invalid type: string \"no\", expected u16"
    );
    assert_eq!(
        document.read::<Outer>("").unwrap_err().to_string(),
        "file.yaml:1:1: missing field `innerList`"
    );
    assert_eq!(
        document.read::<Vec<Inner>>("x.innerList").unwrap_err().to_string(),
        "file.yaml:4:11: x.innerList[1].port: invalid type: string \"no\", expected u16"
    );
    assert!(document.read::<Vec<Inner>>("x.none").is_err());
    assert_eq!(document.read::<Inner>("x.innerList[0]").unwrap().port, 179);
}

#[test]
fn yaml_inside_of_yaml() {
    let document = one("\
nodes:
- role: worker
  kubeadmConfigPatches:
  - |  # a header
    # first a comment

    kind: JoinConfiguration
    nodeRegistration:
      kubeletExtraArgs:
        node-labels: \"rack=rack0\"
  - 'kind: X'
  - \"kind: Y\\nname: z\"
  - >-
    kind: W
  - 'a: ''b'''
  - 7
  - |
    'x': 1
    'y': 2
");
    let at = |index: usize| format!("nodes[0].kubeadmConfigPatches[{index}]");
    let (inner, faults) = document.nested(&at(0));
    assert_eq!(faults, []);
    assert_eq!(inner[0].position("kind"), Some((7, 11)));
    assert_eq!(inner[0].position("nodeRegistration"), Some((8, 5)));
    assert_eq!(inner[0].position("nodeRegistration.kubeletExtraArgs.node-labels"), Some((10, 22)));
    assert_eq!(document.nested(&at(1)).0[0].position("kind"), Some((11, 12)));
    // With escapes, the beginning of the text is the best that can be said.
    assert_eq!(document.nested(&at(2)).0[0].position("name"), Some((12, 5)));
    assert_eq!(document.nested(&at(3)).0[0].position("kind"), Some((14, 11)));
    assert_eq!(document.nested(&at(4)).0[0].position("a"), Some((15, 5)));
    let odd = &document.nested(&at(6)).0[0];
    assert_eq!((odd.position("x"), odd.position("y")), (Some((18, 10)), Some((19, 10))));
    for path in [at(5), at(7), "nodes".into()] {
        assert_eq!(document.nested(&path), (vec![], vec![]), "{path}");
    }

    let document = one("a:\n- |\n  kind: X\n   bad: [\n");
    let (inner, faults) = document.nested("a[0]");
    assert_eq!(inner, []);
    assert_eq!((faults.len(), faults[0].line), (1, Some(4)), "{faults:?}");
}

#[test]
fn a_long_line_is_read_in_one_go() {
    let document = one(&format!("x: '{}'\n", "{a: b} # ".repeat(200_000)));
    assert_eq!(document.nested("x").0[0].position("a"), Some((1, 9)));
}

#[test]
fn lines_of_commands() {
    let document = one("\
exec:
- ip addr add 10.0.0.0/32 dev lo

- >-
   vtysh -c 'conf t'
   -c 'router bgp 65000'

   -c '!'
");
    assert_eq!(document.position("exec[0]"), Some((2, 3)));
    assert_eq!(document.position("exec[1]"), Some((5, 4)));
    let value = document.get("exec[1]").and_then(Value::as_str).unwrap();
    assert_eq!(document.position_within("exec[1]", value.find("router").unwrap()), Some((6, 8)));
    assert_eq!(document.position_within("exec[1]", value.find('!').unwrap()), Some((8, 8)));
    assert_eq!(document.position_within("exec[1]", 0), Some((5, 4)));
    assert_eq!(document.position_within("exec[1]", 10_000), Some((8, 9)));
    assert_eq!(document.position_within("exec", 0), None);
}

proptest! {
    #[test]
    fn no_text_panics(text in "(?s).{0,200}", path in "[a-c.\\[\\]0-9\"]{0,12}") {
        touch(&text, &path);
    }

    #[test]
    fn no_near_yaml_panics(
        text in "([ \\n]|- |[ab]: |\\||>|'|\"|---\\n|\\.\\.\\.\\n|&a |\\*a|\\[|\\]|\\{|\\}|,|!!int |<<: |# |x|1|\\\\n|ä|\\r|\\t){0,60}",
        path in "[ab.\\[\\]0-2]{0,8}",
    ) {
        touch(&text, &path);
    }

    #[test]
    fn what_json_says_is_read_back(value in json_value()) {
        let text = serde_json::to_string_pretty(&value).unwrap();
        let (documents, faults) = parse("f", &text);
        prop_assert_eq!(faults, vec![]);
        prop_assert_eq!(documents.len(), usize::from(!value.is_null()));
        for document in documents {
            prop_assert_eq!(&document.value, &value);
        }
    }
}

/// Everything that can be asked about a text.
fn touch(text: &str, path: &str) {
    let (documents, faults) = parse("f", text);
    for fault in faults {
        let _ = fault.to_string();
    }
    for document in documents {
        let _ = (document.get(path), document.keys(path), document.read::<Vec<u8>>(path));
        let (line, column) = document.position(path).unwrap();
        assert!(line >= 1 && column >= 1);
        let _ = document.position_within(path, 3);
        for inner in document.nested(path).0 {
            let _ = inner.position(path);
        }
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~äöü]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z./ ]{0,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
