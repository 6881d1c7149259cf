//! A directory that changes, look by look.

use std::collections::BTreeMap;

use peerage_kubernetes::{Look, Severity, Snapshot, Store};
use proptest::prelude::*;

use crate::{NODES, POLICY};

/// A directory as a test has it: names and texts, or why one cannot be read.
type Folder<'a> = BTreeMap<&'a str, Result<&'a str, &'a str>>;

fn look(store: &mut Store, folder: &Folder<'_>) -> bool {
    let files = folder.iter().map(|(name, found)| {
        let found = found.map(str::to_owned).map_err(str::to_owned);
        ((*name).to_owned(), found)
    });
    store.look(Look::Files(files))
}

fn absent(store: &mut Store, why: &str) -> bool {
    store.look(Look::<Vec<(String, Result<String, String>)>>::Absent(why.into()))
}

/// What is in use: `P` policies and `N` nodes with what tells two versions of them apart.
fn used(store: &Store) -> Vec<String> {
    let snapshot = store.snapshot();
    let policies = snapshot.policies().map(|stored| {
        let routers = stored.object.spec.as_ref().map(|spec| spec.virtual_routers.len());
        format!("P {} {}", stored.object.metadata.name, routers.unwrap_or_default())
    });
    let nodes = snapshot
        .nodes()
        .map(|stored| format!("N {} {:?}", stored.object.metadata.name, stored.object.pod_cidrs()));
    policies.chain(nodes).collect()
}

fn said(store: &Store) -> Vec<String> {
    store.snapshot().faults().iter().map(ToString::to_string).collect()
}

fn policy(name: &str) -> String {
    POLICY.replace("name: rack0", &format!("name: {name}"))
}

fn node(name: &str, prefix: &str) -> String {
    format!("apiVersion: v1\nkind: Node\nmetadata: {{name: {name}}}\nspec: {{podCIDR: {prefix:?}}}\n")
}

#[test]
fn files_come_change_and_go() {
    let mut store = Store::new("dir");
    let (rack0, rack1) = (policy("rack0"), policy("rack1"));
    let mut folder = Folder::from([("a.yaml", Ok(rack0.as_str()))]);
    assert!(look(&mut store, &folder));
    assert_eq!(used(&store), ["P rack0 1"]);
    assert!(!look(&mut store, &folder), "nothing changed");

    folder.insert("b.yaml", Ok(&rack1));
    assert!(look(&mut store, &folder));
    assert_eq!(used(&store), ["P rack0 1", "P rack1 1"]);
    folder.insert("a.yaml", Ok(&rack1));
    folder.insert("b.yaml", Ok(&rack0));
    assert!(look(&mut store, &folder), "one became the other");
    folder.remove("b.yaml");
    assert!(look(&mut store, &folder));
    assert_eq!(used(&store), ["P rack1 1"]);
    folder.clear();
    assert!(look(&mut store, &folder));
    assert!(store.files().count() == 0 && used(&store).is_empty() && said(&store).is_empty());
}

