//! Routes: bounded keys of exchanges.
