//! Times the operations on 10,000 keys x 4 fields, and a listing of 100,000 keys. Run it with
//! `cargo run --release -p tq-controller --example ten_thousand`.
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use tq_controller::{Controller, FieldSchemaUpdate, FieldUpdate, RowShapes, TagValue, Tags};
use tq_proto::{DType, Result};

const KEYS: usize = 10_000;
const ROUNDS: usize = 20;

fn fields() -> Result<Vec<FieldUpdate>> {
    let jagged = |spread: u64| {
        let dims = (0..KEYS as u64)
            .map(|row| 1 + row * 7919 % spread)
            .collect();
        let row_shapes = RowShapes::new(1, KEYS, dims)?;
        Ok::<_, tq_proto::Error>(FieldSchemaUpdate::Jagged {
            dtype: DType::Int64,
            row_shapes,
        })
    };
    let dense = FieldSchemaUpdate::Dense {
        dtype: DType::Float32,
        row_shape: [128].into(),
    };
    Ok(vec![
        FieldUpdate {
            name: "input_ids".into(),
            schema: jagged(4096)?,
        },
        FieldUpdate {
            name: "log_probs".into(),
            schema: jagged(512)?,
        },
        FieldUpdate {
            name: "values".into(),
            schema: dense,
        },
        FieldUpdate {
            name: "text".into(),
            schema: FieldSchemaUpdate::NonTensor,
        },
    ])
}

fn tags(round: usize) -> Vec<Tags> {
    let names = ["step", "length", "done"];
    (0..KEYS)
        .map(|row| {
            let values = [
                TagValue::Int(round as i64),
                TagValue::Int(row as i64),
                TagValue::Bool(row % 2 == 0),
            ];
            names
                .iter()
                .map(|name| (*name).into())
                .zip(values)
                .collect()
        })
        .collect()
}

struct Timings(Vec<(&'static str, Vec<Duration>)>);

impl Timings {
    fn time<T>(&mut self, what: &'static str, run: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = black_box(run());
        let took = start.elapsed();
        match self.0.iter_mut().find(|(known, _)| *known == what) {
            Some((_, all)) => all.push(took),
            None => self.0.push((what, vec![took])),
        }
        result
    }

    fn print(mut self) {
        println!(
            "{:<34}{:>9}{:>11}{:>10}",
            "operation", "best ms", "median ms", "worst ms"
        );
        for (what, all) in &mut self.0 {
            all.sort_unstable();
            let ms = |place: usize| all[place].as_secs_f64() * 1e3;
            let (best, median, worst) = (ms(0), ms(all.len() / 2), ms(all.len() - 1));
            println!("{what:<34}{best:>9.3}{median:>11.3}{worst:>10.3}");
        }
    }
}

fn main() -> Result<()> {
    let mut controller = Controller::new();
    // Samples that are there all the time, so that tables are of a realistic size.
    for batch in 0..9 {
        let keys: Vec<_> = (0..KEYS)
            .map(|row| format!("resident_{batch}_{row}"))
            .collect();
        let reservation = controller.reserve("train", &keys)?;
        controller.publish(reservation, &fields()?, Some(tags(0)))?;
    }

    let mut timings = Timings(Vec::new());
    for round in 0..ROUNDS {
        let keys: Vec<_> = (0..KEYS)
            .map(|row| format!("step_{round}_sample_{row}"))
            .collect();
        let fields = fields()?;
        let (first_tags, more_tags) = (tags(round), tags(round + 1));

        let reservation = timings.time("reserve new", || controller.reserve("train", &keys))?;
        timings.time("publish new, 4 fields, 3 tags", || {
            controller.publish(reservation, &fields, Some(first_tags))
        })?;
        let reservation = timings.time("reserve known", || controller.reserve("train", &keys))?;
        timings.time("publish known, 4 fields, 3 tags", || {
            controller.publish(reservation, &fields, Some(more_tags))
        })?;
        let found = timings.time("resolve", || controller.resolve("train", &keys));
        timings.time("require 4 fields", || {
            controller.require_fields("train", &found.global_indexes, &found.fields)
        })?;
        timings.time("list 100,000 keys, clone each", || {
            let keys = controller
                .list(Some("train"))
                .flat_map(|listed| listed.keys);
            keys.map(|(key, tags)| (key.clone(), tags.clone()))
                .collect::<Vec<_>>()
        });
        let ticket = timings.time("clear", || controller.begin_clear_keys("train", &keys));
        controller.finish_clear(&ticket);
    }
    timings.print();
    Ok(())
}
