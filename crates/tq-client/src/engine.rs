//! An engine, here or there, behind the same calls.

use std::sync::Arc;

use tq_controller::sampler::SamplerConfig;
use tq_controller::{
    BatchColumns, Changes, FetchRequest, FieldSelection, PlacedRows, Published, Receipts, Selected,
    Selection, StatusColumns, Tags,
};
use tq_engine::wait::Wake;
use tq_engine::{
    Batch, Claim, Delivered, Embedded, Interest, Listing, Part, Put as EmbeddedPut, StoredBatch,
    StoredPut, Subscription as EmbeddedSubscription, UnitInfo, Usage,
};
use tq_proto::{FieldName, GlobalIndex, Key, Parcel, PartitionId, Result};
use tq_storage::{ColumnPlan, ColumnRead};

use crate::put::RemotePut;
use crate::remote::Remote;
use crate::wait::RemoteSubscription;

/// The engine of this process, or that of another one. Each call is documented at [`Embedded`], and
/// what the distance adds at [`Remote`].
#[derive(Clone)]
pub enum Engine {
    /// In this process.
    Here(Embedded),
    /// In another process of this host.
    There(Remote),
}

/// A batch that is being put. Dropping it undoes it.
pub enum Put {
    /// Into the engine of this process.
    Here(EmbeddedPut),
    /// Into that of another one.
    There(RemotePut),
}

/// A wait for a change. Dropping it ends the wait.
#[must_use = "the wait ends when it is dropped"]
#[derive(Debug)]
pub enum Subscription {
    /// In this process.
    Here(EmbeddedSubscription),
    /// At another one.
    There(RemoteSubscription),
}

impl From<Embedded> for Engine {
    fn from(engine: Embedded) -> Self {
        Self::Here(engine)
    }
}

impl From<Remote> for Engine {
    fn from(engine: Remote) -> Self {
        Self::There(engine)
    }
}

