//! One client: in each round it puts a value, gets and checks it, updates the shared partition, and
//! clears the value again.

use std::time::Instant;

use tq_client::Engine;
use tq_controller::{TagValue, Tags};
use tq_proto::{FieldName, Result};

use super::task::{SLOTS, Task};
use crate::bench::arguments::Column;
use crate::bench::batch::{get, plan, put};
use crate::bench::content::Content;
use crate::bench::stop::Stop;

const FIELD: &str = "value";
/// The tag with the round of an update.
pub(super) const ROUND: &str = "round";
/// After so many failed rounds in a row a client gives up.
const FAILURES: u32 = 3;

/// What a client has to tell, as it happens.
pub(super) trait Told: Sync {
    /// An operation has ended, and so many bytes were moved.
    fn done(&self, operation: usize, start: Instant, bytes: u64);
    /// A call failed.
    fn failed(&self, what: &str);
    /// A get brought something else.
    fn wrong(&self, what: &str);
}

/// See the module.
pub(super) struct Guest<'a, T> {
    pub(super) task: &'a Task,
    pub(super) number: u64,
    pub(super) engine: &'a Engine,
    pub(super) told: &'a T,
    pub(super) fields: [FieldName; 1],
}

/// What a client has done.
#[derive(Default)]
pub(super) struct Done {
    pub(super) rounds: u64,
    pub(super) updates: [Option<u64>; SLOTS],
}

/// The key of a client's slot in the shared partition.
pub(super) fn update_key(client: u64, slot: usize) -> String {
    format!("{client}.{slot}")
}

pub(super) fn field() -> [FieldName; 1] {
    [FIELD.into()]
}

impl<T: Told> Guest<'_, T> {
    /// Works until it has done enough; at least one round.
    pub(super) fn work(&self, is_enough: impl Fn(u64) -> bool, stop: &Stop) -> Done {
        let mut done = Done::default();
        let mut failures = 0;
        for round in 0.. {
            if stop.is_asked() || round > 0 && is_enough(round) {
                break;
            }
            match self.round(round, &mut done) {
                Ok(()) => {
                    done.rounds += 1;
                    failures = 0;
                }
                Err(error) => {
                    self.told.failed(&error.to_string());
                    failures += 1;
                    if failures == FAILURES {
                        break;
                    }
                }
            }
        }
        done
    }

    fn round(&self, round: u64, done: &mut Done) -> Result<()> {
        let (task, engine) = (self.task, self.engine);
        let bytes = task.bytes;
        let keys = [self.number.to_string()];
        let content = Content::of(task.run, self.number, round);
        let start = Instant::now();
        let plans = vec![plan(FIELD, Column::Dense, 1, bytes)];
        put(engine, &task.data, &keys, plans, None, |columns| {
            for column in columns {
                content.write(column);
            }
        })?;
        self.told.done(0, start, bytes);

        let start = Instant::now();
        let got = get(engine, &task.data, &keys, &self.fields, Column::Dense)?;
        self.told.done(1, start, bytes);
        if let Some(at) = content.first_wrong(got.slices(FIELD), bytes as usize) {
            let client = self.number;
            self.told.wrong(&format!(
                "byte {at} of client {client} is wrong in round {round}"
            ));
        }
        drop(got);

        let slot = (round % SLOTS as u64) as usize;
        let ours = [update_key(self.number, slot)];
        let tags: Tags = [(ROUND.into(), TagValue::Int(round as i64))]
            .into_iter()
            .collect();
        let start = Instant::now();
        put(
            engine,
            &task.shared,
            &ours,
            Vec::new(),
            Some(vec![tags]),
            |_| (),
        )?;
        self.told.done(2, start, 0);
        done.updates[slot] = Some(round);

        let start = Instant::now();
        engine.clear(&task.data, &keys)?;
        self.told.done(3, start, 0);
        Ok(())
    }
}
