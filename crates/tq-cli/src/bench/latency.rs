//! How long a put, a get and a clear of one small value take.

use anyhow::Result;
use serde_json::json;
use tq_proto::FieldName;

use super::Ground;
use super::arguments::{Column, Latency};
use super::batch::{get, plan, put};
use super::content::Content;
use super::meter::Meter;

const FIELD: &str = "value";
/// Rounds that are not counted.
const WARM: u64 = 20;

pub(super) fn run(ground: &mut Ground, asked: &Latency) -> Result<()> {
    let parameters = [("bytes", json!(asked.bytes))];
    let meter = |operation| Meter::new("latency", operation, &parameters);
    let (mut puts, mut gets, mut clears) = (meter("put"), meter("get"), meter("clear"));
    let (engine, partition) = (&ground.engine, ground.own.partition("latency"));
    let keys = ["key".to_owned()];
    let fields = [FieldName::from(FIELD)];
    let bytes = asked.bytes;
    for round in 0..WARM + asked.rounds {
        if ground.stop.is_asked() {
            break;
        }
        for meter in [&mut puts, &mut gets, &mut clears] {
            meter.warm(round < WARM);
        }
        let content = Content::of(ground.own.run, 0, round);
        // Made before the clock runs; copied while it does.
        let mut value = vec![0; bytes as usize];
        content.write(&mut value);
        let done = puts.time(bytes, || {
            let plans = vec![plan(FIELD, Column::Dense, 1, bytes)];
            let fill = |columns: Vec<&mut [u8]>| super::batch::copy(&value, columns);
            put(engine, &partition, &keys, plans, None, fill)
        });
        let got = done.and_then(|()| {
            gets.time(bytes, || {
                get(engine, &partition, &keys, &fields, Column::Dense)
            })
        });
        let Some(got) = got else { break };
        if let Some(at) = content.first_wrong(got.slices(FIELD), bytes as usize) {
            gets.fail(&format!("byte {at} of round {round} is wrong"));
        }
        drop(got);
        if clears.time(0, || engine.clear(&partition, &keys)).is_none() {
            break;
        }
    }
    let lines = [puts.line, gets.line, clears.line];
    ground.show("Latency of single values", &lines)
}
