//! Keys, tags and fields of the samples that controller and engine are given.

use tq_controller::{FieldSchemaUpdate, FieldUpdate, TagValue, Tags};
use tq_proto::{DType, FieldName};
use tq_storage::{ColumnLayout, ColumnPlan};

pub(crate) const PARTITION: &str = "train";
const FIELDS: [&str; 4] = ["prompts", "responses", "rewards", "values"];
/// Elements of a row.
const ROW: u64 = 16;

pub(crate) fn names() -> Vec<FieldName> {
    FIELDS.map(FieldName::from).to_vec()
}

pub(crate) fn updates() -> Vec<FieldUpdate> {
    let update = |name: FieldName| FieldUpdate {
        name,
        schema: FieldSchemaUpdate::Dense {
            dtype: DType::Float32,
            row_shape: [ROW].into(),
        },
    };
    names().into_iter().map(update).collect()
}

pub(crate) fn plans() -> Vec<ColumnPlan> {
    let plan = |field: FieldName| ColumnPlan {
        field,
        layout: ColumnLayout::Dense {
            dtype: DType::Float32,
            row_shape: vec![ROW],
        },
    };
    names().into_iter().map(plan).collect()
}

pub(crate) fn keys(first: usize, count: usize) -> Vec<String> {
    let numbers = first..first + count;
    numbers.map(|number| format!("sample_{number}")).collect()
}

pub(crate) fn tags(first: usize, count: usize) -> Vec<Tags> {
    let of = |number: usize| {
        let pairs = [
            ("step".into(), TagValue::Int(3)),
            (
                "length".into(),
                TagValue::Int((number * 7919 % 4096) as i64),
            ),
        ];
        Tags::from_iter(pairs)
    };
    (first..first + count).map(of).collect()
}
