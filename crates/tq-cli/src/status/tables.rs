//! The overview for people: aligned columns, without colours. Names come from anybody, so nothing in
//! them reaches the terminal as a command.

use std::fmt::Write;

use comfy_table::Table;
use tq_controller::PartitionOverview;
use tq_wire::overview::{GuestOverview, UnitOverview};

use super::Found;
use crate::quantity::{Bytes, Seconds};
use crate::table::{row, section, table};

pub(super) fn of(found: &Found) -> String {
    let overview = &found.overview;
    let mut text = plain(&found.address);
    if let Some(id) = &found.id {
        let _ = write!(text, "  {}", plain(id));
    }
    let serving = Seconds(overview.serving.as_secs());
    let _ = writeln!(text, "  serving for {serving}");
    section(&mut text, "Partitions", partitions(&overview.partitions));
    if !overview.partitions.is_empty() {
        section(&mut text, "Fields", fields(&overview.partitions));
        section(&mut text, "Tasks", tasks(&overview.partitions));
    }
    section(&mut text, "Storage units", units(&overview.units));
    section(&mut text, "Guests", guests(&overview.guests));
    text
}

fn partitions(partitions: &[PartitionOverview]) -> Table {
    let headings = [
        "partition",
        "samples",
        "keys",
        "pre-allocated",
        "fields",
        "tasks",
        "sequence",
    ];
    let mut table = table(&headings, 1);
    for found in partitions {
        table.add_row(row![
            plain(&found.partition),
            found.samples,
            found.keys,
            found.preallocated,
            found.produced.len(),
            found.consumed.len(),
            found.sequence,
        ]);
    }
    table
}

fn fields(partitions: &[PartitionOverview]) -> Table {
    let mut table = table(&["partition", "field", "produced", "of", "share"], 2);
    for found in partitions {
        for (field, produced) in &found.produced {
            table.add_row(progress(found, field, *produced));
        }
    }
    table
}

fn tasks(partitions: &[PartitionOverview]) -> Table {
    let mut table = table(&["partition", "task", "consumed", "of", "share"], 2);
    for found in partitions {
        for (task, consumed) in &found.consumed {
            table.add_row(progress(found, task, *consumed));
        }
    }
    table
}

/// So many of the samples of a partition.
fn progress(partition: &PartitionOverview, name: &str, count: usize) -> Vec<String> {
    let all = partition.samples + partition.preallocated;
    let share = match all {
        0 => "-".to_owned(),
        // Rounded down: 100 % means all.
        all => format!("{} %", (count as u128 * 100) / all as u128),
    };
    row![plain(&partition.partition), plain(name), count, all, share]
}

fn units(units: &[UnitOverview]) -> Table {
    let headings = [
        "unit",
        "samples",
        "most",
        "capacity",
        "committed",
        "loaned",
        "retired",
        "warm",
        "segments",
    ];
    let mut table = table(&headings, 1);
    for unit in units {
        let (storage, arena) = (&unit.usage.storage, &unit.usage.storage.arena);
        let most = storage.max_samples;
        table.add_row(row![
            plain(&unit.name),
            storage.samples,
            most.map_or_else(|| "-".to_owned(), |most| most.to_string()),
            Bytes(arena.capacity),
            Bytes(arena.committed),
            Bytes(arena.loaned),
            Bytes(arena.retired),
            Bytes(arena.free_resident),
            arena.segments,
        ]);
    }
    table
}

fn guests(guests: &[GuestOverview]) -> Table {
    let headings = [
        "guest", "pid", "attached", "puts", "loaned", "reads", "leased", "waits",
    ];
    let mut table = table(&headings, 1);
    for guest in guests {
        table.add_row(row![
            plain(&guest.name),
            guest.process,
            Seconds(guest.attached.as_secs()),
            guest.puts,
            Bytes(guest.put_bytes),
            guest.reads,
            Bytes(guest.read_bytes),
            guest.subscriptions,
        ]);
    }
    table
}

/// A name without what a terminal would obey.
fn plain(name: &str) -> String {
    name.chars().flat_map(escaped).collect()
}

fn escaped(char: char) -> Vec<char> {
    if char.is_control() {
        char.escape_default().collect()
    } else {
        vec![char]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_command_no_terminal() {
        assert_eq!(plain("a\u{1b}[2J\nb"), "a\\u{1b}[2J\\nb");
    }
}
