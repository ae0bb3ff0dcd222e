//! Times fetches of 1,024 samples from 100,000 and from 1,000,000, which should cost the same. Run
//! it with `cargo run --release -p tq-controller --example fetches`.
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use tq_controller::sampler::{Sampler, SamplerConfig};
use tq_controller::{
    BatchColumns, Controller, FetchRequest, FieldSchemaUpdate, FieldSelection, FieldUpdate,
};
use tq_proto::{DType, FieldName, Result};

const BATCH: usize = 1024;
const ROUNDS: usize = 60;

fn fields() -> Vec<FieldUpdate> {
    let field = |name: &str| FieldUpdate {
        name: name.into(),
        schema: FieldSchemaUpdate::Dense {
            dtype: DType::Float32,
            row_shape: [128].into(),
        },
    };
    ["prompts", "responses", "rewards", "values"]
        .map(field)
        .to_vec()
}

fn filled(samples: usize) -> Result<Controller> {
    let mut controller = Controller::new();
    for start in (0..samples).step_by(10_000) {
        let keys: Vec<_> = (start..start + 10_000)
            .map(|row| format!("sample_{row}"))
            .collect();
        let reservation = controller.reserve("train", &keys)?;
        controller.publish(reservation, &fields(), None)?;
    }
    Ok(controller)
}

fn request(task: &str) -> FetchRequest {
    FetchRequest {
        partition: "train".into(),
        task: task.into(),
        fields: fields().into_iter().map(|field| field.name).collect(),
        batch_size: BATCH,
        dp_rank: None,
        batch_index: None,
    }
}

fn fetch(controller: &mut Controller, request: &FetchRequest) -> Result<Option<BatchColumns>> {
    let mut sampler = Sampler::new(SamplerConfig::Sequential)?;
    let fetched = controller.fetch(&mut sampler, request)?;
    let selection = FieldSelection::Named(request.fields.clone());
    let describe = |batch: Vec<_>| controller.batch("train", &batch, &selection);
    fetched.map(describe).transpose()
}

fn print(samples: usize, what: &str, mut all: Vec<Duration>) {
    all.sort_unstable();
    let us = |place: usize| all[place].as_secs_f64() * 1e6;
    let (best, median, worst) = (us(0), us(all.len() / 2), us(all.len() - 1));
    println!("{samples:>9}  {what:<34}{best:>9.1}{median:>11.1}{worst:>10.1}");
}

fn time<T>(mut run: impl FnMut() -> Result<T>) -> Result<Vec<Duration>> {
    (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            black_box(run()?);
            Ok(start.elapsed())
        })
        .collect()
}

fn main() -> Result<()> {
    println!(
        "{:>9}  {:<34}{:>9}{:>11}{:>10}",
        "samples", "operation", "best us", "median us", "worst us"
    );
    for samples in [100_000, 1_000_000] {
        let mut controller = filled(samples)?;
        let first = request("first");
        let times = time(|| fetch(&mut controller, &first))?;
        print(samples, "fetch 1,024 with metadata", times);

        // One sample that is not ready keeps the start of the search where it is.
        let straggler = controller.insert("train", 1)?;
        let names: Vec<FieldName> = first.fields.clone();
        let mut late = request("late");
        late.batch_size = samples - 70 * BATCH;
        fetch(&mut controller, &late)?;
        controller.reset_consumption(
            "train",
            Some("late"),
            Some(&controller.all_indexes("train")?[..1]),
        );
        late.batch_size = BATCH;
        let claimed = controller.ready_indexes("train", "late", &names, 1);
        let times = time(|| {
            let fetched = fetch(&mut controller, &late)?;
            // The first sample is given back, so that each search begins at the first page.
            controller.reset_consumption("train", Some("late"), Some(&claimed));
            Ok(fetched)
        })?;
        print(samples, "the same behind a straggler", times);

        let times = time(|| Ok(controller.ready_count("train", "new", &names, usize::MAX)))?;
        print(samples, "count all that is ready", times);
        let times = time(|| Ok(controller.is_produced("train", &names)))?;
        print(samples, "is all produced", times);
        let ticket = controller.begin_clear_indexes("train", &straggler);
        controller.finish_clear(&ticket);
    }
    Ok(())
}
