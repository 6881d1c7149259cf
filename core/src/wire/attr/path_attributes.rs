//! Attributes decoded and owned, for those who originate, show and test routes.

use alloc::vec::Vec;

use super::{
    super::{
        Asn, Community, ExtendedCommunity, LargeCommunity, Origin, RouterId, SessionKind, reader::Reader,
    },
    AsPath, AttributeContext, RawAttribute, RawAttributes,
    canonical::{CodeSet, distinct},
    code, flag, table, write,
};

/// AGGREGATOR (RFC 4271 §5.1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Aggregator {
    /// Who formed the aggregate.
    pub asn: Asn,
    /// Its identifier.
    pub router_id: RouterId,
}

/// An attribute this codec does not interpret, kept byte-exact.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OtherAttribute {
    /// Flags.
    pub flags: u8,
    /// Type code.
    pub code: u8,
    /// Value.
    pub value: Vec<u8>,
}

/// The attributes of a route, decoded and owned: for originating, showing and testing. The table keeps
/// blocks instead. The next hop is not among them: it belongs to the route's family.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PathAttributes {
    /// ORIGIN.
    pub origin: Origin,
    /// AS_PATH.
    pub as_path: AsPath,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// LOCAL_PREF.
    pub local_pref: Option<u32>,
    /// ATOMIC_AGGREGATE.
    pub atomic_aggregate: bool,
    /// AGGREGATOR.
    pub aggregator: Option<Aggregator>,
    /// COMMUNITIES, in wire order.
    pub communities: Vec<Community>,
    /// EXTENDED COMMUNITIES, in wire order.
    pub extended_communities: Vec<ExtendedCommunity>,
    /// LARGE_COMMUNITIES, in wire order.
    pub large_communities: Vec<LargeCommunity>,
    /// ORIGINATOR_ID (RFC 4456).
    pub originator_id: Option<RouterId>,
    /// CLUSTER_LIST (RFC 4456).
    pub cluster_list: Vec<RouterId>,
    /// Everything else, in wire order.
    pub other: Vec<OtherAttribute>,
}

/// A canonical block has four-octet AS numbers; what may come from whom was settled before.
const CANONICAL: AttributeContext = AttributeContext { four_octet_as: true, kind: SessionKind::Internal };

impl PathAttributes {
    /// Reads a canonical block (NEXT_HOP in it is passed over, and so are the multiprotocol
    /// attributes). What [`parse`](super::parse) would have dropped is passed over too.
    pub fn decode(block: &[u8]) -> Self {
        let mut attributes = Self::default();
        let mut seen = CodeSet::default();
        for attribute in RawAttributes::new(block) {
            if seen.insert(attribute.code) {
                let _malformed = attributes.read(attribute).is_none();
            }
        }
        attributes
    }

    /// Files one attribute; `None` where it is malformed.
    fn read(&mut self, attribute: RawAttribute<'_>) -> Option<()> {
        let RawAttribute { flags, code, value } = attribute;
        let Some(row) = table::row(code) else {
            // The extended length is how the value happened to be written, not what it says.
            let flags = flags & !flag::EXTENDED_LENGTH;
            self.other.push(OtherAttribute { flags, code, value: value.to_vec() });
            return Some(());
        };
        if !row.flags_fit(flags) || !row.length_fits(value.len(), CANONICAL) {
            return None;
        }
        let mut reader = Reader::new(value);
        match code {
            code::ORIGIN => self.origin = Origin::of(reader.u8()?)?,
            code::AS_PATH => self.as_path = AsPath::decode(value, true)?,
            code::MULTI_EXIT_DISC => self.med = Some(reader.u32()?),
            code::LOCAL_PREF => self.local_pref = Some(reader.u32()?),
            code::ATOMIC_AGGREGATE => self.atomic_aggregate = true,
            code::AGGREGATOR => {
                let (asn, router_id) = (Asn(reader.u32()?), RouterId(reader.u32()?));
                self.aggregator = Some(Aggregator { asn, router_id });
            }
            code::COMMUNITIES => {
                self.communities = list(value, |octets| Community(u32::from_be_bytes(octets)))?;
            }
            code::ORIGINATOR_ID => self.originator_id = Some(RouterId(reader.u32()?)),
            code::CLUSTER_LIST => {
                self.cluster_list = list(value, |octets| RouterId(u32::from_be_bytes(octets)))?;
            }
            code::EXTENDED_COMMUNITIES => self.extended_communities = list(value, ExtendedCommunity)?,
            code::LARGE_COMMUNITIES => {
                self.large_communities = distinct(list(value, large_community)?).collect();
            }
            _ => {}
        }
        Some(())
    }

