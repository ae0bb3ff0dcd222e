//! Samples whose payload lies in a storage backend. Each call is as that of
//! [`tq_engine::Embedded`] of the same name.

use std::sync::Arc;

use tq_controller::{Published, Tags};
use tq_engine::{StoredBatch, StoredPut};
use tq_proto::{FieldName, GlobalIndex, Parcel, Result};
use tq_wire::proto::{
    self, CountRequest, Fields, ParcelsMessage, PublishStoredRequest, ReadStoredRequest, Target,
};
use tq_wire::request_id::RequestId;
use tq_wire::texts::names;

use crate::remote::{Remote, call, change};
use crate::target::{indexes_target, keys_target};

impl Remote {
    /// As [`tq_engine::Embedded::publish_stored`].
    ///
    /// # Errors
    /// As there, and as every call, see [`Remote`].
    pub fn publish_stored<K: AsRef<str>>(
        &self,
        partition: &str,
        keys: &[K],
        put: StoredPut,
        tags: Option<Vec<Tags>>,
    ) -> Result<Published> {
        self.publish_to(keys_target(partition, keys), keys.len(), &put, tags)
    }

    /// As [`tq_engine::Embedded::publish_stored_indexes`].
    ///
    /// # Errors
    /// As there, and as every call, see [`Remote`].
    pub fn publish_stored_indexes(
        &self,
        partition: &str,
        indexes: &[GlobalIndex],
        put: StoredPut,
        tags: Option<Vec<Tags>>,
    ) -> Result<Published> {
        let target = indexes_target(&[partition], indexes);
        self.publish_to(target, indexes.len(), &put, tags)
    }

    fn publish_to(
        &self,
        target: Target,
        rows: usize,
        put: &StoredPut,
        tags: Option<Vec<Tags>>,
    ) -> Result<Published> {
        let request = PublishStoredRequest {
            target: Some(target),
            tags: tags.as_ref().map(proto::Tags::of),
            ..PublishStoredRequest::of(put)
        };
        self.ask(change!(publish_stored, request))?.read(rows)
    }

    /// As [`tq_engine::Embedded::read_stored`].
    ///
    /// # Errors
    /// As there, and as every call, see [`Remote`].
    pub fn read_stored<K: AsRef<str>>(
        &self,
        partition: &str,
        keys: &[K],
        select: Option<&[FieldName]>,
    ) -> Result<StoredBatch> {
        self.read_from(&keys_target(partition, keys), keys.len(), select)
    }

    /// As [`tq_engine::Embedded::read_stored_indexes`].
    ///
    /// # Errors
    /// As there, and as every call, see [`Remote`].
    pub fn read_stored_indexes<P: AsRef<str>>(
        &self,
        partitions: &[P],
        indexes: &[GlobalIndex],
        fields: &[FieldName],
    ) -> Result<StoredBatch> {
        let target = indexes_target(partitions, indexes);
        self.read_from(&target, indexes.len(), Some(fields))
    }

    fn read_from(
        &self,
        target: &Target,
        rows: usize,
        select: Option<&[FieldName]>,
    ) -> Result<StoredBatch> {
        let reply = self.ask_again(|| {
            let request = ReadStoredRequest {
                target: Some(target.clone()),
                select: select.map(|fields| Fields {
                    names: names(fields),
                }),
            };
            call!(read_stored, request)
        })?;
        reply.read(rows)
    }

    /// As [`tq_engine::Embedded::take_dropped`]. What is lost with a connection is not deleted.
    ///
    /// # Errors
    /// As every call, see [`Remote`].
    pub fn take_dropped(&self, most: usize) -> Result<Vec<Arc<Parcel>>> {
        let request = CountRequest {
            partition: String::new(),
            count: most as u64,
        };
        self.ask(change!(take_dropped, request))?.read()
    }

    /// As [`tq_engine::Embedded::return_dropped`].
    ///
    /// # Errors
    /// As every call, see [`Remote`].
    pub fn return_dropped(&self, parcels: Vec<Arc<Parcel>>) -> Result<()> {
        let request = ParcelsMessage::of(&parcels);
        self.ask(change!(return_dropped, request)).map(drop)
    }
}
