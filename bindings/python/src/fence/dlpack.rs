//! Tensors in and out of torch, by DLPack (<https://dmlc.github.io/dlpack/latest/c_api.html>).
//!
//! Where torch has the C exchange table of DLPack 1.3 (`__dlpack_c_exchange_api__`), a tensor costs
//! one C call each way; otherwise capsules are used, through torch's public functions.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyCapsule;
use tq_proto::DType;

use super::bytes::{OwnedBytes, Owner};

const DEVICE_CPU: i32 = 1;
/// Pinned host memory is read like any other.
const DEVICE_CUDA_HOST: i32 = 3;

#[repr(C)]
#[derive(Clone, Copy)]
struct Device {
    kind: i32,
    id: i32,
}

#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
struct DataType {
    code: u8,
    bits: u8,
    lanes: u16,
}

#[repr(C)]
struct Tensor {
    data: *mut c_void,
    device: Device,
    dimensions: i32,
    dtype: DataType,
    shape: *mut i64,
    strides: *mut i64,
    byte_offset: u64,
}

#[repr(C)]
struct Legacy {
    tensor: Tensor,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Legacy)>,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Version {
    major: u32,
    minor: u32,
}

#[repr(C)]
struct Versioned {
    version: Version,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Versioned)>,
    flags: u64,
    tensor: Tensor,
}

/// The exchange table of DLPack 1.x.
#[repr(C)]
struct Exchange {
    version: Version,
    previous: *mut c_void,
    allocate: *const c_void,
    from_object: unsafe extern "C" fn(*mut c_void, *mut *mut Versioned) -> c_int,
    to_object: unsafe extern "C" fn(*mut Versioned, *mut *mut c_void) -> c_int,
    borrow_from_object: *const c_void,
    current_stream: *const c_void,
}

// SAFETY: a table of function pointers that never changes and lives as long as the process.
unsafe impl Send for Exchange {}
// SAFETY: as above.
unsafe impl Sync for Exchange {}

/// How this process talks to torch.
struct Bridge {
    exchange: Option<&'static Exchange>,
    tensor_type: Py<PyAny>,
    to_capsule: Py<PyAny>,
    from_capsule: Py<PyAny>,
}

static BRIDGE: PyOnceLock<Bridge> = PyOnceLock::new();
static CAPSULES_ONLY: AtomicBool = AtomicBool::new(false);

/// For tests: talk to torch the way a torch without the exchange table does.
pub(crate) fn use_capsules_only(only: bool) {
    CAPSULES_ONLY.store(only, Ordering::Relaxed);
}

fn bridge(py: Python<'_>) -> PyResult<&Bridge> {
    BRIDGE.get_or_try_init(py, || {
        let tensor_type = py.import("torch")?.getattr("Tensor")?;
        let functions = py.import("torch.utils.dlpack")?;
        Ok(Bridge {
            exchange: exchange_table(&tensor_type),
            tensor_type: tensor_type.unbind(),
            to_capsule: functions.getattr("to_dlpack")?.unbind(),
            from_capsule: functions.getattr("from_dlpack")?.unbind(),
        })
    })
}

fn exchange_table(tensor_type: &Bound<'_, PyAny>) -> Option<&'static Exchange> {
    let capsule = tensor_type.getattr("__dlpack_c_exchange_api__").ok()?;
    let capsule = capsule.cast::<PyCapsule>().ok()?;
    let table = capsule
        .pointer_checked(Some(c"dlpack_exchange_api"))
        .ok()?
        .cast::<Exchange>();
    // SAFETY: a capsule of this name holds an exchange table that lives as long as the process; its
    // header is the same in every version.
    let version = unsafe { (*table.as_ptr()).version };
    if version.major != 1 {
        return None;
    }
    // SAFETY: as above; a table of major version 1 has at least these entries.
    Some(unsafe { table.as_ref() })
}

impl Bridge {
    fn exchange(&self) -> Option<&'static Exchange> {
        if CAPSULES_ONLY.load(Ordering::Relaxed) {
            None
        } else {
            self.exchange
        }
    }
}

/// Whether `object` is exactly a `torch.Tensor` (no subclass).
pub(crate) fn is_plain_tensor(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    let bridge = bridge(object.py())?;
    Ok(object.get_type().as_ptr() == bridge.tensor_type.as_ptr())
}

/// A tensor of torch's, held by DLPack: its memory stays where it is until this is dropped.
pub(crate) struct ManagedTensor {
    managed: Managed,
    dtype: DType,
    rank: usize,
    /// Strides in elements, where the producer left them out: row-major.
    implied_strides: Option<Vec<i64>>,
}

