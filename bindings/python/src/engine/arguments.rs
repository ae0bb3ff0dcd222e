//! Arguments as Python gives them: lists of names and of global indexes.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyList, PyString};
use tq_proto::{ErrorKind, FieldName, GlobalIndex};

use crate::errors::raise;

/// A list of strings, without copying them.
pub(super) fn texts(argument: &str, list: &Bound<'_, PyList>) -> PyResult<Vec<PyBackedStr>> {
    let mut texts = Vec::with_capacity(list.len());
    for (position, item) in list.iter().enumerate() {
        let Ok(text) = item.extract() else {
            return Err(not_a_text(argument, position, &item));
        };
        texts.push(text);
    }
    Ok(texts)
}

fn not_a_text(argument: &str, position: usize, item: &Bound<'_, PyAny>) -> PyErr {
    if item.is_instance_of::<PyString>() {
        let message = format!("{argument}[{position}] holds lone surrogates; use valid Unicode");
        return raise(item.py(), ErrorKind::InvalidArgument, message);
    }
    let class = item.get_type();
    let type_name = class
        .name()
        .map_or_else(|_| "?".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!(
        "{argument}[{position}] is a {type_name}; it must be a string"
    ))
}

/// Names of fields.
pub(super) fn field_names(list: &Bound<'_, PyList>) -> PyResult<Vec<FieldName>> {
    let names = texts("fields", list)?;
    Ok(names.iter().map(|name| FieldName::from(&**name)).collect())
}

/// Numbers of samples.
pub(super) fn global_indexes(list: &Bound<'_, PyList>) -> PyResult<Vec<GlobalIndex>> {
    let mut indexes = Vec::with_capacity(list.len());
    for (position, item) in list.iter().enumerate() {
        let Ok(index) = item.extract() else {
            let message = format!(
                "global_indexes[{position}] is {}; a global index is an integer from 0 to 2^64 - 1",
                item.repr()?
            );
            return Err(raise(list.py(), ErrorKind::InvalidArgument, message));
        };
        indexes.push(GlobalIndex(index));
    }
    Ok(indexes)
}
