//! The scenarios: each starts a runtime, brings nodes and raw peers together and says what must follow.

mod bulk;
mod endings;
mod floods;
mod options;
mod sessions;

pub use bulk::*;
pub use endings::*;
pub use floods::*;
pub use options::*;
pub use sessions::*;
