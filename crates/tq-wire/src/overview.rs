//! How far the partitions of a host are, how full it is, and who uses it.

use std::time::Duration;

use tq_controller::PartitionOverview;
use tq_engine::Usage;
use tq_proto::Result;

use crate::malformed::{malformed, required, same_length};
use crate::proto;
use crate::texts::{count, texts};

/// What a host is at, in counts.
#[derive(Clone, Debug)]
pub struct Overview {
    /// Its partitions, oldest first.
    pub partitions: Vec<PartitionOverview>,
    /// The storage units that its payload lies in.
    pub units: Vec<UnitOverview>,
    /// Its guests, in the order in which they attached.
    pub guests: Vec<GuestOverview>,
    /// For how long it has served.
    pub serving: Duration,
}

/// How full a storage unit is.
#[derive(Clone, Debug)]
pub struct UnitOverview {
    /// Its name.
    pub name: String,
    /// Samples and bytes.
    pub usage: Usage,
}

/// A guest, and what it holds at the host.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct GuestOverview {
    /// Number of its session.
    pub session: u64,
    /// The name that it gave itself.
    pub name: String,
    /// Its process, on its own host.
    pub process: u32,
    /// For how long it has been attached; in whole seconds when it comes from a host.
    pub attached: Duration,
    /// Puts under way.
    pub puts: u64,
    /// Bytes on loan for them.
    pub put_bytes: u64,
    /// Reads that were not released yet.
    pub reads: u64,
    /// Bytes of them, each as often as it was read.
    pub read_bytes: u64,
    /// Waits for a change.
    pub subscriptions: u64,
}

impl proto::OverviewReply {
    /// The reply that gives `overview`.
    #[must_use]
    pub fn of(overview: &Overview) -> Self {
        let unit = |unit: &UnitOverview| proto::UnitOverview {
            name: unit.name.clone(),
            usage: Some(proto::UsageReply::of(&unit.usage)),
        };
        Self {
            partitions: Some(proto::PartitionOverviews::of(&overview.partitions)),
            units: overview.units.iter().map(unit).collect(),
            guests: Some(proto::GuestOverviews::of(&overview.guests)),
            seconds: overview.serving.as_secs(),
        }
    }

    /// The overview.
    ///
    /// # Errors
    /// `Internal` where the columns contradict each other.
    pub fn read(self) -> Result<Overview> {
        let unit = |unit: proto::UnitOverview| {
            Ok(UnitOverview {
                name: unit.name,
                usage: required("usage of a storage unit", unit.usage)?.read(),
            })
        };
        Ok(Overview {
            partitions: self.partitions.unwrap_or_default().read()?,
            units: self.units.into_iter().map(unit).collect::<Result<_>>()?,
            guests: self.guests.unwrap_or_default().read()?,
            serving: Duration::from_secs(self.seconds),
        })
    }
}

impl proto::PartitionOverviews {
    fn of(partitions: &[PartitionOverview]) -> Self {
        let each = |of: fn(&PartitionOverview) -> u64| partitions.iter().map(of).collect();
        let produced = || partitions.iter().flat_map(|partition| &partition.produced);
        let consumed = || partitions.iter().flat_map(|partition| &partition.consumed);
        Self {
            partitions: Some(proto::Texts::of(
                partitions.iter().map(|partition| &partition.partition),
            )),
            samples: each(|partition| partition.samples as u64),
            preallocated: each(|partition| partition.preallocated as u64),
            keys: each(|partition| partition.keys as u64),
            sequences: each(|partition| partition.sequence),
            field_counts: each(|partition| partition.produced.len() as u64),
            task_counts: each(|partition| partition.consumed.len() as u64),
            fields: Some(proto::Texts::of(produced().map(|(field, _)| field))),
            produced: produced().map(|(_, count)| *count as u64).collect(),
            tasks: Some(proto::Texts::of(consumed().map(|(task, _)| task))),
            consumed: consumed().map(|(_, count)| *count as u64).collect(),
        }
    }