enum Managed {
    Versioned(ptr::NonNull<Versioned>),
    Legacy(ptr::NonNull<Legacy>),
}

// SAFETY: torch's deleter may be called from any thread (it attaches where it needs to), and the
// description is only read.
unsafe impl Send for Managed {}
// SAFETY: as above.
unsafe impl Sync for Managed {}

impl Managed {
    fn tensor(&self) -> &Tensor {
        // SAFETY: both stay alive until the deleter is called, in `drop`.
        unsafe {
            match self {
                Self::Versioned(managed) => &managed.as_ref().tensor,
                Self::Legacy(managed) => &managed.as_ref().tensor,
            }
        }
    }
}

impl Drop for Managed {
    fn drop(&mut self) {
        // SAFETY: called once, with what the producer gave us.
        unsafe {
            match self {
                Self::Versioned(managed) => {
                    if let Some(deleter) = managed.as_ref().deleter {
                        deleter(managed.as_ptr());
                    }
                }
                Self::Legacy(managed) => {
                    if let Some(deleter) = managed.as_ref().deleter {
                        deleter(managed.as_ptr());
                    }
                }
            }
        }
    }
}

impl ManagedTensor {
    /// Holds a plain tensor. `None` where DLPack cannot describe it, or where it is not in host
    /// memory: such a tensor goes the slow way, through Python.
    pub(crate) fn of(object: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        let bridge = bridge(object.py())?;
        let managed = match bridge.exchange() {
            Some(exchange) => Self::by_exchange(exchange, object),
            None => Self::by_capsule(bridge, object),
        };
        let Some(managed) = managed else {
            return Ok(None);
        };
        let tensor = managed.tensor();
        let on_host = matches!(tensor.device.kind, DEVICE_CPU | DEVICE_CUDA_HOST);
        let Some(dtype) = dtype_of(tensor.dtype).filter(|_| on_host) else {
            return Ok(None);
        };
        let rank = usize::try_from(tensor.dimensions).unwrap_or(0);
        let left_out = tensor.strides.is_null();
        let mut held = Self {
            managed,
            dtype,
            rank,
            implied_strides: None,
        };
        if left_out {
            held.implied_strides = Some(row_major(held.shape()));
        }
        Ok(Some(held))
    }

    fn by_exchange(exchange: &Exchange, object: &Bound<'_, PyAny>) -> Option<Managed> {
        let mut managed = ptr::null_mut();
        // SAFETY: the table belongs to the type this object is exactly of, we are attached, and
        // `managed` is writable.
        let result = unsafe { (exchange.from_object)(object.as_ptr().cast(), &raw mut managed) };
        if result != 0 {
            // "Cannot be described" is an answer, not a failure.
            drop(PyErr::take(object.py()));
            return None;
        }
        ptr::NonNull::new(managed).map(Managed::Versioned)
    }

    fn by_capsule(bridge: &Bridge, object: &Bound<'_, PyAny>) -> Option<Managed> {
        let capsule = bridge.to_capsule.bind(object.py()).call1((object,)).ok()?;
        // SAFETY: a fresh capsule named `dltensor` holds a DLManagedTensor that is ours to take;
        // renaming it tells its destructor so.
        unsafe {
            let managed = ffi::PyCapsule_GetPointer(capsule.as_ptr(), c"dltensor".as_ptr());
            if managed.is_null()
                || ffi::PyCapsule_SetName(capsule.as_ptr(), c"used_dltensor".as_ptr()) != 0
            {
                drop(PyErr::take(object.py()));
                return None;
            }
            ptr::NonNull::new(managed.cast()).map(Managed::Legacy)
        }
    }

    /// The bytes of a contiguous tensor of any dtype; `None` where `object` is no plain tensor.
    pub(super) fn contiguous_bytes(object: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        if !is_plain_tensor(object)? {
            return Ok(None);
        }
        match Self::of(object)? {
            Some(tensor) if tensor.is_contiguous() => Ok(Some(tensor)),
            _ => Err(pyo3::exceptions::PyBufferError::new_err(
                "a tensor used as a buffer must be contiguous and in host memory",
            )),
        }
    }

    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }

    pub(crate) fn shape(&self) -> &[u64] {
        // SAFETY: a producer gives `rank` entries of shape, alive as long as the managed tensor; a
        // dimension is never negative, so it reads the same unsigned.
        unsafe { entries(self.managed.tensor().shape.cast::<u64>(), self.rank) }
    }

    /// In elements.
    pub(crate) fn strides(&self) -> &[i64] {
        match &self.implied_strides {
            Some(strides) => strides,
            // SAFETY: strides that are given have `rank` entries, alive as the shape's.
            None => unsafe { entries(self.managed.tensor().strides, self.rank) },
        }
    }

    /// Whether the elements lie back to back in row-major order.
    pub(crate) fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        for (dim, stride) in self.shape().iter().zip(self.strides()).rev() {
            if *dim == 0 {
                return true;
            }
            if *dim != 1 && *stride != expected {
                return false;
            }
            expected *= *dim as i64;
        }
        true
    }

    pub(super) fn first(&self) -> *const u8 {
        let tensor = self.managed.tensor();
        tensor
            .data
            .cast_const()
            .cast::<u8>()
            .wrapping_add(tensor.byte_offset as usize)
    }

    pub(super) fn memory(&self) -> (*mut u8, usize) {
        let len = self.dtype.byte_len(self.shape()).unwrap_or(0) as usize;
        (self.first().cast_mut(), len)
    }
}

