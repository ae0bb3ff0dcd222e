//! What is known of samples: metadata by index or key, statuses, tags, receipts.

use tq_controller::{BatchColumns, FieldSelection, Receipts, StatusColumns, Tags};
use tq_proto::{Error, ErrorKind, FieldName, GlobalIndex, Key, Result};

use crate::embedded::Embedded;
use crate::wait::Change;

impl Embedded {
    /// Appends `count` samples without keys and fields to `partition`, which comes into being with
    /// them. Their metadata names `fields`, as far as known with their schema.
    ///
    /// # Errors
    /// `InvalidArgument` for a count of 0; `CapacityExceeded`; `Closed`, `Forked`.
    pub fn insert(
        &self,
        partition: &str,
        fields: Vec<FieldName>,
        count: usize,
    ) -> Result<BatchColumns> {
        self.check()?;
        let batch = {
            let mut controller = self.shared.controller();
            let indexes = controller.insert(partition, count)?;
            controller.batch(partition, &indexes, &FieldSelection::Named(fields))?
        };
        self.shared.waits.changed(partition, Change::Other);
        Ok(batch)
    }

    /// Reserves `count` samples for a partition that does not exist yet: they count in its
    /// statuses before they are put. Does nothing for one that exists.
    ///
    /// # Errors
    /// `CapacityExceeded`; `Closed`, `Forked`.
    pub fn preallocate(&self, partition: &str, count: usize) -> Result<()> {
        self.check()?;
        self.shared.controller().preallocate(partition, count)
    }

    /// Metadata of samples of `partition`, in the order given.
    ///
    /// # Errors
    /// `NotFound` where one does not exist; `Closed`, `Forked`.
    pub fn batch(
        &self,
        partition: &str,
        indexes: &[GlobalIndex],
        fields: Vec<FieldName>,
    ) -> Result<BatchColumns> {
        self.check()?;
        let fields = FieldSelection::Named(fields);
        self.shared.controller().batch(partition, indexes, &fields)
    }

    /// Metadata of all samples of `partition`, reserved ones included, consumed or not.
    ///
    /// # Errors
    /// `NotFound` for an unknown partition; `Closed`, `Forked`.
    pub fn force_fetch(&self, partition: &str, fields: &FieldSelection) -> Result<BatchColumns> {
        self.check()?;
        let controller = self.shared.controller();
        let indexes = controller.all_indexes(partition)?;
        controller.batch(partition, &indexes, fields)
    }

    /// Metadata of `keys` with the fields that all of them have, and the positions in the request of
    /// those that do not exist. With `create`, missing ones come into being, without fields.
    ///
    /// # Errors
    /// `InvalidArgument` for no keys at all where `create`; `CapacityExceeded`; `Closed`, `Forked`.
    pub fn batch_of_keys<K: AsRef<str>>(
        &self,
        partition: &str,
        keys: &[K],
        create: bool,
    ) -> Result<(Option<BatchColumns>, Vec<usize>)> {
        self.check()?;
        let mut controller = self.shared.controller();
        let mut resolved = controller.resolve(partition, keys);
        let created = create && !resolved.missing.is_empty();
        if created {
            controller.register_keys(partition, keys)?;
            resolved = controller.resolve(partition, keys);
        }
        let batch = match resolved.global_indexes.as_slice() {
            [] => None,
            indexes => {
                let fields = FieldSelection::Named(resolved.fields);
                Some(controller.batch(partition, indexes, &fields)?)
            }
        };
        drop(controller);
        if created {
            self.shared.waits.changed(partition, Change::Other);
        }
        Ok((batch, resolved.missing))
    }

    /// The key of each sample, `None` for one that has none or does not exist; `None` for an
    /// unknown partition.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn keys_of(
        &self,
        partition: &str,
        indexes: &[GlobalIndex],
    ) -> Result<Option<Vec<Option<Key>>>> {
        self.check()?;
        Ok(self.shared.controller().keys_of(partition, indexes))
    }

    /// The tags of each sample; none for one that does not exist.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn tags_of(&self, partition: &str, indexes: &[GlobalIndex]) -> Result<Vec<Tags>> {
        self.check()?;
        Ok(self.shared.controller().tags_of(partition, indexes))
    }

    /// Sets tags, one set per sample: in place of those there are, or merged into them. Samples that
    /// do not exist are passed over. Returns how many were set.
    ///
    /// # Errors
    /// `InvalidArgument` where there are not as many tags as samples; `Closed`, `Forked`.
    pub fn set_tags(
        &self,
        partition: &str,
        indexes: &[GlobalIndex],
        tags: Vec<Tags>,
        replace: bool,
    ) -> Result<usize> {
        self.check()?;
        if tags.len() != indexes.len() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "{} tags were given for {} samples; give one set of tags per sample",
                    tags.len(),
                    indexes.len()
                ),
            ));
        }
        let set = {
            let mut controller = self.shared.controller();
            if replace {
                controller.replace_tags(partition, indexes, tags)
            } else {
                controller.merge_tags(partition, indexes, tags)
            }
        };
        if set > 0 {
            self.shared.waits.changed(partition, Change::Other);
        }
        Ok(set)
    }

    /// Merges receipts into those of samples, field by field; one set per sample. Samples that do
    /// not exist and empty sets are passed over. Returns how many samples were set. Nobody is woken:
    /// receipts are no condition of any wait.
    ///
    /// # Errors
    /// `InvalidArgument` where there are not as many sets as samples; `Closed`, `Forked`.
    pub fn set_receipts(
        &self,
        partition: &str,
        indexes: &[GlobalIndex],
        receipts: Vec<Receipts>,
    ) -> Result<usize> {
        self.check()?;
        if receipts.len() != indexes.len() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "{} sets of receipts were given for {} samples; give one set per sample",
                    receipts.len(),
                    indexes.len()
                ),
            ));
        }
        let mut controller = self.shared.controller();
        Ok(controller.set_receipts(partition, indexes, receipts))
    }

    /// For each sample and each of `fields`, whether it is produced. `None` for an unknown
    /// partition, no field, or a field that nobody ever put there.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn production_status(
        &self,
        partition: &str,
        fields: &[FieldName],
    ) -> Result<Option<StatusColumns>> {
        self.check()?;
        Ok(self
            .shared
            .controller()
            .production_status(partition, fields))
    }

    /// Whether there are samples and each has all of `fields`.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn is_produced(&self, partition: &str, fields: &[FieldName]) -> Result<bool> {
        self.check()?;
        Ok(self.shared.controller().is_produced(partition, fields))
    }
}
