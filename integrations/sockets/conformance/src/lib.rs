//! What every runtime of Peerage must do, over real TCP.
