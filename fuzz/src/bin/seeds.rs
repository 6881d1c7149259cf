//! Writes the corpus that fuzzing starts from: `seeds FOLDER` fills `FOLDER/message` and `FOLDER/session`.
//!
//! Messages of ours come from the encoders; where the conformance data is there (`PEERAGE_SHARED`, or
//! `shared` beside the workspace), so do its vectors and whatever looks like a message in its captures.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use peerage_core::wire::{
    AddPathMode, Afi, Asn, Capability, Community, ExtendedCommunity, Family, GracefulRestartFamily,
    HEADER_LEN, KEEPALIVE, LargeCommunity, MAX_EXTENDED_LEN, MessageKind, Notification, Open, RouteRefresh,
    RouterId,
    attr::{Aggregator, AsPath, OtherAttribute, PathAttributes, Segment, SegmentKind, code, write},
    begin_message, finish_message, frame, nlri,
};

use peerage_fuzz::session;

fn main() -> io::Result<()> {
    let root = env::args_os().nth(1).map_or_else(|| PathBuf::from("corpus"), PathBuf::from);
    let folder = root.join("message");
    fs::create_dir_all(&folder)?;
    let mut messages = vec![KEEPALIVE.to_vec()];
    control(&mut messages);
    updates(&mut messages);
    let ours = messages.len();
    if let Err(error) = collect(&shared(), &mut messages) {
        eprintln!("no vectors: {error}");
    }
    let mut written = 0;
    for (at, message) in messages.iter().enumerate() {
        let Ok(Some(frame)) = frame(message, MAX_EXTENDED_LEN) else { continue };
        let kind = frame.kind as u8;
        // Ours for every kind of session; the others for one of the two widths of AS numbers each.
        let sessions = if at < ours { 0..16 } else { 14..16 };
        for session in sessions {
            let seed = [&[session, kind], frame.body].concat();
            fs::write(folder.join(format!("{at:05}-{session:02}")), seed)?;
            written += 1;
        }
    }
    sessions(&root.join("session"), &messages)?;
    println!("{written} seeds of {} messages ({ours} of ours) in {}", messages.len(), folder.display());
    Ok(())
}

/// Every message once in each state, after which the speaker is looked after.
fn sessions(folder: &Path, messages: &[Vec<u8>]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for (at, message) in messages.iter().enumerate() {
        let Ok(Some(frame)) = frame(message, MAX_EXTENDED_LEN) else { continue };
        let Ok(len) = u16::try_from(frame.body.len()) else { continue };
        let [high, low] = len.to_be_bytes();
        for before in 0..3 {
            let op = [session::MESSAGE, frame.kind as u8, high, low];
            let seed = [&[before, 1][..], &op, frame.body, &[session::POLL]].concat();
            fs::write(folder.join(format!("{at:05}-{before}")), seed)?;
        }
    }
    Ok(())
}

fn control(messages: &mut Vec<Vec<u8>>) {
    let mut add = |encode: &dyn Fn(&mut Vec<u8>)| {
        let mut message = Vec::new();
        encode(&mut message);
        messages.push(message);
    };
    let family = Family::IPV6_UNICAST;
    let capabilities = vec![
        Capability::Multiprotocol(family),
        Capability::RouteRefresh,
        Capability::ExtendedNextHop(vec![(Family::IPV4_UNICAST, Afi::IPV6)]),
        Capability::ExtendedMessage,
        Capability::Role(3),
        Capability::GracefulRestart {
            restarting: true,
            notification: true,
            time: 120,
            families: vec![GracefulRestartFamily { family, forwarding_kept: true }],
        },
        Capability::FourOctetAs(Asn(4_200_000_000)),
        Capability::AddPath(vec![(family, AddPathMode::Both)]),
        Capability::EnhancedRouteRefresh,
        Capability::Fqdn { host: "node".into(), domain: "example.org".into() },
        Capability::Unknown { code: 71, value: vec![0, 1, 1, 0, 0, 0, 60] },
    ];
    for capabilities in [Vec::new(), capabilities.clone(), vec![capabilities; 8].concat()] {
        let open = Open { my_as: 23456, hold_time: 90, router_id: RouterId(0x0A00_0001), capabilities };
        add(&|out| open.encode(out));
    }
    let text = b"\x06reboot".to_vec();
    add(&|out| Notification { code: 6, subcode: 2, data: text.clone() }.encode(out));
    add(&|out| Notification::new(4, 0).encode(out));
    for subtype in 0..3 {
        add(&|out| RouteRefresh { family, subtype, extra: Vec::new() }.encode(out));
    }
}

