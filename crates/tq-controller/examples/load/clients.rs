//! Steps of a reinforcement-learning job with 8,192 clients, as their requests reach the controller.
//!
//! A driver puts prompts; rollout workers claim some, get them, and put responses in small batches as
//! they are done; scorers (rewards, reference log-probabilities) claim, get, and put one field more;
//! trainers claim and get large batches. Meanwhile the driver puts the prompts of the next step, and
//! lists and clears what was trained in the last. Who is next is drawn at random, with a seed, among the
//! clients that have something to do; who lacks samples sleeps, as clients do.

use std::collections::VecDeque;

use tq_proto::{Error, ErrorKind, FieldName, GlobalIndex, Result};

use crate::calls::{Host, jagged, keys, request, tags, unit};
use crate::log::Log;
use crate::random::Random;

const CLIENTS: usize = 8192;
const SAMPLES_PER_STEP: usize = CLIENTS * 64;
const STEPS: usize = 4;

const PROMPTS: [&str; 3] = ["prompt_ids", "prompt_mask", "answer"];
/// Fields of a sample in the end.
const FIELDS: usize = 9;
/// Places in [`roles`].
const ROLLOUT: usize = 0;
const REWARD: usize = 1;
const REFERENCE: usize = 2;
const TRAIN: usize = 3;
const RESPONSES: [&str; 4] = ["response_ids", "response_mask", "log_probs", "turns"];

/// What a client does, over and over.
struct Role {
    task: &'static str,
    clients: usize,
    /// Fields it claims and gets.
    reads: Vec<FieldName>,
    /// Samples it claims at once.
    batch: usize,
    /// Fields it puts, in batches of so many.
    writes: Vec<FieldName>,
    part: usize,
}

fn roles() -> Vec<Role> {
    let named = |names: &[&str]| names.iter().map(|name| FieldName::from(*name)).collect();
    let role = |task, clients, reads: &[&str], batch, writes: &[&str], part| Role {
        task,
        clients,
        reads: named(reads),
        batch,
        writes: named(writes),
        part,
    };
    let trained = [
        &PROMPTS[..1],
        &RESPONSES[..3],
        &["rewards", "ref_log_probs"],
    ]
    .concat();
    vec![
        role("rollout", 6144, &PROMPTS, 32, &RESPONSES, 8),
        role(
            "reward",
            768,
            &["answer", "response_ids"],
            64,
            &["rewards"],
            64,
        ),
        role(
            "reference",
            767,
            &RESPONSES[..2],
            64,
            &["ref_log_probs"],
            64,
        ),
        role("train", 512, &trained, 1024, &[], 0),
    ]
}

/// A batch some client works on: what is still to be put.
struct Work {
    role: usize,
    client: usize,
    indexes: Vec<GlobalIndex>,
}

/// What the driver has to do, in turn. Numbers are those of the first sample.
enum Errand {
    Put(usize),
    List(usize),
    Clear(usize),
}

/// Rows of an errand.
const ERRAND_ROWS: usize = 1024;
/// While there are any, one request in so many is the driver's.
const DRIVER_ONE_IN: usize = 100;

struct Job {
    host: Host,
    log: Log,
    random: Random,
    roles: Vec<Role>,
    errands: VecDeque<Errand>,
}

/// The partition of a step.
fn partition(step: usize) -> String {
    format!("train_{step}")
}

fn first_of(step: usize) -> impl Iterator<Item = usize> {
    (step * SAMPLES_PER_STEP..(step + 1) * SAMPLES_PER_STEP).step_by(ERRAND_ROWS)
}

impl Job {
    fn run_errand(&mut self) -> Result<()> {
        let Some(errand) = self.errands.pop_front() else {
            return Ok(());
        };
        let Self { host, log, .. } = self;
        let (Errand::Put(first) | Errand::List(first) | Errand::Clear(first)) = errand;
        let partition = partition(first / SAMPLES_PER_STEP);
        let keys = keys(first, ERRAND_ROWS);
        match errand {
            Errand::Put(_) => {
                let fields = jagged(&PROMPTS.map(FieldName::from), ERRAND_ROWS, first)?;
                let tags = tags(first, ERRAND_ROWS);
                let unit = unit(first / ERRAND_ROWS);
                log.time(("put", ERRAND_ROWS, fields.len()), || {
                    host.put_keys(&partition, &keys, &fields, tags, unit)
                })
            }
            Errand::List(_) => {
                let size = ("list", SAMPLES_PER_STEP, FIELDS);
                log.time(size, || Ok(host.list(&partition))).map(drop)
            }
            Errand::Clear(_) => {
                let size = ("clear", ERRAND_ROWS, FIELDS);
                log.time(size, || Ok(host.clear(&partition, &keys)))
                    .map(drop)
            }
        }
    }