#[test]
fn a_file_that_is_not_good_any_more_takes_nothing_away() {
    let good = format!("{POLICY}---\n{}", node("n0", "10.1.0.0/24"));
    let before = ["P rack0 1", "N n0 [10.1.0.0/24]"];
    let stay = "a.yaml: notice: CiliumBGPPeeringPolicy/rack0, Node/n0 stay in use as last good";
    let cut = &good[..good.find("peerASN").unwrap() + 3];
    // (the file now, what is said)
    for (now, faults) in [
        (Ok(cut), vec!["a.yaml:14:7: expected \":\" after the key \"pee\""]),
        (Ok("a: [\n"), vec!["a.yaml:1:4: not valid YAML"]),
        (Ok(""), vec!["a.yaml: is empty; delete the file to take its objects away"]),
        (Ok(" \n\n"), vec!["a.yaml: is empty; delete the file to take its objects away"]),
        (Err("this user may not read it"), vec!["a.yaml: this user may not read it"]),
    ] {
        let mut store = Store::new("dir");
        look(&mut store, &Folder::from([("a.yaml", Ok(good.as_str()))]));
        assert_eq!(used(&store), before);
        assert!(look(&mut store, &Folder::from([("a.yaml", now)])), "{now:?}");
        assert_eq!(used(&store), before, "{now:?}");
        let found = said(&store);
        assert_eq!(found.len(), faults.len() + 1, "{found:?}");
        for (found, expected) in found.iter().zip(&faults) {
            assert_eq!(found.split(": ").next(), expected.split(": ").next(), "{found}");
        }
        assert_eq!(found.last().unwrap(), stay);
        assert!(!look(&mut store, &Folder::from([("a.yaml", now)])), "said once: {now:?}");
        // Good again, as it was or otherwise.
        assert!(look(&mut store, &Folder::from([("a.yaml", Ok(good.as_str()))])));
        assert_eq!((used(&store), said(&store)), (before.map(str::to_owned).to_vec(), vec![]), "{now:?}");
        look(&mut store, &Folder::from([("a.yaml", now)]));
        assert!(look(&mut store, &Folder::from([("a.yaml", Ok(POLICY))])));
        assert_eq!(used(&store), ["P rack0 1"], "what is left out of a good file goes");
        assert_eq!(said(&store), [""; 0]);
    }
}

#[test]
fn a_faulty_object_stays_as_it_was_and_the_others_follow() {
    let file = |rack0: &str, prefix: &str| format!("{rack0}---\n{}", node("n0", prefix));
    let bad = POLICY.replace("peerASN: 65010", "peerASN: none");
    let mut store = Store::new("dir");
    let first = file(POLICY, "10.1.0.0/24");
    look(&mut store, &Folder::from([("a.yaml", Ok(first.as_str()))]));
    let second = file(&bad, "10.2.0.0/24");
    assert!(look(&mut store, &Folder::from([("a.yaml", Ok(second.as_str()))])));
    assert_eq!(used(&store), ["P rack0 1", "N n0 [10.2.0.0/24]"]);
    let faults = store.snapshot().faults();
    assert_eq!((faults[0].line, faults[0].severity), (Some(14), Severity::Error));
    assert_eq!(faults[0].object.as_deref(), Some("CiliumBGPPeeringPolicy/rack0"));
    assert_eq!(faults[0].field.as_deref(), Some("spec.virtualRouters[0].neighbors[0].peerASN"));
    assert_eq!(
        faults[1].to_string(),
        "a.yaml: notice: CiliumBGPPeeringPolicy/rack0 stays in use as last good"
    );

    // Still faulty, and then without the other object: only that one goes.
    assert!(look(&mut store, &Folder::from([("a.yaml", Ok(bad.as_str()))])));
    assert_eq!(used(&store), ["P rack0 1"]);
    assert!(look(&mut store, &Folder::from([("a.yaml", Ok(first.as_str()))])));
    assert_eq!(used(&store), ["P rack0 1", "N n0 [10.1.0.0/24]"]);
    assert_eq!(said(&store), [""; 0]);

    // Who it is about is not known: nothing goes.
    let nameless = "apiVersion: v1\nkind: Node\nmetadata: {}\n";
    assert!(look(&mut store, &Folder::from([("a.yaml", Ok(nameless))])));
    assert_eq!(used(&store), ["P rack0 1", "N n0 [10.1.0.0/24]"]);
}

