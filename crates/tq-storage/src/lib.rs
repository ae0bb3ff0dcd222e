//! The storage-unit engine: columns of samples in arena extents.