/// # Safety
/// `first` points to `count` entries that live and do not change as long as `'a`; it may be null
/// where `count` is 0.
unsafe fn entries<'a, T>(first: *const T, count: usize) -> &'a [T] {
    if count == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(first, count) }
}

/// What torch gets: the description, what it points to, and the owner of the memory. `repr(C)` so
/// that a pointer to the description is a pointer to the whole.
#[repr(C)]
struct Export<M> {
    managed: M,
    dimensions: Dimensions,
    owner: Owner,
}

/// Shape, then strides.
enum Dimensions {
    Few([i64; 2 * FEW]),
    Many(Vec<i64>),
}

/// Dimensions that need no allocation of their own.
const FEW: usize = 4;

impl Dimensions {
    fn new(shape: &[u64]) -> Self {
        let mut both = if shape.len() <= FEW {
            Self::Few([1; 2 * FEW])
        } else {
            Self::Many(vec![1; 2 * shape.len()])
        };
        let rank = shape.len();
        let entries = both.entries();
        for (entry, dim) in entries.iter_mut().zip(shape) {
            *entry = *dim as i64;
        }
        for axis in (1..rank).rev() {
            entries[rank + axis - 1] = entries[rank + axis] * entries[axis].max(1);
        }
        both
    }

    fn entries(&mut self) -> &mut [i64] {
        match self {
            Self::Few(entries) => entries,
            Self::Many(entries) => entries,
        }
    }
}

trait Description {
    fn tensor(&mut self) -> &mut Tensor;
}

impl Description for Versioned {
    fn tensor(&mut self) -> &mut Tensor {
        &mut self.tensor
    }
}

impl Description for Legacy {
    fn tensor(&mut self) -> &mut Tensor {
        &mut self.tensor
    }
}

impl<M: Description> Export<M> {
    /// Gives the export away; torch calls `drop_export` when the tensor's storage goes.
    fn give(managed: M, shape: &[u64], owner: Owner) -> *mut M {
        let mut export = Box::new(Self {
            managed,
            dimensions: Dimensions::new(shape),
            owner,
        });
        // The box does not move any more, so what it holds can point to itself.
        let first = export.dimensions.entries().as_mut_ptr();
        let tensor = export.managed.tensor();
        tensor.shape = first;
        tensor.strides = first.wrapping_add(shape.len());
        Box::into_raw(export).cast()
    }
}

/// # Safety
/// `managed` came from [`Export::give`] and is dropped once.
unsafe extern "C" fn drop_export<M>(managed: *mut M) {
    // SAFETY: the caller's promise.
    let Export {
        owner, dimensions, ..
    } = *unsafe { Box::from_raw(managed.cast::<Export<M>>()) };
    drop(dimensions);
    drop(owner);
}