    fn read(self) -> Result<Vec<PartitionOverview>> {
        let names = texts(self.partitions.as_ref())?;
        for (what, column) in [
            ("sample counts", &self.samples),
            ("pre-allocations", &self.preallocated),
            ("key counts", &self.keys),
            ("sequences", &self.sequences),
            ("field counts", &self.field_counts),
            ("task counts", &self.task_counts),
        ] {
            same_length(what, column.len(), names.len())?;
        }
        let mut fields = Counted::new("fields", self.fields.as_ref(), &self.produced)?;
        let mut tasks = Counted::new("tasks", self.tasks.as_ref(), &self.consumed)?;
        let mut partitions = Vec::with_capacity(names.len());
        for (row, name) in names.into_iter().enumerate() {
            partitions.push(PartitionOverview {
                partition: name.into(),
                samples: count(self.samples[row]),
                preallocated: count(self.preallocated[row]),
                keys: count(self.keys[row]),
                sequence: self.sequences[row],
                produced: fields.next(count(self.field_counts[row]))?,
                consumed: tasks.next(count(self.task_counts[row]))?,
            });
        }
        fields.end()?;
        tasks.end()?;
        Ok(partitions)
    }
}

/// Names with a count each, of one partition after the other.
struct Counted<'a> {
    what: &'static str,
    left: Vec<(&'a str, u64)>,
}

impl<'a> Counted<'a> {
    fn new(what: &'static str, names: Option<&'a proto::Texts>, counts: &[u64]) -> Result<Self> {
        let names = texts(names)?;
        same_length(what, names.len(), counts.len())?;
        let left = names.into_iter().zip(counts.iter().copied());
        // Taken from the end, which is cheap.
        let left = left.rev().collect();
        Ok(Self { what, left })
    }

    fn next<N: From<&'a str>>(&mut self, count_of: usize) -> Result<Vec<(N, usize)>> {
        let from = self.left.len().checked_sub(count_of);
        let from = from.ok_or_else(|| malformed(format_args!("too few {}", self.what)))?;
        let taken = self.left.drain(from..).rev();
        Ok(taken
            .map(|(name, found)| (name.into(), count(found)))
            .collect())
    }

    fn end(self) -> Result<()> {
        if self.left.is_empty() {
            return Ok(());
        }
        Err(malformed(format_args!("{} of no partition", self.what)))
    }
}

impl proto::GuestOverviews {
    fn of(guests: &[GuestOverview]) -> Self {
        let each = |of: fn(&GuestOverview) -> u64| guests.iter().map(of).collect();
        Self {
            sessions: each(|guest| guest.session),
            names: Some(proto::Texts::of(guests.iter().map(|guest| &guest.name))),
            processes: guests.iter().map(|guest| guest.process).collect(),
            seconds: each(|guest| guest.attached.as_secs()),
            puts: each(|guest| guest.puts),
            put_bytes: each(|guest| guest.put_bytes),
            reads: each(|guest| guest.reads),
            read_bytes: each(|guest| guest.read_bytes),
            subscriptions: each(|guest| guest.subscriptions),
        }
    }

    fn read(self) -> Result<Vec<GuestOverview>> {
        let names = texts(self.names.as_ref())?;
        let rows = self.sessions.len();
        for (what, found) in [
            ("names", names.len()),
            ("processes", self.processes.len()),
            ("ages", self.seconds.len()),
            ("puts", self.puts.len()),
            ("sizes of puts", self.put_bytes.len()),
            ("reads", self.reads.len()),
            ("sizes of reads", self.read_bytes.len()),
            ("subscriptions", self.subscriptions.len()),
        ] {
            same_length(what, found, rows)?;
        }
        let guest = |(row, name): (usize, &str)| GuestOverview {
            session: self.sessions[row],
            name: name.to_owned(),
            process: self.processes[row],
            attached: Duration::from_secs(self.seconds[row]),
            puts: self.puts[row],
            put_bytes: self.put_bytes[row],
            reads: self.reads[row],
            read_bytes: self.read_bytes[row],
            subscriptions: self.subscriptions[row],
        };
        Ok(names.into_iter().enumerate().map(guest).collect())
    }
}
