//! Listings, changes, and how full the engine is.

use std::collections::HashMap;
use std::sync::Arc;

use tq_arena::ArenaUsage;
use tq_controller::{Changes, KeyChange};
use tq_engine::{Listing, Usage};
use tq_proto::{FieldName, Result};
use tq_storage::StorageUsage;

use crate::batch::check_bits;
use crate::malformed::{malformed, same_length};
use crate::proto;
use crate::tags::tags;
use crate::texts::{count, field_names, names, texts};

impl proto::Listing {
    /// The message for `listing`.
    #[must_use]
    pub fn of(listing: &Listing) -> Self {
        Self {
            partition: listing.partition.as_ref().into(),
            keys: Some(proto::Texts::of(listing.samples.iter().map(|(key, _)| key))),
            tags: Some(proto::Tags::of(
                listing.samples.iter().map(|(_, tags)| tags),
            )),
        }
    }

    /// The listing.
    ///
    /// # Errors
    /// `Internal` where the columns contradict each other.
    pub fn read(self) -> Result<Listing> {
        let keys = texts(self.keys.as_ref())?;
        let tags = tags(self.tags.as_ref(), keys.len())?;
        Ok(Listing {
            partition: self.partition.into(),
            samples: keys.into_iter().map(Into::into).zip(tags).collect(),
        })
    }
}

impl proto::ChangesReply {
    /// The reply that gives `found`.
    #[must_use]
    pub fn of(found: &Changes) -> Self {
        let changes = &found.changes;
        let mut field_sets = Vec::new();
        let mut places: HashMap<&[FieldName], u32> = HashMap::new();
        let field_set = changes.iter().map(|change| {
            let next = places.len() as u32;
            *places.entry(&change.fields).or_insert_with(|| {
                field_sets.push(proto::Fields {
                    names: names(&change.fields),
                });
                next
            })
        });
        Self {
            field_set: field_set.collect(),
            field_sets,
            sequences: changes.iter().map(|change| change.sequence).collect(),
            keys: Some(proto::Texts::of(changes.iter().map(|change| &change.key))),
            tags: Some(proto::Tags::of(changes.iter().map(|change| &change.tags))),
            cleared: changes.iter().map(|change| change.cleared.into()).collect(),
            next: found.next,
            complete: found.complete,
        }
    }

    /// The changes.
    ///
    /// # Errors
    /// `Internal` where the columns contradict each other.
    pub fn read(self) -> Result<Changes> {
        let rows = self.sequences.len();
        let keys = texts(self.keys.as_ref())?;
        same_length("keys", keys.len(), rows)?;
        same_length("sets of fields", self.field_set.len(), rows)?;
        same_length("clear flags", self.cleared.len(), rows)?;
        check_bits(&self.cleared)?;
        let mut tags = tags(self.tags.as_ref(), rows)?.into_iter();
        let sets: Vec<Arc<[FieldName]>> = self
            .field_sets
            .into_iter()
            .map(|set| field_names(set.names).into())
            .collect();
        let columns = self.sequences.into_iter().zip(keys);
        let columns = columns.zip(self.field_set).zip(self.cleared);
        let change = |(((sequence, key), set), cleared): (((u64, &str), u32), u8)| {
            let fields = sets
                .get(set as usize)
                .ok_or_else(|| malformed("a change without its fields"))?;
            Ok(KeyChange {
                sequence,
                key: key.into(),
                fields: Arc::clone(fields),
                tags: tags.next().unwrap_or_default(),
                cleared: cleared == 1,
            })
        };
        Ok(Changes {
            changes: columns.map(change).collect::<Result<_>>()?,
            next: self.next,
            complete: self.complete,
        })
    }
}

impl proto::UsageReply {
    /// The reply that gives `usage`.
    #[must_use]
    pub fn of(usage: &Usage) -> Self {
        let (storage, arena) = (&usage.storage, &usage.storage.arena);
        Self {
            samples: storage.samples,
            pending_samples: storage.pending_samples,
            max_samples: storage.max_samples,
            fields: storage.fields as u64,
            pooled_bytes: usage.pooled_bytes,
            capacity: arena.capacity,
            loaned: arena.loaned,
            committed: arena.committed,
            retired: arena.retired,
            free_resident: arena.free_resident,
            segments: arena.segments,
            live_views: arena.live_views,
        }
    }

    /// How full the host is.
    #[must_use]
    pub fn read(self) -> Usage {
        Usage {
            storage: StorageUsage {
                samples: self.samples,
                pending_samples: self.pending_samples,
                max_samples: self.max_samples,
                fields: count(self.fields),
                arena: ArenaUsage {
                    capacity: self.capacity,
                    loaned: self.loaned,
                    committed: self.committed,
                    retired: self.retired,
                    free_resident: self.free_resident,
                    segments: self.segments,
                    live_views: self.live_views,
                },
            },
            pooled_bytes: self.pooled_bytes,
        }
    }
}
