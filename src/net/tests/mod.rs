//! Honest peers over real sockets, and whoever else may come.
//!
//! The hostile side speaks TLS with the library and bytes without it, and never through
//! an [`Endpoint`]: what an endpoint would not do is the point.

mod certificates;
mod frames;
mod peers;
mod places;
mod strangers;
mod support;