/// Calls that are the same here and there, argument by argument.
macro_rules! same {
    ($($(#[$doc:meta])* $call:ident $(<$of:ident>)? ($($name:ident: $type:ty),*) -> $result:ty;)*) => {
        impl Engine {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// As documented there.
                pub fn $call $(<$of: AsRef<str>>)? (&self, $($name: $type),*) -> $result {
                    match self {
                        Self::Here(engine) => engine.$call($($name),*),
                        Self::There(engine) => engine.$call($($name),*),
                    }
                }
            )*
        }
    };
}

same! {
    /// See [`Embedded::check`].
    check() -> Result<()>;
    /// See [`Embedded::usage`].
    usage() -> Result<Usage>;
    /// See [`Embedded::units`].
    units() -> Result<Vec<UnitInfo>>;
    /// See [`Embedded::lost_rows`].
    lost_rows(partition: Option<&str>) -> Result<Vec<(PartitionId, PlacedRows)>>;
    /// See [`Embedded::reset_lost`].
    reset_lost(partition: Option<&str>) -> Result<Vec<(PartitionId, PlacedRows)>>;
    /// See [`Embedded::partitions`].
    partitions() -> Result<Vec<PartitionId>>;
    /// See [`Embedded::clear`].
    clear<K>(partition: &str, keys: &[K]) -> Result<usize>;
    /// See [`Embedded::clear_indexes`].
    clear_indexes(partition: &str, indexes: &[GlobalIndex]) -> Result<usize>;
    /// See [`Embedded::clear_partition`].
    clear_partition(partition: &str) -> Result<Option<usize>>;
    /// See [`Embedded::set_sampler`].
    set_sampler(config: SamplerConfig) -> Result<()>;
    /// See [`Embedded::fetch`].
    fetch(request: &FetchRequest) -> Result<Option<BatchColumns>>;
    /// See [`Embedded::ready_indexes`].
    ready_indexes(
        partition: &str, task: &str, fields: &[FieldName], at_least: usize
    ) -> Result<Option<Vec<GlobalIndex>>>;
    /// See [`Embedded::ready_count`].
    ready_count(
        partition: &str, task: &str, fields: &[FieldName], at_most: usize
    ) -> Result<usize>;
    /// See [`Embedded::claim`].
    claim(claim: Claim<'_>) -> Result<BatchColumns>;
    /// See [`Embedded::consumption_status`].
    consumption_status(partition: &str, task: &str) -> Result<Option<StatusColumns>>;
    /// See [`Embedded::is_consumed`].
    is_consumed(partition: &str, task: &str) -> Result<bool>;
    /// See [`Embedded::reset_consumption`].
    reset_consumption(
        partition: &str, task: Option<&str>, indexes: Option<&[GlobalIndex]>
    ) -> Result<usize>;
    /// See [`Embedded::read`].
    read<K>(partition: &str, keys: &[K], select: Option<&[FieldName]>) -> Result<Batch>;
    /// See [`Embedded::read_indexes`].
    read_indexes(indexes: &[GlobalIndex], fields: &[FieldName]) -> Result<Vec<ColumnRead>>;
    /// See [`Embedded::deliver`].
    deliver(column: &ColumnRead) -> Result<Delivered>;
    /// See [`Embedded::deliver_parts`].
    deliver_parts(column: &ColumnRead) -> Result<Vec<Part>>;
    /// See [`Embedded::list`].
    list(partition: Option<&str>) -> Result<Vec<Listing>>;
    /// See [`Embedded::changes`].
    changes(partition: &str, since: u64, limit: usize) -> Result<Changes>;
    /// See [`Embedded::sequence`].
    sequence(partition: &str) -> Result<u64>;
    /// See [`Embedded::activity`].
    activity(partition: &str) -> Result<u64>;
    /// See [`Embedded::insert`].
    insert(partition: &str, fields: Vec<FieldName>, count: usize) -> Result<BatchColumns>;
    /// See [`Embedded::preallocate`].
    preallocate(partition: &str, count: usize) -> Result<()>;
    /// See [`Embedded::force_fetch`].
    force_fetch(partition: &str, fields: &FieldSelection) -> Result<BatchColumns>;
    /// See [`Embedded::batch_of_keys`].
    batch_of_keys<K>(
        partition: &str, keys: &[K], create: bool
    ) -> Result<(Option<BatchColumns>, Vec<usize>)>;
    /// See [`Embedded::keys_of`].
    keys_of(partition: &str, indexes: &[GlobalIndex]) -> Result<Option<Vec<Option<Key>>>>;
    /// See [`Embedded::tags_of`].
    tags_of(partition: &str, indexes: &[GlobalIndex]) -> Result<Vec<Tags>>;
    /// See [`Embedded::set_tags`].
    set_tags(
        partition: &str, indexes: &[GlobalIndex], tags: Vec<Tags>, replace: bool
    ) -> Result<usize>;
    /// See [`Embedded::set_receipts`].
    set_receipts(
        partition: &str, indexes: &[GlobalIndex], receipts: Vec<Receipts>
    ) -> Result<usize>;
    /// See [`Embedded::publish_stored`].
    publish_stored<K>(
        partition: &str, keys: &[K], put: StoredPut, tags: Option<Vec<Tags>>
    ) -> Result<Published>;
    /// See [`Embedded::publish_stored_indexes`].
    publish_stored_indexes(
        partition: &str, indexes: &[GlobalIndex], put: StoredPut, tags: Option<Vec<Tags>>
    ) -> Result<Published>;
    /// See [`Embedded::read_stored`].
    read_stored<K>(
        partition: &str, keys: &[K], select: Option<&[FieldName]>
    ) -> Result<StoredBatch>;
    /// See [`Embedded::read_stored_indexes`].
    read_stored_indexes<P>(
        partitions: &[P], indexes: &[GlobalIndex], fields: &[FieldName]
    ) -> Result<StoredBatch>;
    /// See [`Embedded::take_dropped`].
    take_dropped(most: usize) -> Result<Vec<Arc<Parcel>>>;
    /// See [`Embedded::return_dropped`].
    return_dropped(parcels: Vec<Arc<Parcel>>) -> Result<()>;
    /// See [`Embedded::production_status`].
    production_status(partition: &str, fields: &[FieldName]) -> Result<Option<StatusColumns>>;
    /// See [`Embedded::is_produced`].
    is_produced(partition: &str, fields: &[FieldName]) -> Result<bool>;
    /// See [`Embedded::select`].
    select(partition: &str, selection: &Selection) -> Result<Selected>;
    /// See [`Embedded::evict`].
    evict(partition: &str, selection: &Selection) -> Result<Selected>;
}

impl Engine {
    /// Ends the engine here; ends the connection to one that is there, which goes on.
    pub fn close(&self) {
        match self {
            Self::Here(engine) => engine.close(),
            Self::There(engine) => engine.close(),
        }
    }

    /// See [`Embedded::begin_put`] and [`Remote::begin_put`].
    ///
    /// # Errors
    /// As documented there.
    pub fn begin_put<K: AsRef<str>>(
        &self,
        partition: &str,
        keys: &[K],
        columns: Vec<ColumnPlan>,
    ) -> Result<Put> {
        match self {
            Self::Here(engine) => engine.begin_put(partition, keys, columns).map(Put::Here),
            Self::There(engine) => engine.begin_put(partition, keys, columns).map(Put::There),
        }
    }

    /// See [`Embedded::begin_put_indexes`] and [`Remote::begin_put_indexes`].
    ///
    /// # Errors
    /// As documented there.
    pub fn begin_put_indexes<P: AsRef<str>>(
        &self,
        partitions: &[P],
        indexes: &[GlobalIndex],
        columns: Vec<ColumnPlan>,
    ) -> Result<Put> {
        match self {
            Self::Here(engine) => engine
                .begin_put_indexes(partitions, indexes, columns)
                .map(Put::Here),
            Self::There(engine) => engine
                .begin_put_indexes(partitions, indexes, columns)
                .map(Put::There),
        }
    }

    /// See [`Embedded::subscribe`] and [`Remote::subscribe`].
    ///
    /// # Errors
    /// As documented there.
    pub fn subscribe(
        &self,
        partition: &str,
        interest: Interest,
        wake: Wake,
    ) -> Result<Subscription> {
        match self {
            Self::Here(engine) => engine
                .subscribe(partition, interest, wake)
                .map(Subscription::Here),
            Self::There(engine) => engine
                .subscribe(partition, interest, wake)
                .map(Subscription::There),
        }
    }
}

impl Put {
    /// Bytes of the batch; padding included where it was loaned here.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Here(put) => put.bytes(),
            Self::There(put) => put.bytes(),
        }
    }

    /// The bytes of each column, in the order given: rows back to back. All are to be written.
    pub fn columns_mut(&mut self) -> Vec<&mut [u8]> {
        match self {
            Self::Here(put) => put.columns_mut(),
            Self::There(put) => put.columns_mut(),
        }
    }

    /// Makes the batch visible, with `tags` (one per row) merged into those there are.
    ///
    /// # Errors
    /// As [`EmbeddedPut::publish`] and [`RemotePut::publish`].
    pub fn publish(self, tags: Option<Vec<Tags>>) -> Result<Published> {
        match self {
            Self::Here(put) => put.publish(tags),
            Self::There(put) => put.publish(tags),
        }
    }
}