/// A Service that is wrong does not withdraw what it asked for when it was right.
#[test]
fn a_faulty_service_stays_as_it_was() {
    let file = |policy: &str, address: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {{type: LoadBalancer, externalTrafficPolicy: \
             {policy}}}\n---\napiVersion: v1\nkind: Service\nmetadata: {{name: db}}\nspec: {{externalIPs: [{address}]}}\n"
        )
    };
    let mut store = Store::new("dir");
    let (good, bad) = (file("Cluster", "192.0.2.1"), file("Nowhere", "192.0.2.2"));
    look(&mut store, &Folder::from([("a.yaml", Ok(good.as_str()))]));
    assert!(look(&mut store, &Folder::from([("a.yaml", Ok(bad.as_str()))])));
    let snapshot = store.snapshot();
    let spec = |name| snapshot.service("default", name).unwrap().object.spec.clone().unwrap();
    assert_eq!(spec("web").external_traffic_policy.as_deref(), Some("Cluster"));
    assert_eq!(spec("db").external_ips.unwrap(), ["192.0.2.2"]);
    assert_eq!(
        said(&store),
        [
            "a.yaml:4:51: Service/default/web: spec.externalTrafficPolicy: expected Cluster or Local, found the \
             text \"Nowhere\"",
            "a.yaml: notice: Service/default/web stays in use as last good",
        ]
    );
}

#[test]
fn a_new_file_gives_what_is_good_of_it() {
    let bad = policy("rack1").replace("localASN: 65010", "localASN: x");
    let file = format!("{POLICY}---\n{bad}---\na: [\n");
    let mut store = Store::new("dir");
    assert!(look(&mut store, &Folder::from([("a.yaml", Ok(file.as_str()))])));
    assert_eq!(used(&store), ["P rack0 1"]);
    assert_eq!(said(&store).len(), 2);
}

#[test]
fn the_same_object_in_two_files_is_said_at_both() {
    let mut store = Store::new("dir");
    let mut folder = Folder::from([("dir/b.yaml", Ok(POLICY)), ("dir/a.yaml", Ok(NODES))]);
    look(&mut store, &folder);
    assert_eq!(said(&store), [""; 0]);
    let twice = format!("{POLICY}---\n{}", node("n1", "10.9.0.0/24"));
    folder.insert("dir/c.yaml", Ok(&twice));
    look(&mut store, &folder);
    let place = "there is one of that name already, at";
    assert_eq!(
        said(&store),
        [
            format!(
                "dir/c.yaml:4:9: CiliumBGPPeeringPolicy/rack0: metadata.name: {place} dir/b.yaml:1, which is used"
            ),
            format!("dir/c.yaml:19:18: Node/n1: metadata.name: {place} dir/a.yaml:15, which is used"),
        ]
    );
    // The one in use goes: the other takes its place, and nothing is wrong.
    folder.remove("dir/b.yaml");
    look(&mut store, &folder);
    assert_eq!(used(&store)[0], "P rack0 1");
    assert_eq!(said(&store).len(), 1);
}

#[test]
fn a_directory_that_is_away_changes_nothing() {
    let mut store = Store::new("dir");
    let folder = Folder::from([("a.yaml", Ok(POLICY))]);
    look(&mut store, &folder);
    assert!(absent(&mut store, "there is no such directory"));
    assert!(!absent(&mut store, "there is no such directory"), "said once");
    assert_eq!(used(&store), ["P rack0 1"]);
    assert_eq!(said(&store), ["dir: there is no such directory; what it held last stays in use"]);

    // Made again, not filled yet.
    assert!(look(&mut store, &Folder::new()));
    assert!(!look(&mut store, &Folder::new()));
    assert_eq!(used(&store), ["P rack0 1"]);
    assert!(said(&store)[0].contains("holds no *.yaml"), "{:?}", said(&store));

    assert!(look(&mut store, &folder), "the fault is gone");
    assert_eq!((used(&store), said(&store)), (vec!["P rack0 1".to_owned()], vec![]));
    assert!(absent(&mut store, "gone"));
    let other = policy("rack1");
    let folder = Folder::from([("b.yaml", Ok(other.as_str()))]);
    assert!(look(&mut store, &folder));
    assert_eq!(used(&store), ["P rack0 1", "P rack1 1"]);
    assert!(look(&mut store, &folder));
    assert_eq!(used(&store), ["P rack1 1"]);
}

