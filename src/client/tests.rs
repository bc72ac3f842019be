//! Stories of a session among honest and lying replicas.
