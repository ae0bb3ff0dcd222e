//! The extension module `transfer_queue._core`; the only crate that sees pyo3.
//!
//! | module | holds |
//! |---|---|
//! | `fence` | the unsafe: buffer protocol, DLPack, raw copies |
//! | `errors` | error kinds as Python exceptions |
//! | `interrupts` | signals that come while a host is waited for |
//! | `codec` | Python values to packed buffers and back |
//! | `engine` | the embedded engine |
//! | `program` | the program `tq` |
//! | `samplers` | what the sampler classes compute when they are called directly |
//!
//! No panic crosses into Python, blocking work runs detached, and no signature has a pointer.

mod codec;
mod engine;
mod errors;
mod fence;
mod interrupts;
mod program;
mod samplers;

use pyo3::prelude::*;

#[pymodule(gil_used = true)]
mod _core {
    #[pymodule_export]
    use super::codec::functions::{
        batch_decode_from, batch_encode_into, calc_packed_size, decode, encode, pack_into,
        unpack_from, use_dlpack_capsules_only,
    };
    #[pymodule_export]
    use super::engine::class::Engine;
    #[pymodule_export]
    use super::engine::fetching::{DroppedParcels, StoredGet};
    #[pymodule_export]
    use super::engine::packing::PackedPut;
    #[pymodule_export]
    use super::engine::planned::{PlannedGet, PlannedPut};
    #[pymodule_export]
    use super::engine::region::{Region, RegionLoan};
    #[pymodule_export]
    use super::engine::taking::MappedFiles;
    #[pymodule_export]
    use super::engine::unit::StorageUnit;
    #[pymodule_export]
    use super::engine::waiting::Subscription;
    #[pymodule_export]
    use super::fence::ExportedBytes;
    #[pymodule_export]
    use super::program::main;
    #[pymodule_export]
    use super::samplers::{balanced_partitions, grpo_groups, pack_lengths};
}
