//! The controller state machine: partitions, global indexes, production status, keys, tags.