    /// Appends the canonical block, attributes in order of their codes, empty ones left out. ORIGIN and
    /// AS_PATH are always there, a large community is there once (RFC 8092 §3). Of [`Self::other`] only attributes without a field here are written.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut other: Vec<_> = self.other.iter().filter(|other| table::row(other.code).is_none()).collect();
        other.sort_by_key(|other| other.code);
        let mut other = other.into_iter().peekable();
        let mut value = Vec::new();
        for row in table::TABLE {
            while let Some(before) = other.next_if(|other| other.code < row.code) {
                write(before.flags, before.code, &before.value, out);
            }
            value.clear();
            if self.value(row.code, &mut value) {
                write(row.flags, row.code, &value, out);
            }
        }
        for after in other {
            write(after.flags, after.code, &after.value, out);
        }
    }

    /// Appends the value of one attribute and says whether it is to be written.
    fn value(&self, code: u8, out: &mut Vec<u8>) -> bool {
        match code {
            code::ORIGIN => out.push(self.origin as u8),
            code::AS_PATH => {
                self.as_path.encode(out);
                return true;
            }
            code::MULTI_EXIT_DISC => out.extend(self.med.iter().flat_map(|med| med.to_be_bytes())),
            code::LOCAL_PREF => out.extend(self.local_pref.iter().flat_map(|pref| pref.to_be_bytes())),
            code::ATOMIC_AGGREGATE => return self.atomic_aggregate,
            code::AGGREGATOR => {
                if let Some(Aggregator { asn, router_id }) = self.aggregator {
                    out.extend(asn.0.to_be_bytes());
                    out.extend(router_id.0.to_be_bytes());
                }
            }
            code::COMMUNITIES => out.extend(self.communities.iter().flat_map(|it| it.0.to_be_bytes())),
            code::ORIGINATOR_ID => out.extend(self.originator_id.iter().flat_map(|id| id.0.to_be_bytes())),
            code::CLUSTER_LIST => out.extend(self.cluster_list.iter().flat_map(|id| id.0.to_be_bytes())),
            code::EXTENDED_COMMUNITIES => out.extend(self.extended_communities.iter().flat_map(|it| it.0)),
            code::LARGE_COMMUNITIES => {
                for LargeCommunity { global, local1, local2 } in
                    distinct(self.large_communities.iter().copied())
                {
                    out.extend([global, local1, local2].into_iter().flat_map(|part| part.to_be_bytes()));
                }
            }
            _ => {}
        }
        !out.is_empty()
    }
}

/// A list of items of `WIDTH` octets; `None` where the last one is cut off.
fn list<T, const WIDTH: usize>(value: &[u8], item: impl Fn([u8; WIDTH]) -> T) -> Option<Vec<T>> {
    match value.as_chunks() {
        (items, []) => Some(items.iter().map(|octets| item(*octets)).collect()),
        _ => None,
    }
}

fn large_community(octets: [u8; 12]) -> LargeCommunity {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = octets;
    LargeCommunity {
        global: u32::from_be_bytes([a, b, c, d]),
        local1: u32::from_be_bytes([e, f, g, h]),
        local2: u32::from_be_bytes([i, j, k, l]),
    }
}
