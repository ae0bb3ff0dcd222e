//! Routing between controller and storage units; today the embedded engine.
