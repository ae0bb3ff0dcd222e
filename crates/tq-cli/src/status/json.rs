//! The overview for programs: one object a line. Keys are added and never change their meaning.

use serde_json::{Value, json};
use tq_controller::PartitionOverview;
use tq_wire::overview::{GuestOverview, UnitOverview};

use super::Found;

pub(super) fn of(found: &Found) -> Value {
    let overview = &found.overview;
    json!({
        "address": found.address,
        "id": found.id,
        "serving_seconds": overview.serving.as_secs(),
        "partitions": overview.partitions.iter().map(partition).collect::<Value>(),
        "units": overview.units.iter().map(unit).collect::<Value>(),
        "guests": overview.guests.iter().map(guest).collect::<Value>(),
    })
}

/// What `--watch` says of a host that does not answer.
pub(super) fn failure(address: &str, error: &anyhow::Error) -> Value {
    json!({ "address": address, "error": error.to_string() })
}

pub(super) fn line(value: &Value) -> String {
    format!("{value}\n")
}

fn partition(partition: &PartitionOverview) -> Value {
    let fields = partition.produced.iter();
    let tasks = partition.consumed.iter();
    json!({
        "partition": &*partition.partition,
        "samples": partition.samples,
        "preallocated": partition.preallocated,
        "keys": partition.keys,
        "sequence": partition.sequence,
        "fields": fields
            .map(|(field, produced)| json!({ "field": &**field, "produced": produced }))
            .collect::<Value>(),
        "tasks": tasks
            .map(|(task, consumed)| json!({ "task": &**task, "consumed": consumed }))
            .collect::<Value>(),
    })
}

fn unit(unit: &UnitOverview) -> Value {
    let (storage, arena) = (&unit.usage.storage, &unit.usage.storage.arena);
    json!({
        "unit": unit.name,
        "samples": storage.samples,
        "pending_samples": storage.pending_samples,
        "max_samples": storage.max_samples,
        "fields": storage.fields,
        "capacity_bytes": arena.capacity,
        "committed_bytes": arena.committed,
        "loaned_bytes": arena.loaned,
        "retired_bytes": arena.retired,
        "free_resident_bytes": arena.free_resident,
        "pooled_bytes": unit.usage.pooled_bytes,
        "segments": arena.segments,
        "live_views": arena.live_views,
    })
}

fn guest(guest: &GuestOverview) -> Value {
    json!({
        "session": guest.session,
        "name": guest.name,
        "pid": guest.process,
        "attached_seconds": guest.attached.as_secs(),
        "puts": guest.puts,
        "put_bytes": guest.put_bytes,
        "reads": guest.reads,
        "read_bytes": guest.read_bytes,
        "subscriptions": guest.subscriptions,
    })
}