    /// Claims a batch and asks where it lies.
    fn claim(&mut self, partition: &str, role: usize) -> Result<Work> {
        let Self {
            host, log, roles, ..
        } = self;
        let Role {
            task,
            clients,
            reads,
            batch,
            ..
        } = &roles[role];
        let asked = request(partition, task, reads, *batch);
        let claimed = log.time(("claim", *batch, reads.len()), || host.claim(&asked))?;
        let claimed = claimed.ok_or_else(|| Error::new(ErrorKind::Internal, "none was ready"))?;
        let indexes = claimed.global_indexes;
        log.time(("locate", *batch, reads.len()), || {
            Ok(host.locate(&indexes, reads))
        })?;
        Ok(Work {
            role,
            client: self.random.below(*clients),
            indexes,
        })
    }

    /// Puts the next part of what a client works on; returns how many samples these are.
    fn put_part(&mut self, partition: &str, work: &mut Work) -> Result<usize> {
        let Self {
            host, log, roles, ..
        } = self;
        let Role { writes, part, .. } = &roles[work.role];
        let rest = work.indexes.len().saturating_sub(*part);
        let rows = work.indexes.split_off(rest);
        let fields = jagged(writes, rows.len(), work.client)?;
        log.time(("put_fields", rows.len(), fields.len()), || {
            host.put_indexes(partition, &rows, &fields, unit(work.client))
        })?;
        Ok(rows.len())
    }

    /// One step: until every sample is trained and the driver has done its errands.
    fn step(&mut self, partition: &str) -> Result<()> {
        // Samples that each role may claim.
        let mut ready = [SAMPLES_PER_STEP, 0, 0, 0];
        let mut busy = [0; 4];
        let mut under_way: Vec<Work> = Vec::new();
        let mut scored = 0;
        loop {
            if self.random.below(DRIVER_ONE_IN) == 0 {
                self.run_errand()?;
            }
            let can_claim = |role: &usize| {
                let Role { batch, clients, .. } = self.roles[*role];
                ready[*role] >= batch && busy[*role] < clients
            };
            let claimable: Vec<usize> = (0..self.roles.len()).filter(can_claim).collect();
            let choices = claimable.len() + usize::from(!under_way.is_empty());
            if choices == 0 {
                break;
            }
            if let Some(role) = claimable.get(self.random.below(choices)) {
                let work = self.claim(partition, *role)?;
                ready[*role] -= work.indexes.len();
                if !self.roles[*role].writes.is_empty() {
                    busy[*role] += 1;
                    under_way.push(work);
                }
                continue;
            }
            let place = self.random.below(under_way.len());
            let mut work = under_way.swap_remove(place);
            let rows = self.put_part(partition, &mut work)?;
            if work.role == ROLLOUT {
                ready[REWARD] += rows;
                ready[REFERENCE] += rows;
            } else {
                scored += rows;
            }
            match work.indexes.is_empty() {
                true => busy[work.role] -= 1,
                false => under_way.push(work),
            }
            // Not at each put, because counting walks the partition; the controller's own waiters ask
            // only when enough has changed, too.
            if scored >= 8 * ERRAND_ROWS || under_way.is_empty() {
                scored = 0;
                let (controller, reads) = (&self.host.controller, &self.roles[TRAIN].reads);
                ready[TRAIN] = controller.ready_count(partition, "train", reads, usize::MAX);
            }
        }
        while !self.errands.is_empty() {
            self.run_errand()?;
        }
        Ok(())
    }
}

pub(crate) fn run() -> Result<()> {
    let mut job = Job {
        host: Host::new()?,
        log: Log::new(),
        random: Random::new(42),
        roles: roles(),
        errands: first_of(0).map(Errand::Put).collect(),
    };
    while !job.errands.is_empty() {
        job.run_errand()?;
    }
    // The first step fills an empty controller; the others stand for a job that runs.
    job.log = Log::new();
    for step in 0..STEPS {
        let mut errands: VecDeque<_> = first_of(step + 1).map(Errand::Put).collect();
        if step > 0 {
            errands.push_back(Errand::List((step - 1) * SAMPLES_PER_STEP));
            errands.extend(first_of(step - 1).map(Errand::Clear));
        }
        job.errands = errands;
        job.step(&partition(step))?;
    }
    println!(
        "{{\"clients\": {CLIENTS}, \"steps\": {STEPS}, \"samples_per_step\": {SAMPLES_PER_STEP}}}"
    );
    job.log.print();
    Ok(())
}
