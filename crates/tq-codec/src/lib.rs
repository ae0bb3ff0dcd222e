//! The packed buffer: plan, write and view one value or a batch of values.
