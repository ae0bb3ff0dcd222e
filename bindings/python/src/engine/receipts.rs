//! The backend meta of samples: dicts of receipts to the controller's receipts and back.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};
use tq_controller::Receipts;
use tq_proto::{ErrorKind, FieldName};

use super::tags::{TagReader, pack};
use crate::codec::decode::unpack;
use crate::errors::raise;
use crate::fence::{CollectorPause, OwnedBytes};

/// One dict per sample, from field to any value that can be encoded.
pub(super) fn read_all(metas: &Bound<'_, PyList>, allow_pickle: bool) -> PyResult<Vec<Receipts>> {
    // Its texts: the same field name comes once per sample.
    let mut names = TagReader::new(allow_pickle);
    metas
        .iter()
        .map(|meta| read(&meta, &mut names, allow_pickle))
        .collect()
}

fn read(meta: &Bound<'_, PyAny>, names: &mut TagReader, allow_pickle: bool) -> PyResult<Receipts> {
    let refuse = |message| Err(raise(meta.py(), ErrorKind::InvalidArgument, message));
    let Ok(pairs) = meta.cast::<PyDict>() else {
        let found = meta.get_type().name()?;
        return refuse(format!(
            "backend meta must be a dict per sample, but a {found} was given"
        ));
    };
    let mut read = Vec::with_capacity(pairs.len());
    for (field, value) in pairs {
        let Ok(field) = field.cast::<PyString>() else {
            let found = field.repr()?;
            return refuse(format!(
                "backend meta is given by field name, but {found} is none"
            ));
        };
        read.push((names.text(field)?, Arc::from(pack(&value, allow_pickle)?)));
    }
    Ok(read.into_iter().collect())
}

/// A dict per sample.
pub(super) fn write_all<'py>(
    py: Python<'py>,
    rows: &[Receipts],
    allow_pickle: bool,
) -> PyResult<Bound<'py, PyList>> {
    let _pause = CollectorPause::new(py);
    let dicts = rows.iter().map(|receipts| {
        let dict = PyDict::new(py);
        for (field, receipt) in receipts.iter() {
            let field: &FieldName = field;
            let value = unpack(py, &OwnedBytes::of_vec(receipt.to_vec()), allow_pickle)?;
            dict.set_item(PyString::intern(py, field), value)?;
        }
        Ok(dict)
    });
    PyList::new(py, dicts.collect::<PyResult<Vec<_>>>()?)
}
