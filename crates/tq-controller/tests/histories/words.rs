//! Steps in the words of the controller and of the model.

use tq_controller::{FieldSchemaUpdate, FieldUpdate, RowShapes, TagValue, Tags};
use tq_proto::{DType, FieldName, GlobalIndex};

use crate::model::{FieldPut, Pairs};
use crate::steps::{FIELDS, Kind};

pub(crate) fn partition(number: usize) -> String {
    format!("p{number}")
}

pub(crate) fn task(number: usize) -> String {
    format!("task{number}")
}

pub(crate) fn keys(numbers: &[usize]) -> Vec<String> {
    numbers.iter().map(|key| format!("k{key}")).collect()
}

/// Names that sort against the order of their numbers.
pub(crate) fn field_name(number: usize) -> String {
    format!("f{}", FIELDS - number)
}

pub(crate) fn names(fields: &[String]) -> Vec<FieldName> {
    fields.iter().map(|name| name.as_str().into()).collect()
}

pub(crate) fn numbers(indexes: &[GlobalIndex]) -> Vec<u64> {
    indexes.iter().map(|index| index.0).collect()
}

pub(crate) fn indexes(numbers: &[u64]) -> Vec<GlobalIndex> {
    numbers.iter().copied().map(GlobalIndex).collect()
}

pub(crate) fn pairs(tags: &Tags) -> Pairs {
    tags.iter()
        .map(|(name, value)| match value {
            TagValue::Int(value) => (name.to_string(), *value),
            other => panic!("{other:?} was never put"),
        })
        .collect()
}

pub(crate) fn tags(pairs: &Pairs) -> Tags {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| (name.as_str().into(), TagValue::Int(*value)))
        .collect()
}

/// A known name keeps its place.
pub(crate) fn merge(tags: &mut Pairs, update: &[(String, i64)]) {
    for (name, value) in update {
        match tags.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = *value,
            None => tags.push((name.clone(), *value)),
        }
    }
}

/// The same field twice: as the controller and as the model take it.
pub(crate) fn field(
    number: usize,
    kind: &Kind,
    rows: usize,
    described: usize,
) -> (FieldUpdate, FieldPut) {
    let name = field_name(number);
    let dtype = |wide| if wide { DType::Int64 } else { DType::Float32 };
    let (schema, nested, rows) = match *kind {
        Kind::Dense(wide, rank) => {
            let shape = vec![2; rank];
            let row_shape = shape.as_slice().into();
            let dtype = dtype(wide);
            let rows = vec![Some((dtype, shape)); rows];
            (FieldSchemaUpdate::Dense { dtype, row_shape }, false, rows)
        }
        Kind::Jagged(wide, spread) => {
            let dims: Vec<_> = (0..described as u64).map(|row| 1 + row % spread).collect();
            let dtype = dtype(wide);
            let rows = dims.iter().map(|dim| Some((dtype, vec![*dim]))).collect();
            let row_shapes = RowShapes::new(1, described, dims).unwrap();
            (FieldSchemaUpdate::Jagged { dtype, row_shapes }, true, rows)
        }
        Kind::NonTensor => (FieldSchemaUpdate::NonTensor, false, vec![None; rows]),
    };
    let update = FieldUpdate {
        name: name.as_str().into(),
        schema,
    };
    (update, FieldPut { name, nested, rows })
}
