//! `_core.Engine`: samples chosen by their tags.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use tq_controller::select::{Selected, Selection};
use tq_controller::{Comparison, Predicate, TagName};
use tq_proto::{ErrorKind, Key};

use super::arguments::{field_names, texts};
use super::class::Engine;
use super::tags::{TagReader, TagWriter};
use crate::errors::{OrRaise, raise};

/// `(predicate, fields, order_by, limit, group_by, group_size)`: what is asked of the samples.
type Asked<'py> = (
    Bound<'py, PyTuple>,
    Bound<'py, PyList>,
    Vec<(String, bool)>,
    Option<usize>,
    Option<String>,
    Option<usize>,
);

/// `(keys, tags, fields, counts)`.
type Chosen<'py> = (
    Vec<String>,
    Bound<'py, PyList>,
    Vec<String>,
    Bound<'py, PyDict>,
);

#[pymethods]
impl Engine {
    /// Chooses samples, of `keys` or of the whole partition, and claims them for a task where one is
    /// given.
    #[pyo3(signature = (partition, asked, claim_for, allow_pickle, keys=None))]
    fn select<'py>(
        &self,
        py: Python<'py>,
        partition: String,
        asked: Asked<'py>,
        claim_for: Option<String>,
        allow_pickle: bool,
        keys: Option<&Bound<'_, PyList>>,
    ) -> PyResult<Chosen<'py>> {
        let keys = keys.map(|keys| texts("keys", keys)).transpose()?;
        let selection = Selection {
            keys: keys.map(|keys| keys.iter().map(|key| Key::from(&**key)).collect()),
            claim_for: claim_for.map(Into::into),
            ..selection(asked)?
        };
        let engine = &self.engine;
        let selected = py
            .detach(|| engine.select(&partition, &selection))
            .or_raise(py)?;
        Ok((
            selected.keys.iter().map(ToString::to_string).collect(),
            TagWriter::new(py, allow_pickle).write_all(&selected.tags)?,
            selected.fields.iter().map(ToString::to_string).collect(),
            counts(py, &selected)?,
        ))
    }

    /// Chooses samples and clears them: `(keys, counts)`.
    fn evict<'py>(
        &self,
        py: Python<'py>,
        partition: String,
        asked: Asked<'py>,
    ) -> PyResult<(Vec<String>, Bound<'py, PyDict>)> {
        let selection = selection(asked)?;
        let engine = &self.engine;
        let selected = py
            .detach(|| engine.evict(&partition, &selection))
            .or_raise(py)?;
        let keys = selected.keys.iter().map(ToString::to_string).collect();
        Ok((keys, counts(py, &selected)?))
    }
}

fn selection(asked: Asked<'_>) -> PyResult<Selection> {
    let (predicate, fields, order_by, limit, group_by, group_size) = asked;
    Ok(Selection {
        predicate: read_predicate(&predicate, &mut TagReader::new(false), 0)?,
        fields: field_names(&fields)?,
        order_by: order_by
            .into_iter()
            .map(|(tag, descending)| (tag.into(), descending))
            .collect(),
        limit,
        group_by: group_by.map(Into::into),
        group_size,
        ..Selection::default()
    })
}

/// A predicate as `_predicate.py` gives it: nested tuples, the name of its kind first.
fn read_predicate(
    tuple: &Bound<'_, PyTuple>,
    values: &mut TagReader,
    depth: usize,
) -> PyResult<Predicate> {
    let py = tuple.py();
    if depth > Predicate::MAX_DEPTH {
        return Err(raise(
            py,
            ErrorKind::InvalidArgument,
            "the condition is nested too deep",
        ));
    }
    let tag = |place: usize| -> PyResult<TagName> {
        Ok(tuple.get_item(place)?.extract::<String>()?.into())
    };
    let kind: String = tuple.get_item(0)?.extract()?;
    Ok(match kind.as_str() {
        "always" => Predicate::Always,
        "has" => Predicate::Has(tag(1)?),
        "compare" => {
            let symbol: String = tuple.get_item(2)?.extract()?;
            let op = Comparison::from_symbol(&symbol).ok_or_else(|| {
                raise(
                    py,
                    ErrorKind::Internal,
                    format!("unknown comparison {symbol:?}"),
                )
            })?;
            Predicate::Compare {
                tag: tag(1)?,
                op,
                value: values.value(&tuple.get_item(3)?)?,
            }
        }
        "one_of" => Predicate::OneOf {
            tag: tag(1)?,
            values: tuple
                .get_item(2)?
                .cast::<PyList>()?
                .iter()
                .map(|value| values.value(&value))
                .collect::<PyResult<_>>()?,
            negated: tuple.get_item(3)?.extract()?,
        },
        "not" => Predicate::Not(Box::new(read_predicate(
            tuple.get_item(1)?.cast()?,
            values,
            depth + 1,
        )?)),
        "and" | "or" => {
            let parts = tuple
                .get_item(1)?
                .cast::<PyList>()?
                .iter()
                .map(|part| read_predicate(part.cast()?, values, depth + 1))
                .collect::<PyResult<_>>()?;
            if kind == "and" {
                Predicate::And(parts)
            } else {
                Predicate::Or(parts)
            }
        }
        other => {
            return Err(raise(
                py,
                ErrorKind::Internal,
                format!("unknown kind of predicate {other:?}"),
            ));
        }
    })
}

fn counts<'py>(py: Python<'py>, selected: &Selected) -> PyResult<Bound<'py, PyDict>> {
    let counts = &selected.counts;
    let result = PyDict::new(py);
    for (name, count) in [
        ("samples", counts.samples),
        ("selected", counts.selected),
        ("not_matching", counts.not_matching),
        ("not_ready", counts.not_ready),
        ("already_claimed", counts.already_claimed),
        ("incomplete_group", counts.incomplete_group),
        ("over_limit", counts.over_limit),
    ] {
        result.set_item(name, count)?;
    }
    Ok(result)
}
