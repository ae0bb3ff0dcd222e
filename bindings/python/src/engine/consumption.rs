//! `_core.Engine`: what each task consumes.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use tq_client::Engine as Gateway;
use tq_controller::FetchRequest;
use tq_controller::sampler::{LENGTH_TAG, SamplerConfig};
use tq_engine::Claim;
use tq_proto::{ErrorKind, GlobalIndex};

use super::arguments::{field_names, global_indexes};
use super::batches::{Meta, index_list, meta, status};
use super::class::Engine;
use crate::errors::{OrRaise, raise};

/// A fetch of so many samples takes some ten microseconds.
const FEW: usize = 128;

#[pymethods]
impl Engine {
    /// Samples with a built-in sampler from now on.
    fn set_sampler(&self, py: Python<'_>, kind: &str, params: &Bound<'_, PyDict>) -> PyResult<()> {
        let config = sampler_config(kind, params)?;
        let engine = &self.engine;
        py.detach(|| engine.set_sampler(config)).or_raise(py)
    }

    /// Samples a batch and marks it; None where too little is ready.
    #[expect(clippy::too_many_arguments, reason = "a request, flat")]
    fn fetch<'py>(
        &self,
        py: Python<'py>,
        partition: &str,
        fields: &Bound<'_, PyList>,
        batch_size: usize,
        task: &str,
        dp_rank: Option<u64>,
        batch_index: Option<u64>,
        allow_pickle: bool,
    ) -> PyResult<Option<Meta<'py>>> {
        let request = FetchRequest {
            dp_rank,
            batch_index,
            ..request(partition, fields, batch_size, task)?
        };
        let engine = &self.engine;
        // A thread that was just woken would wait again for the interpreter, for longer than a
        // small fetch takes.
        let fetched = match engine {
            Gateway::Here(here) if batch_size <= FEW && here.is_idle() => here.fetch(&request),
            _ => py.detach(|| engine.fetch(&request)),
        };
        fetched
            .or_raise(py)?
            .map(|batch| meta(py, &batch, allow_pickle))
            .transpose()
    }

    /// Has the sampler of the host choose and mark a batch; None where too little is ready.
    #[expect(clippy::too_many_arguments, reason = "a request, flat")]
    fn fetch_chosen<'py>(
        &self,
        py: Python<'py>,
        partition: &str,
        fields: &Bound<'_, PyList>,
        batch_size: usize,
        task: &str,
        config: Vec<u8>,
        allow_pickle: bool,
    ) -> PyResult<Option<Meta<'py>>> {
        let Gateway::There(host) = &self.engine else {
            return Err(raise(
                py,
                ErrorKind::Internal,
                "a sampler of this process was asked for by way of its host",
            ));
        };
        let request = request(partition, fields, batch_size, task)?;
        py.detach(|| host.fetch_chosen(&request, config))
            .or_raise(py)?
            .map(|batch| meta(py, &batch, allow_pickle))
            .transpose()
    }

    /// Samples that are ready for the task, ascending; None where fewer than `at_least`.
    fn ready_indexes<'py>(
        &self,
        py: Python<'py>,
        partition: String,
        fields: &Bound<'_, PyList>,
        task: String,
        at_least: usize,
    ) -> PyResult<Option<Bound<'py, PyList>>> {
        let fields = field_names(fields)?;
        let engine = &self.engine;
        py.detach(|| engine.ready_indexes(&partition, &task, &fields, at_least))
            .or_raise(py)?
            .map(|indexes| index_list(py, &indexes))
            .transpose()
    }

    /// How many samples are ready for the task, counted up to `at_most`.
    fn ready_count(
        &self,
        py: Python<'_>,
        partition: String,
        fields: &Bound<'_, PyList>,
        task: String,
        at_most: usize,
    ) -> PyResult<usize> {
        let fields = field_names(fields)?;
        let engine = &self.engine;
        py.detach(|| engine.ready_count(&partition, &task, &fields, at_most))
            .or_raise(py)
    }

    /// Marks a batch that was sampled in Python; its metadata.
    #[expect(clippy::too_many_arguments, reason = "a request, flat")]
    fn claim<'py>(
        &self,
        py: Python<'py>,
        partition: String,
        fields: &Bound<'_, PyList>,
        task: String,
        sampled: &Bound<'_, PyList>,
        consumed: &Bound<'_, PyList>,
        again: bool,
        allow_pickle: bool,
    ) -> PyResult<Meta<'py>> {
        let sampled = global_indexes(sampled)?;
        let consumed = global_indexes(consumed)?;
        let fields = field_names(fields)?;
        let claim = Claim {
            partition: &partition,
            task: &task,
            fields,
            sampled: &sampled,
            consumed: &consumed,
            again,
        };
        let engine = &self.engine;
        let batch = py.detach(|| engine.claim(claim)).or_raise(py)?;
        meta(py, &batch, allow_pickle)
    }

    /// `(global indexes, int8 [N])`; None for an unknown partition.
    fn consumption_status<'py>(
        &self,
        py: Python<'py>,
        partition: String,
        task: String,
    ) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
        let engine = &self.engine;
        py.detach(|| engine.consumption_status(&partition, &task))
            .or_raise(py)?
            .map(|columns| status(py, columns, false))
            .transpose()
    }

    /// Whether there are samples and the task has consumed each.
    fn is_consumed(&self, py: Python<'_>, partition: String, task: String) -> PyResult<bool> {
        let engine = &self.engine;
        py.detach(|| engine.is_consumed(&partition, &task))
            .or_raise(py)
    }

    /// Makes samples fetchable again; returns how many marks were taken back.
    fn reset_consumption(
        &self,
        py: Python<'_>,
        partition: String,
        task: Option<String>,
        indexes: Option<&Bound<'_, PyList>>,
    ) -> PyResult<usize> {
        let indexes: Option<Vec<GlobalIndex>> = indexes.map(global_indexes).transpose()?;
        let engine = &self.engine;
        py.detach(|| engine.reset_consumption(&partition, task.as_deref(), indexes.as_deref()))
            .or_raise(py)
    }

    /// Clears samples by global index; returns how many there were.
    fn clear_indexes(
        &self,
        py: Python<'_>,
        partition: String,
        indexes: &Bound<'_, PyList>,
    ) -> PyResult<usize> {
        let indexes = global_indexes(indexes)?;
        let engine = &self.engine;
        py.detach(|| engine.clear_indexes(&partition, &indexes))
            .or_raise(py)
    }
}

