//! The storage unit: the lock, capacity, and the calls that enter it.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tq_arena::{Arena, ArenaUsage};
use tq_proto::{FieldName, GlobalIndex, Result};

use crate::batch::BatchLayout;
use crate::error;
use crate::index::{Freed, Index};
use crate::layout::ColumnPlan;
use crate::put::{Admitted, PendingPut};
use crate::read::ColumnRead;
use crate::rows::Rows;

/// Settings of a storage unit. The limit on bytes is the arena's.
#[derive(Clone, Debug, Default)]
pub struct StorageConfig {
    /// Samples that may be stored or named by puts in flight at once; `None` for no limit.
    pub max_samples: Option<u64>,
}

/// How full a storage unit is.
#[derive(Clone, Debug)]
pub struct StorageUsage {
    /// Samples that have a field.
    pub samples: u64,
    /// Samples that have none yet, but are named by puts in flight; they count against the limit.
    pub pending_samples: u64,
    /// The limit on samples.
    pub max_samples: Option<u64>,
    /// Fields that at least one sample has.
    pub fields: usize,
    /// Bytes, by what they are used for.
    pub arena: ArenaUsage,
}

/// Payload of samples by field. A handle: clones are the same unit.
#[derive(Clone)]
pub struct StorageUnit {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    arena: Arena,
    config: StorageConfig,
    /// Held to look rows up and to swap them, never while payload is copied or memory returned.
    index: RwLock<Index>,
}

impl Shared {
    // The index is consistent between any two calls on it, and none of them panics: a poisoned lock
    // says nothing about it.
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for StorageUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageUnit")
            .field("config", &self.shared.config)
            .finish_non_exhaustive()
    }
}

impl StorageUnit {
    /// An empty unit whose payload lies in `arena`.
    #[must_use]
    pub fn new(arena: Arena, config: StorageConfig) -> Self {
        let index = RwLock::new(Index::new(config.max_samples));
        Self {
            shared: Arc::new(Shared {
                arena,
                config,
                index,
            }),
        }
    }

    /// Where the payload lies; views of what a read found are asked for there.
    #[must_use]
    pub fn arena(&self) -> &Arena {
        &self.shared.arena
    }

    /// Begins a put: row `i` of each column is the sample `indexes[i]`. Takes the memory for all
    /// columns as one contiguous range; nothing is visible before the commit. Without a column
    /// there is nothing to store, and no sample is counted.
    ///
    /// # Errors
    /// - `InvalidArgument`: a column describes another number of rows than there are indexes, a
    ///   field or an index is given twice, or a size is impossible;
    /// - `CapacityExceeded`: the limit on samples, or the arena's on bytes, would be passed;
    /// - `System`, `Forked`: the arena has no memory to give.
    pub fn begin_put(
        &self,
        indexes: &[GlobalIndex],
        columns: Vec<ColumnPlan>,
    ) -> Result<PendingPut> {
        if u32::try_from(indexes.len()).is_err() {
            return Err(error::too_many_rows(indexes.len()));
        }
        let columns = describe(columns, indexes.len())?;
        check_distinct(indexes)?;
        let layout = BatchLayout::new(columns.iter().map(|(_, rows)| rows))
            .ok_or_else(error::batch_too_large)?;
        let indexes = if columns.is_empty() { &[] } else { indexes };
        let admitted = Admitted::new(self.shared.clone(), indexes)?;
        let loan = match layout.bytes {
            0 => None,
            bytes => Some(self.shared.arena.loan(bytes).map_err(error::loan)?),
        };
        Ok(PendingPut::new(admitted, columns, layout, loan))
    }

    /// The rows of `fields` for `indexes`: any order, repetitions allowed. All fields are read at
    /// one instant. Takes leases and copies no payload.
    ///
    /// # Errors
    /// - `InvalidArgument`: more than 2^32 - 1 indexes;
    /// - `NotFound`: names the first field that is not stored for all of the samples.
    pub fn read(&self, indexes: &[GlobalIndex], fields: &[FieldName]) -> Result<Vec<ColumnRead>> {
        if u32::try_from(indexes.len()).is_err() {
            return Err(error::too_many_rows(indexes.len()));
        }
        let index = self.shared.read();
        fields
            .iter()
            .map(|field| index.read(indexes, field))
            .collect()
    }

    /// Removes samples with all their fields; unknown ones are ignored. Returns how many were
    /// stored. Their memory is reused once no row of its group is alive and no lease on it is left.
    /// A put in flight loses its rows of these samples.
    pub fn clear(&self, indexes: &[GlobalIndex]) -> usize {
        let mut freed = Freed::default();
        self.shared.write().clear(indexes, &mut freed)
    }

    /// Removes the rows of one field; the samples keep their other fields, and one without any is
    /// not stored any more. Rows that are not stored are ignored, and puts in flight are not
    /// affected. Returns how many were stored.
    pub fn remove_rows(&self, field: &str, indexes: &[GlobalIndex]) -> usize {
        let mut freed = Freed::default();
        self.shared.write().remove_rows(field, indexes, &mut freed)
    }

    /// Removes all samples. Returns how many there were.
    pub fn clear_all(&self) -> usize {
        let all = self.shared.read().samples.all();
        self.clear(&all)
    }

    /// The fields a sample has, by name; empty for an unknown one.
    #[must_use]
    pub fn fields_of(&self, index: GlobalIndex) -> Vec<FieldName> {
        self.shared.read().fields_of(index)
    }

    /// Whether the field is stored for the sample.
    #[must_use]
    pub fn has(&self, field: &str, index: GlobalIndex) -> bool {
        self.shared.read().has(field, index)
    }

    /// How full the unit is.
    #[must_use]
    pub fn usage(&self) -> StorageUsage {
        let (samples, in_use, fields) = {
            let index = self.shared.read();
            (
                index.samples.samples(),
                index.admission.in_use(),
                index.field_count(),
            )
        };
        StorageUsage {
            samples,
            pending_samples: in_use - samples,
            max_samples: self.shared.config.max_samples,
            fields,
            arena: self.shared.arena.usage(),
        }
    }
}

fn describe(columns: Vec<ColumnPlan>, rows: usize) -> Result<Vec<(FieldName, Rows)>> {
    let mut names = HashSet::with_capacity(columns.len());
    let mut described = Vec::with_capacity(columns.len());
    for ColumnPlan { field, layout } in columns {
        if !names.insert(field.clone()) {
            return Err(error::duplicate_field(&field));
        }
        let rows = Rows::new(layout, rows).map_err(|cause| cause.for_field(&field))?;
        described.push((field, rows));
    }
    Ok(described)
}

fn check_distinct(indexes: &[GlobalIndex]) -> Result<()> {
    if indexes.is_sorted_by(|left, right| left < right) {
        return Ok(());
    }
    let mut sorted = indexes.to_vec();
    sorted.sort_unstable();
    let equal = sorted
        .chunk_by(|left, right| left == right)
        .filter(|equal| equal.len() > 1);
    let twice: Vec<_> = equal.map(|equal| equal[0]).collect();
    if twice.is_empty() {
        Ok(())
    } else {
        Err(error::duplicate_indexes(&twice))
    }
}