#[test]
fn a_directory_that_is_back_is_believed_when_it_is_still() {
    let (rack0, rack1, n0) = (policy("rack0"), policy("rack1"), node("n0", "10.1.0.0/24"));
    let cut = &n0[..n0.len() - 12];
    let file = |name| match name {
        'a' => ("a.yaml", Ok(rack0.as_str())),
        'b' => ("b.yaml", Ok(rack1.as_str())),
        'n' => ("n.yaml", Ok(n0.as_str())),
        // The same file, halfway there.
        'c' => ("n.yaml", Ok(cut)),
        _ => unreachable!(),
    };
    let all = "P rack0 1, P rack1 1, N n0 [10.1.0.0/24]";
    // (the looks after it was away, what is in use in the end, whether another look is wanted)
    for (looks, in_use, unsettled) in [
        (vec!["a"], all, true),
        (vec!["a", "a"], "P rack0 1", false),
        // A slow copy.
        (vec!["", "a", "ab"], all, true),
        (vec!["", "a", "ab", "abn"], all, false),
        (vec!["a", "ab", "ab"], "P rack0 1, P rack1 1", false),
        (vec!["c", "n"], all, true),
        (vec!["c", "n", "n"], "N n0 [10.1.0.0/24]", false),
        // One goes and one comes.
        (vec!["a", "b", "a"], all, true),
        (vec!["a", "b", "b"], "P rack1 1", false),
        // An empty one is never believed; nor is one that was away in between.
        (vec!["", ""], all, false),
        (vec!["a", "", "a"], all, true),
        (vec!["a", "away", "a"], all, true),
        (vec!["a", "away"], all, false),
        // What goes after that is gone at once.
        (vec!["abn", "a"], "P rack0 1", false),
        (vec!["a", "a", ""], "", false),
    ] {
        let mut store = Store::new("dir");
        look(&mut store, &"abn".chars().map(file).collect());
        absent(&mut store, "away");
        for now in &looks {
            match *now {
                "away" => absent(&mut store, "away"),
                files => look(&mut store, &files.chars().map(file).collect()),
            };
        }
        assert_eq!(used(&store).join(", "), in_use, "{looks:?}");
        assert_eq!(store.is_unsettled(), unsettled, "{looks:?}");
        if unsettled {
            assert!(said(&store)[0].starts_with("dir: is back without "), "{:?}", said(&store));
        }
    }
}

#[test]
fn what_is_said_of_one_file_is_bounded() {
    use std::fmt::Write as _;

    let mut file = POLICY.to_owned();
    for _ in 0..5000 {
        _ = writeln!(file, "    - {{peerAddress: nowhere, peerASN: 1}}");
    }
    let mut store = Store::new("dir");
    look(&mut store, &Folder::from([("a.yaml", Ok(POLICY))]));
    look(&mut store, &Folder::from([("a.yaml", Ok(file.as_str()))]));
    let faults = said(&store);
    assert!(faults.len() < 110, "{}", faults.len());
    assert!(faults.iter().any(|fault| fault.contains("more faults")), "{:?}", faults.last());
    assert_eq!(used(&store), ["P rack0 1"]);
}

#[test]
fn of_a_file_that_is_no_yaml_any_more_nothing_new_is_used() {
    let file = |prefix: &str, end: &str| format!("{}---\n{POLICY}{end}", node("n0", prefix));
    let (good, cut) = (file("10.1.0.0/24", ""), file("10.2.0.0/24", "    - {peerAddress: "));
    let mut store = Store::new("dir");
    look(&mut store, &Folder::from([("a.yaml", Ok(good.as_str()))]));
    look(&mut store, &Folder::from([("a.yaml", Ok(cut.as_str()))]));
    assert_eq!(used(&store), ["P rack0 1", "N n0 [10.1.0.0/24]"]);
}

