//! What a key costs in batches of many keys.

use std::collections::HashSet;

use anyhow::Result;
use serde_json::json;
use tq_proto::FieldName;

use super::Ground;
use super::arguments::{Column, Keys};
use super::batch::{copy, first_wrong, get, plan, put};
use super::content::Content;
use super::line::Line;
use super::meter::Meter;

const FIELD: &str = "value";

pub(super) fn run(ground: &mut Ground, asked: &Keys) -> Result<()> {
    let mut lines = Vec::new();
    for count in &asked.counts {
        lines.extend(measure(ground, asked, *count));
    }
    ground.show("Batches of many keys", &lines)
}

fn measure(ground: &Ground, asked: &Keys, count: u64) -> Vec<Line> {
    let bytes = count * asked.bytes;
    let parameters = [("keys", json!(count)), ("bytes", json!(asked.bytes))];
    let meter = |operation| Meter::new("keys", operation, &parameters);
    let mut meters = ["put", "list", "get", "clear"].map(meter);
    for meter in &mut meters {
        meter.line.per_call = count;
    }
    let (engine, partition) = (&ground.engine, ground.own.partition("keys"));
    let keys: Vec<String> = (0..count).map(|key| format!("sample-{key}")).collect();
    let known: HashSet<&str> = keys.iter().map(String::as_str).collect();
    let fields = [FieldName::from(FIELD)];
    let mut values = vec![0; bytes as usize];
    // The first round warms memory, here and there.
    for round in 0..=asked.rounds {
        if ground.stop.is_asked() {
            break;
        }
        for meter in &mut meters {
            meter.warm(round == 0);
        }
        let [puts, lists, gets, clears] = &mut meters;
        Content::of(ground.own.run, count, round).write(&mut values);
        let done = puts.time(bytes, || {
            let plans = vec![plan(FIELD, Column::Dense, keys.len(), asked.bytes)];
            put(engine, &partition, &keys, plans, None, |columns| {
                copy(&values, columns);
            })
        });
        let listed = done.and_then(|()| lists.time(0, || engine.list(Some(&partition))));
        let Some(listed) = listed else { break };
        let samples: Vec<_> = listed.iter().flat_map(|listing| &listing.samples).collect();
        let right = samples
            .iter()
            .filter(|(key, _)| known.contains(&**key))
            .count();
        if (samples.len(), right) != (keys.len(), keys.len()) {
            lists.fail(&format!(
                "{} keys were listed, {right} of those {count} that were put",
                samples.len()
            ));
        }
        let got = gets.time(bytes, || {
            get(engine, &partition, &keys, &fields, Column::Dense)
        });
        let Some(got) = got else { break };
        if let Some(at) = first_wrong(&got.slices(FIELD), &values) {
            gets.fail(&format!("byte {at} is wrong in round {round}"));
        }
        drop(got);
        match clears.time(0, || engine.clear(&partition, &keys)) {
            Some(cleared) if cleared as u64 == count => {}
            Some(cleared) => clears.fail(&format!("{cleared} of {count} keys were cleared")),
            None => break,
        }
    }
    meters.map(|meter| meter.line).into()
}
