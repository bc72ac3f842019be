//! The key-value service.
