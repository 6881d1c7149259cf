//! What a program that compiles may choose.

use std::{fmt, str::FromStr};

/// How [`compile_with`](crate::compile_with) goes about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Options {
    /// Where PodCIDRs come from.
    pub ipam: Ipam,
    /// Whether endpoints that terminate and still serve are backends.
    pub terminating: Terminating,
}

/// Where a node's PodCIDRs come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ipam {
    /// As `ipam` in the ConfigMap `cilium-config` says; where there is none, from `Node.spec.podCIDRs`.
    #[default]
    Auto,
    /// `Node.spec.podCIDRs`
    Kubernetes,
    /// `CiliumNode.spec.ipam.podCIDRs`
    ClusterPool,
    /// None; `podIPPoolSelector` chooses of `CiliumNode.spec.ipam.pools.allocated`.
    MultiPool,
    /// None are announced.
    None,
}

/// Whether an endpoint that terminates and still serves is a backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Terminating {
    /// Not, as with Cilium: what is not ready counts only while it serves and does not terminate.
    #[default]
    Withdraw,
    /// It is, as with kube-proxy: traffic goes on until it stops serving.
    Keep,
}

macro_rules! names {
    ($type:ty, $($value:ident = $name:literal),+) => {
        impl $type {
            /// The names of all values.
            pub const NAMES: &[&str] = &[$($name),+];
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$value => $name),+ })
            }
        }

        impl FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($name => Ok(Self::$value),)+
                    _ => Err(format!("expected one of {}", Self::NAMES.join(", "))),
                }
            }
        }
    };
}

names!(
    Ipam,
    Auto = "auto",
    Kubernetes = "kubernetes",
    ClusterPool = "cluster-pool",
    MultiPool = "multi-pool",
    None = "none"
);
names!(Terminating, Withdraw = "withdraw", Keep = "keep");
