//! What Python is better at: types that are rebuilt by name, and pickle. See
//! `transfer_queue/_codec/`.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

/// Types and functions that every walk needs, looked up once.
pub(crate) struct Helpers {
    pub(crate) tensor: Py<PyType>,
    pub(crate) parameter: Py<PyType>,
    pub(crate) ndarray: Py<PyType>,
    pub(crate) is_neg: Py<PyAny>,
    pub(crate) int8: Py<PyAny>,
    pub(crate) uint8: Py<PyAny>,
    pub(crate) new_array: Py<PyAny>,
    pub(crate) new_dtype: Py<PyAny>,
    pub(crate) reduce_value: Py<PyAny>,
    pub(crate) rebuild_value: Py<PyAny>,
    pub(crate) reduce_tensor: Py<PyAny>,
    pub(crate) view_as_dtype: Py<PyAny>,
    pub(crate) pickle_value: Py<PyAny>,
    pub(crate) unpickle_value: Py<PyAny>,
}

static HELPERS: PyOnceLock<Helpers> = PyOnceLock::new();

impl Helpers {
    pub(crate) fn get(py: Python<'_>) -> PyResult<&'static Self> {
        // The cell is static, so a reference into it outlives every caller.
        HELPERS.get_or_try_init(py, || Self::load(py))
    }

    fn load(py: Python<'_>) -> PyResult<Self> {
        let torch = py.import("torch")?;
        let numpy = py.import("numpy")?;
        let named = py.import("transfer_queue._codec.named")?;
        let tensors = py.import("transfer_queue._codec.tensors")?;
        let pickling = py.import("transfer_queue._codec.pickling")?;
        let class = |module: &Bound<'_, PyModule>, name: &str| -> PyResult<Py<PyType>> {
            Ok(module.getattr(name)?.cast_into::<PyType>()?.unbind())
        };
        let function = |module: &Bound<'_, PyModule>, name: &str| -> PyResult<Py<PyAny>> {
            Ok(module.getattr(name)?.unbind())
        };
        let tensor = class(&torch, "Tensor")?;
        Ok(Self {
            is_neg: tensor.bind(py).getattr("is_neg")?.unbind(),
            int8: function(&torch, "int8")?,
            uint8: function(&torch, "uint8")?,
            tensor,
            parameter: class(&py.import("torch.nn")?, "Parameter")?,
            ndarray: class(&numpy, "ndarray")?,
            new_array: function(&numpy, "ndarray")?,
            new_dtype: function(&numpy, "dtype")?,
            reduce_value: function(&named, "reduce_value")?,
            rebuild_value: function(&named, "rebuild_value")?,
            reduce_tensor: function(&tensors, "reduce_tensor")?,
            view_as_dtype: function(&tensors, "view_as_dtype")?,
            pickle_value: function(&pickling, "pickle_value")?,
            unpickle_value: function(&pickling, "unpickle_value")?,
        })
    }
}
