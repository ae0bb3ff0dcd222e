//! A sampler written in Python, for fetches of other processes.

use std::fmt;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tq_controller::FetchRequest;
use tq_proto::{Error, ErrorKind, GlobalIndex, Result};
use tq_server::HostedSampler;

use crate::errors::of_sampler;

/// `callable(partition, task, fields, batch_size, config)` chooses and claims; it returns global
/// indexes, or None where too little is ready.
pub(super) struct PythonSampler(pub(super) Py<PyAny>);

impl fmt::Debug for PythonSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PythonSampler")
    }
}

impl HostedSampler for PythonSampler {
    fn fetch(&self, request: &FetchRequest, config: &[u8]) -> Result<Option<Vec<GlobalIndex>>> {
        let chosen = Python::try_attach(|py| self.call(py, request, config));
        chosen.unwrap_or_else(|| {
            Err(Error::new(
                ErrorKind::Closed,
                "the host's interpreter is shutting down",
            ))
        })
    }
}

impl PythonSampler {
    fn call(
        &self,
        py: Python<'_>,
        request: &FetchRequest,
        config: &[u8],
    ) -> Result<Option<Vec<GlobalIndex>>> {
        let fields: Vec<&str> = request.fields.iter().map(|name| &**name).collect();
        let arguments = (
            &*request.partition,
            &*request.task,
            fields,
            request.batch_size,
            PyBytes::new(py, config),
        );
        let chosen: PyResult<Option<Vec<u64>>> = self
            .0
            .bind(py)
            .call1(arguments)
            .and_then(|answer| answer.extract());
        chosen
            .map(|indexes| indexes.map(|indexes| indexes.into_iter().map(GlobalIndex).collect()))
            .map_err(|error| of_sampler(py, &error))
    }
}