fn updates(messages: &mut Vec<Vec<u8>>) {
    let segment = |kind, asns: &[u32]| Segment { kind, asns: asns.iter().copied().map(Asn).collect() };
    let segments = vec![
        segment(SegmentKind::ConfedSequence, &[64512]),
        segment(SegmentKind::Sequence, &[65001, 70000]),
        segment(SegmentKind::Set, &[1, 2]),
    ];
    let full = PathAttributes {
        as_path: AsPath { segments },
        med: Some(5),
        local_pref: Some(100),
        atomic_aggregate: true,
        aggregator: Some(Aggregator { asn: Asn(70000), router_id: RouterId(1) }),
        communities: vec![Community::NO_EXPORT, Community::new(65001, 1)],
        extended_communities: vec![ExtendedCommunity([0, 2, 0xFD, 0xE9, 0, 0, 0, 1])],
        large_communities: vec![LargeCommunity { global: 1, local1: 2, local2: 3 }],
        originator_id: Some(RouterId(9)),
        cluster_list: vec![RouterId(7), RouterId(8)],
        other: vec![OtherAttribute { flags: 0xC0, code: 99, value: vec![1, 2, 3] }],
        ..PathAttributes::default()
    };
    let short = PathAttributes { as_path: AsPath::sequence([Asn(65001)]), ..PathAttributes::default() };
    let narrow = [0x40, 2, 8, 2, 3, 0, 1, 0x5B, 0xA0, 0x5B, 0xA0, 0xC0, 17, 6, 2, 1, 0, 1, 0x11, 0x70];
    let mut blocks = vec![Vec::new(), narrow.to_vec()];
    for attributes in [full, short] {
        let mut block = Vec::new();
        attributes.encode(&mut block);
        write(0x40, code::NEXT_HOP, &[192, 0, 2, 1], &mut block);
        blocks.push(block.clone());
        let mut value = vec![0, 2, 1, 16];
        value.extend([0x20; 16]);
        value.push(0);
        nlri::encode("2001:db8::/32".parse().expect("a prefix"), &mut value);
        write(0x80, code::MP_REACH_NLRI, &value, &mut block);
        write(0x80, code::MP_UNREACH_NLRI, &[0, 2, 1, 16, 0x20, 1], &mut block);
        blocks.push(block);
    }
    let mut marker = Vec::new();
    write(0x80, code::MP_UNREACH_NLRI, &[0, 2, 1], &mut marker);
    blocks.push(marker);
    for (block, withdrawn, announced) in
        blocks.iter().flat_map(|block| [(block, &[][..], &[][..]), (block, &[8, 10], &[24, 192, 0, 2, 0])])
    {
        let mut message = Vec::new();
        let start = begin_message(&mut message, MessageKind::Update);
        for part in [withdrawn, &block[..]] {
            message.extend(u16::try_from(part.len()).expect("a length").to_be_bytes());
            message.extend(part);
        }
        message.extend(announced);
        finish_message(&mut message, start);
        messages.push(message);
    }
}

fn shared() -> PathBuf {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    env::var_os("PEERAGE_SHARED").map_or_else(|| PathBuf::from(beside), PathBuf::from)
}

/// Adds the vectors' messages and what starts with a marker in the captures: seeds need not be whole.
fn collect(shared: &Path, messages: &mut Vec<Vec<u8>>) -> io::Result<()> {
    for file in files(&shared.join("vectors"), "jsonl")? {
        for line in fs::read_to_string(file)?.lines() {
            let field =
                line.split_once("\"hex\": \"ffffffffffffffff").and_then(|(_, field)| field.split_once('"'));
            let octets = field.and_then(|(digits, _)| unhex(digits));
            messages.extend(octets.map(|octets| [vec![255; 8], octets].concat()));
        }
    }
    for extension in ["pcap", "pcapng"] {
        for file in files(&shared.join("reference/pcaps"), extension)? {
            let octets = fs::read(file)?;
            for (at, _) in
                octets.windows(HEADER_LEN).enumerate().filter(|(_, window)| window[..16] == [255; 16])
            {
                if let Ok(Some(frame)) = frame(&octets[at..], MAX_EXTENDED_LEN) {
                    messages.push(octets[at..at + frame.len].to_vec());
                }
            }
        }
    }
    Ok(())
}

fn files(folder: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let entries: io::Result<Vec<_>> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut files = entries?;
    files.retain(|file| file.extension().is_some_and(|found| found == extension));
    files.sort();
    Ok(files)
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let octet = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map(octet).collect()
}
