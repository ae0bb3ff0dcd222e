//! Warm shared-memory segments, and the loans, extents, leases and views on them.