/// A `torch.Tensor` that is a writable view of `bytes`, which live as long as the tensor does.
///
/// # Errors
/// `RuntimeError` where `bytes` do not fit `dtype` and `shape` (a defect: callers have checked) or
/// torch refuses.
pub(crate) fn tensor_view<'py>(
    py: Python<'py>,
    bytes: &OwnedBytes,
    dtype: DType,
    shape: &[u64],
) -> PyResult<Bound<'py, PyAny>> {
    if dtype.byte_len(shape) != Some(bytes.len() as u64) || !bytes.is_writable() {
        let found = bytes.len();
        return Err(PyRuntimeError::new_err(format!(
            "{dtype} of shape {shape:?} cannot be a view of {found} bytes"
        )));
    }
    let bridge = bridge(py)?;
    let dimensions = i32::try_from(shape.len())
        .map_err(|_| PyRuntimeError::new_err("more dimensions than a tensor can have"))?;
    let tensor = Tensor {
        data: bytes.pointer().cast(),
        device: Device {
            kind: DEVICE_CPU,
            id: 0,
        },
        dimensions,
        dtype: data_type(dtype),
        shape: ptr::null_mut(),
        strides: ptr::null_mut(),
        byte_offset: 0,
    };
    let owner = bytes.owner();
    // Should an import fail, the export stays either with us or with torch, which does not say; it is
    // leaked rather than dropped twice.
    if let Some(exchange) = bridge.exchange() {
        let managed = Versioned {
            version: exchange.version,
            context: ptr::null_mut(),
            deleter: Some(drop_export),
            flags: 0,
            tensor,
        };
        let managed = Export::give(managed, shape, owner);
        let mut object = ptr::null_mut();
        // SAFETY: we are attached; `managed` is a complete description that torch takes over.
        return unsafe {
            if (exchange.to_object)(managed, &raw mut object) != 0 {
                return Err(PyErr::fetch(py));
            }
            Bound::from_owned_ptr_or_err(py, object.cast())
        };
    }
    let managed = Legacy {
        tensor,
        context: ptr::null_mut(),
        deleter: Some(drop_export),
    };
    let managed = Export::give(managed, shape, owner);
    // SAFETY: we are attached; the capsule needs no destructor, because torch takes what it holds.
    let capsule = unsafe {
        let capsule = ffi::PyCapsule_New(managed.cast(), c"dltensor".as_ptr(), None);
        Bound::from_owned_ptr_or_err(py, capsule)?
    };
    bridge.from_capsule.bind(py).call1((capsule,))
}

fn row_major(shape: &[u64]) -> Vec<i64> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis].max(1) as i64;
    }
    strides
}

/// DLPack's type codes, and the dtypes of which every torch with DLPack knows the code. The 8-bit
/// floats are newer and go as bytes (see `codec::tensor`).
const CODES: &[(DType, DataType)] = &[
    (
        DType::Bool,
        DataType {
            code: 6,
            bits: 8,
            lanes: 1,
        },
    ),
    (
        DType::UInt8,
        DataType {
            code: 1,
            bits: 8,
            lanes: 1,
        },
    ),
    (
        DType::Int8,
        DataType {
            code: 0,
            bits: 8,
            lanes: 1,
        },
    ),
    (
        DType::UInt16,
        DataType {
            code: 1,
            bits: 16,
            lanes: 1,
        },
    ),
    (
        DType::Int16,
        DataType {
            code: 0,
            bits: 16,
            lanes: 1,
        },
    ),
    (
        DType::UInt32,
        DataType {
            code: 1,
            bits: 32,
            lanes: 1,
        },
    ),
    (
        DType::Int32,
        DataType {
            code: 0,
            bits: 32,
            lanes: 1,
        },
    ),
    (
        DType::UInt64,
        DataType {
            code: 1,
            bits: 64,
            lanes: 1,
        },
    ),
    (
        DType::Int64,
        DataType {
            code: 0,
            bits: 64,
            lanes: 1,
        },
    ),
    (
        DType::Float16,
        DataType {
            code: 2,
            bits: 16,
            lanes: 1,
        },
    ),
    (
        DType::BFloat16,
        DataType {
            code: 4,
            bits: 16,
            lanes: 1,
        },
    ),
    (
        DType::Float32,
        DataType {
            code: 2,
            bits: 32,
            lanes: 1,
        },
    ),
    (
        DType::Float64,
        DataType {
            code: 2,
            bits: 64,
            lanes: 1,
        },
    ),
    (
        DType::Complex32,
        DataType {
            code: 5,
            bits: 32,
            lanes: 1,
        },
    ),
    (
        DType::Complex64,
        DataType {
            code: 5,
            bits: 64,
            lanes: 1,
        },
    ),
    (
        DType::Complex128,
        DataType {
            code: 5,
            bits: 128,
            lanes: 1,
        },
    ),
];

fn dtype_of(found: DataType) -> Option<DType> {
    CODES
        .iter()
        .find(|(_, code)| *code == found)
        .map(|(dtype, _)| *dtype)
}

/// Whether [`tensor_view`] and [`ManagedTensor`] know the dtype.
pub(crate) fn has_code(dtype: DType) -> bool {
    CODES.iter().any(|(known, _)| *known == dtype)
}

fn data_type(dtype: DType) -> DataType {
    let bytes = DataType {
        code: 1,
        bits: 8,
        lanes: 1,
    };
    CODES
        .iter()
        .find(|(known, _)| *known == dtype)
        .map_or(bytes, |(_, code)| *code)
}