#[test]
fn faults_that_are_not_kept_take_nothing_away_either() {
    let many = "    - {peerAddress: nowhere, peerASN: 1}\n".repeat(200);
    let bad = policy("rack1").replace("localASN: 65010", "localASN: x");
    let (good, wrong) = (format!("{POLICY}---\n{}", policy("rack1")), format!("{POLICY}{many}---\n{bad}"));
    let mut store = Store::new("dir");
    look(&mut store, &Folder::from([("a.yaml", Ok(good.as_str()))]));
    look(&mut store, &Folder::from([("a.yaml", Ok(wrong.as_str()))]));
    assert!(said(&store).iter().all(|fault| !fault.contains("localASN")), "else it says nothing");
    assert_eq!(used(&store), ["P rack0 1", "P rack1 1"]);
}

#[test]
fn every_prefix_of_a_file_keeps_what_was_good() {
    // Cut anywhere, a file says what it did, less, or (where what is left is good) something whole.
    let good = format!("{POLICY}---\n{}", node("n0", "10.1.0.0/24"));
    for end in 0..good.len() {
        let mut store = Store::new("dir");
        look(&mut store, &Folder::from([("a.yaml", Ok(good.as_str()))]));
        look(&mut store, &Folder::from([("a.yaml", Ok(&good[..end]))]));
        let mut fresh = Snapshot::new();
        fresh.read("a.yaml", &good[..end]);
        let errors = fresh.faults().iter().any(|fault| fault.severity == Severity::Error);
        if errors || good[..end].trim().is_empty() {
            assert!(used(&store).iter().any(|object| object.starts_with("P rack0")), "cut at {end}");
        }
        look(&mut store, &Folder::from([("a.yaml", Ok(good.as_str()))]));
        assert_eq!(used(&store), ["P rack0 1", "N n0 [10.1.0.0/24]"], "cut at {end}");
        assert_eq!(said(&store), [""; 0], "cut at {end}");
    }
}

/// One file at one moment.
fn any_text() -> impl Strategy<Value = Option<String>> {
    let names = prop_oneof![Just("rack0"), Just("rack1"), Just("rack2")];
    let good = (names, 0..4_u8).prop_map(|(name, number)| {
        format!("{}---\n{}", policy(name), node(&format!("n{number}"), &format!("10.{number}.0.0/24")))
    });
    prop_oneof![
        1 => Just(None),
        3 => good.clone().prop_map(Some),
        2 => (good, any::<proptest::sample::Index>())
            .prop_map(|(text, cut)| Some(text[..cut.index(text.len())].to_owned())),
        1 => Just(Some("a: [\n".to_owned())),
    ]
}

proptest! {
    #[test]
    fn the_way_to_good_files_does_not_matter(
        looks in prop::collection::vec(prop::option::weighted(0.8, prop::collection::vec(any_text(), 3)), 0..8),
        last in prop::collection::vec(prop::option::of(0..3_usize), 3),
    ) {
        let mut store = Store::new("dir");
        let names = ["a.yaml", "b.yaml", "c.yaml"];
        for files in looks {
            let Some(files) = files else {
                absent(&mut store, "away");
                continue;
            };
            let folder = names.iter().zip(&files);
            let folder = folder.filter_map(|(name, text)| text.as_deref().map(|text| (*name, Ok(text))));
            look(&mut store, &folder.collect());
        }
        // Files that are good, one at least: an empty directory after an absent one is no end.
        let texts: Vec<String> = (0..3).map(|number| policy(&format!("rack{number}"))).collect();
        let mut folder = Folder::from([("z.yaml", Ok(NODES))]);
        for (name, number) in names.iter().zip(&last) {
            if let Some(number) = number {
                folder.insert(name, Ok(&texts[*number]));
            }
        }
        // Twice: a directory that was away is not believed before.
        look(&mut store, &folder);
        look(&mut store, &folder);
        let mut fresh = Store::new("dir");
        look(&mut fresh, &folder);
        prop_assert_eq!(store.snapshot(), fresh.snapshot());
        prop_assert!(!look(&mut store, &folder));
    }
}