fn request(
    partition: &str,
    fields: &Bound<'_, PyList>,
    batch_size: usize,
    task: &str,
) -> PyResult<FetchRequest> {
    Ok(FetchRequest {
        partition: partition.into(),
        task: task.into(),
        fields: field_names(fields)?,
        batch_size,
        dp_rank: None,
        batch_index: None,
    })
}

fn sampler_config(kind: &str, params: &Bound<'_, PyDict>) -> PyResult<SamplerConfig> {
    let number = |name: &str| -> PyResult<usize> {
        params
            .get_item(name)?
            .map_or(Ok(1), |value| value.extract())
    };
    Ok(match kind {
        "sequential" => SamplerConfig::Sequential,
        "grpo_group_n" => SamplerConfig::GrpoGroupN {
            n_samples_per_prompt: number("n_samples_per_prompt")?,
        },
        "rank_aware" => SamplerConfig::RankAware,
        "seqlen_balanced" => SamplerConfig::SeqlenBalanced {
            n_samples_per_prompt: number("n_samples_per_prompt")?,
            dp_size: number("dp_size")?,
        },
        "streaming_token_budget" => SamplerConfig::StreamingTokenBudget {
            token_budget: number("token_budget")? as u64,
            n_samples_per_prompt: number("n_samples_per_prompt")?,
            dp_size: number("dp_size")?,
            length_tag: match params.get_item("length_tag")? {
                Some(tag) => tag.extract::<String>()?.into(),
                None => LENGTH_TAG.into(),
            },
        },
        other => {
            return Err(raise(
                params.py(),
                ErrorKind::Internal,
                format!("unknown kind of sampler {other:?}"),
            ));
        }
    })
}
