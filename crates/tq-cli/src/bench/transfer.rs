//! How fast batches are put, got and cleared, with the machine's own copy beside it in the same rounds.

use std::hint::black_box;

use anyhow::Result;
use serde_json::json;
use tq_proto::FieldName;

use super::arguments::{Column, Transfer};
use super::batch::{copy, first_wrong, get, plan, put};
use super::content::Content;
use super::line::Line;
use super::meter::Meter;
use super::{Ground, complain};
use crate::memory;
use crate::quantity::Bytes;

/// Bytes that are moved where nobody says how often.
const MOVED: u64 = 4 << 30;
/// The fewest and the most rounds then.
const ROUNDS: (u64, u64) = (5, 200);
/// A packed buffer is as many bytes or several times as many.
const STEP: u64 = 64;

/// One batch, round after round.
struct Shape {
    column: Column,
    fields: usize,
    rows: usize,
    row_bytes: u64,
}

impl Shape {
    fn bytes(&self) -> u64 {
        self.row_bytes * (self.rows * self.fields) as u64
    }
}

pub(super) fn run(ground: &mut Ground, asked: &Transfer) -> Result<()> {
    for size in &asked.sizes {
        // What is put, the copy beside it, and at the engine, which may be another machine's.
        let (needed, limit) = (size.saturating_mul(3), memory::limit());
        if needed > limit {
            complain(&format!(
                "transfer of {}: takes {} of memory, and this process may use {}",
                Bytes(*size),
                Bytes(needed),
                Bytes(limit)
            ));
            ground.errors += 1;
            continue;
        }
        let mut lines = Vec::new();
        for column in &asked.columns {
            for fields in &asked.fields {
                let parts = fields * asked.rows;
                let shape = Shape {
                    column: *column,
                    fields: *fields as usize,
                    rows: asked.rows as usize,
                    row_bytes: (size / parts / STEP).max(1) * STEP,
                };
                let rounds = asked
                    .rounds
                    .unwrap_or_else(|| (MOVED / shape.bytes()).clamp(ROUNDS.0, ROUNDS.1));
                lines.extend(measure(ground, &shape, rounds));
            }
        }
        ground.show(&format!("Batches of {}", Bytes(*size)), &lines)?;
    }
    Ok(())
}

fn measure(ground: &Ground, shape: &Shape, rounds: u64) -> Vec<Line> {
    let bytes = shape.bytes();
    let parameters = [
        ("bytes", json!(bytes)),
        ("column", json!(shape.column.name())),
        ("fields", json!(shape.fields)),
        ("rows", json!(shape.rows)),
    ];
    let meter = |operation| Meter::new("transfer", operation, &parameters);
    let mut meters = ["memcpy", "put", "get", "check", "clear"].map(meter);
    let partition = ground.own.partition("transfer");
    let keys: Vec<String> = (0..shape.rows).map(|row| format!("row{row}")).collect();
    let names: Vec<String> = (0..shape.fields).map(|field| format!("f{field}")).collect();
    let fields: Vec<FieldName> = names.iter().map(|name| name.as_str().into()).collect();
    let mut source = vec![0; bytes as usize];
    Content::of(ground.own.run, 0, 0).write(&mut source);
    let mut target = vec![1; bytes as usize];
    // The first round warms memory, here and there.
    for round in 0..=rounds {
        if ground.stop.is_asked() {
            break;
        }
        for meter in &mut meters {
            meter.warm(round == 0);
        }
        stamp(&mut source, shape.row_bytes as usize, round);
        let [memcpy, puts, gets, checks, clears] = &mut meters;
        let _ = memcpy.time(bytes, || {
            target.copy_from_slice(black_box(&source));
            black_box(&mut target);
            Ok(())
        });
        let done = puts.time(bytes, || {
            let plan = |name: &String| plan(name, shape.column, shape.rows, shape.row_bytes);
            let plans = names.iter().map(plan).collect();
            let fill = |columns: Vec<&mut [u8]>| copy(&source, columns);
            put(&ground.engine, &partition, &keys, plans, None, fill)
        });
        let got = done.and_then(|()| {
            gets.time(bytes, || {
                get(&ground.engine, &partition, &keys, &fields, shape.column)
            })
        });
        let Some(got) = got else { break };
        let wrong = checks.time(bytes, || {
            let columns = source.chunks(shape.row_bytes as usize * shape.rows);
            let mut each = names.iter().zip(columns);
            Ok(each.find_map(|(name, wanted)| {
                first_wrong(&got.slices(name), wanted).map(|at| (name.clone(), at))
            }))
        });
        if let Some(Some((name, at))) = wrong {
            gets.fail(&format!(
                "byte {at} of field {name} is wrong in round {round}"
            ));
        }
        drop(got);
        if clears
            .time(0, || ground.engine.clear(&partition, &keys))
            .is_none()
        {
            break;
        }
    }
    meters.map(|meter| meter.line).into()
}

/// Makes each row another one than in all other rounds.
fn stamp(source: &mut [u8], row_bytes: usize, round: u64) {
    for row in source.chunks_mut(row_bytes) {
        row[..8].copy_from_slice(&round.to_le_bytes());
    }
}
