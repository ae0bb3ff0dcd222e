//! Samples that come and go, and their metadata. Each call is as that of
//! [`tq_engine::Embedded`] of the same name.

use tq_controller::{BatchColumns, FieldSelection, Receipts, Tags};
use tq_proto::{FieldName, GlobalIndex, Key, Result};
use tq_wire::proto::{
    self, BatchOfKeysRequest, CountRequest, ForceFetchRequest, IndexesRequest, InsertRequest,
    KeysRequest, OptionalTexts, PartitionRequest, SetReceiptsRequest, SetTagsRequest, Texts,
};
use tq_wire::request_id::RequestId;
use tq_wire::tags::tags;
use tq_wire::texts::{count, names, numbers, to_positions};

use crate::remote::{Remote, call, change};

/// What a reply that always tells of a batch must have.
pub(crate) fn batch_of(reply: proto::BatchReply) -> Result<BatchColumns> {
    reply.read()?.ok_or_else(|| {
        tq_proto::Error::new(
            tq_proto::ErrorKind::Internal,
            "the host's answer tells of no batch; run the same version at both ends",
        )
    })
}

impl Remote {
    /// Clears samples by key.
    ///
    /// # Errors
    /// As every call, see [`Remote`].
    pub fn clear<K: AsRef<str>>(&self, partition: &str, keys: &[K]) -> Result<usize> {
        let request = KeysRequest {
            partition: partition.into(),
            keys: Some(Texts::of(keys)),
        };
        Ok(count(self.ask(change!(clear, request))?.count))
    }

    /// Clears samples by global index.
    ///
    /// # Errors
    /// As every call, see [`Remote`].
    pub fn clear_indexes(&self, partition: &str, indexes: &[GlobalIndex]) -> Result<usize> {
        let request = IndexesRequest {
            partition: partition.into(),
            global_indexes: numbers(indexes),
        };
        Ok(count(self.ask(change!(clear_indexes, request))?.count))
    }

    /// Clears a partition with all its samples.
    ///
    /// # Errors
    /// As every call, see [`Remote`].
    pub fn clear_partition(&self, partition: &str) -> Result<Option<usize>> {
        let request = PartitionRequest {
            partition: partition.into(),
        };
        Ok(self
            .ask(change!(clear_partition, request))?
            .count
            .map(count))
    }

    /// Appends samples without keys and fields.
    ///
    /// # Errors
    /// As there, and as every call, see [`Remote`].
    pub fn insert(
        &self,
        partition: &str,
        fields: Vec<FieldName>,
        count: usize,
    ) -> Result<BatchColumns> {
        let request = InsertRequest {
            partition: partition.into(),
            fields: names(&fields),
            count: count as u64,
        };
        batch_of(self.ask(change!(insert, request))?)
    }

    /// Reserves samples for a partition that does not exist yet.
    ///
    /// # Errors
    /// As there, and as every call, see [`Remote`].
    pub fn preallocate(&self, partition: &str, count: usize) -> Result<()> {
        let request = CountRequest {
            partition: partition.into(),
            count: count as u64,
        };
        self.ask(change!(preallocate, request)).map(drop)
    }

    /// Metadata of all samples of a partition.
    ///
    /// # Errors
    /// As there, and as every call, see [`Remote`].
    pub fn force_fetch(&self, partition: &str, fields: &FieldSelection) -> Result<BatchColumns> {
        let reply = self.ask_again(|| {
            call!(
                force_fetch,
                ForceFetchRequest {
                    partition: partition.into(),
                    fields: Some(proto::FieldSelection::of(fields)),
                }
            )
        });
        batch_of(reply?)
    }

    /// Metadata of keys, and the positions of those that do not exist.
    ///
    /// # Errors
    /// As there, and as every call, see [`Remote`].
    pub fn batch_of_keys<K: AsRef<str>>(
        &self,
        partition: &str,
        keys: &[K],
        create: bool,
    ) -> Result<(Option<BatchColumns>, Vec<usize>)> {
        // With `create` too: what exists already is not created again.
        let reply = self.ask_again(|| {
            call!(
                batch_of_keys,
                BatchOfKeysRequest {
                    partition: partition.into(),
                    keys: Some(Texts::of(keys)),
                    create,
                }
            )
        })?;
        let batch = reply.batch.map(proto::Batch::read).transpose()?;
        Ok((batch, to_positions(&reply.missing, keys.len())?))
    }

    /// The key of each sample.
    ///
    /// # Errors
    /// As every call, see [`Remote`].
    pub fn keys_of(
        &self,
        partition: &str,
        indexes: &[GlobalIndex],
    ) -> Result<Option<Vec<Option<Key>>>> {
        let reply = self.ask_again(|| call!(keys_of, of_indexes(partition, indexes)))?;
        reply.keys.as_ref().map(OptionalTexts::read).transpose()
    }

    /// The tags of each sample.
    ///
    /// # Errors
    /// As every call, see [`Remote`].
    pub fn tags_of(&self, partition: &str, indexes: &[GlobalIndex]) -> Result<Vec<Tags>> {
        let reply = self.ask_again(|| call!(tags_of, of_indexes(partition, indexes)))?;
        let rows = reply.tags.as_ref().map_or(0, |tags| tags.counts.len());
        tags(reply.tags.as_ref(), rows)
    }

    /// Sets tags, one set per sample.
    ///
    /// # Errors
    /// As there, and as every call, see [`Remote`].
    pub fn set_tags(
        &self,
        partition: &str,
        indexes: &[GlobalIndex],
        tags: Vec<Tags>,
        replace: bool,
    ) -> Result<usize> {
        let request = SetTagsRequest {
            partition: partition.into(),
            global_indexes: numbers(indexes),
            tags: Some(proto::Tags::of(&tags)),
            replace,
        };
        Ok(count(self.ask(change!(set_tags, request))?.count))
    }

    /// Merges receipts into those of samples, one set per sample.
    ///
    /// # Errors
    /// As there, and as every call, see [`Remote`].
    pub fn set_receipts(
        &self,
        partition: &str,
        indexes: &[GlobalIndex],
        receipts: Vec<Receipts>,
    ) -> Result<usize> {
        let request = SetReceiptsRequest {
            partition: partition.into(),
            global_indexes: numbers(indexes),
            receipts: Some(proto::Receipts::of(&receipts)),
        };
        Ok(count(self.ask(change!(set_receipts, request))?.count))
    }
}

fn of_indexes(partition: &str, indexes: &[GlobalIndex]) -> IndexesRequest {
    IndexesRequest {
        partition: partition.into(),
        global_indexes: numbers(indexes),
    }
}
