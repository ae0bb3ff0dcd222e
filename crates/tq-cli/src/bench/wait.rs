//! How soon after a put another connection is woken: from the beginning of the put to the wake.

use std::sync::mpsc::sync_channel;
use std::time::Instant;

use anyhow::Result;
use serde_json::json;
use tq_engine::Interest;
use tq_proto::FieldName;

use super::Ground;
use super::arguments::{Column, Wait};
use super::batch::{get, plan, put};
use super::content::Content;
use super::meter::Meter;

const FIELD: &str = "value";
/// Rounds that are not counted.
const WARM: u64 = 20;

pub(super) fn run(ground: &mut Ground, asked: &Wait) -> Result<()> {
    let common = &ground.common;
    let config = common.reach.config("tq bench wait", common.deadline())?;
    let waiter = ground.connect(config)?;
    let parameters = [("bytes", json!(asked.bytes))];
    let meter = |operation| Meter::new("wait", operation, &parameters);
    let (mut wakes, mut puts) = (meter("wake"), meter("put"));
    let partition = ground.own.partition("wait");
    let keys = ["key".to_owned()];
    let fields = [FieldName::from(FIELD)];
    let bytes = asked.bytes;
    for round in 0..WARM + asked.rounds {
        if ground.stop.is_asked() {
            break;
        }
        wakes.warm(round < WARM);
        puts.warm(round < WARM);
        let (wake, woken) = sync_channel(1);
        let interest = Interest {
            rows: 1,
            consumption: false,
        };
        let wake = Box::new(move || {
            // Nobody listens any more where the wake took too long.
            let _ = wake.send(Instant::now());
        });
        let subscription = waiter.subscribe(&partition, interest, wake)?;
        let content = Content::of(ground.own.run, 0, round);
        let start = Instant::now();
        let done = puts.time(bytes, || {
            let plans = vec![plan(FIELD, Column::Dense, 1, bytes)];
            let fill = |columns: Vec<&mut [u8]>| {
                for column in columns {
                    content.write(column);
                }
            };
            put(&ground.engine, &partition, &keys, plans, None, fill)
        });
        if done.is_none() {
            break;
        }
        let Ok(woken) = woken.recv_timeout(ground.common.deadline()) else {
            wakes.fail(&format!("no wake came in round {round}"));
            break;
        };
        if round >= WARM {
            wakes.line.times.add(woken.saturating_duration_since(start));
        }
        drop(subscription);
        // Who is woken by a put sees it.
        let got = get(&waiter, &partition, &keys, &fields, Column::Dense)?;
        if let Some(at) = content.first_wrong(got.slices(FIELD), bytes as usize) {
            wakes.fail(&format!("byte {at} of round {round} is wrong"));
        }
        drop(got);
        ground.engine.clear(&partition, &keys)?;
    }
    waiter.close();
    ground.show(
        "From a put to the wake of another connection",
        &[wakes.line, puts.line],
    )
}
