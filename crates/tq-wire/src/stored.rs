//! Samples whose payload lies in a storage backend.

use std::sync::Arc;

use tq_controller::Receipts;
use tq_engine::{ColumnPlace, StoredBatch, StoredPut, StoredRead, StoredRun};
use tq_proto::{Parcel, Result};
use tq_storage::RowsPart;

use crate::malformed::{malformed, same_length};
use crate::proto::{self, ParcelsMessage, PublishStoredRequest, ReadStoredReply};
use crate::texts::{field_names, names, to_positions};

impl proto::Parcel {
    /// The message for `parcel`.
    #[must_use]
    pub fn of(parcel: &Parcel) -> Self {
        Self {
            key: parcel.key.as_ref().into(),
            objects: parcel.objects.clone(),
            block: parcel.block,
            checksums: parcel.checksums.clone(),
        }
    }

    /// The parcel.
    ///
    /// # Errors
    /// As [`Parcel::check`].
    pub fn read(self) -> Result<Parcel> {
        let parcel = Parcel {
            key: self.key.into(),
            objects: self.objects,
            block: self.block,
            checksums: self.checksums,
        };
        parcel.check()?;
        Ok(parcel)
    }
}

impl ParcelsMessage {
    /// The message for `parcels`.
    #[must_use]
    pub fn of(parcels: &[Arc<Parcel>]) -> Self {
        let parcels = parcels.iter().map(|parcel| proto::Parcel::of(parcel));
        Self {
            parcels: parcels.collect(),
        }
    }

    /// The parcels.
    ///
    /// # Errors
    /// As [`Parcel::check`].
    pub fn read(self) -> Result<Vec<Arc<Parcel>>> {
        let parcels = self.parcels.into_iter();
        parcels.map(|parcel| parcel.read().map(Arc::new)).collect()
    }
}

impl PublishStoredRequest {
    /// The request for `put`, without its target and tags.
    #[must_use]
    pub fn of(put: &StoredPut) -> Self {
        let places = || put.places.iter();
        Self {
            columns: proto::ColumnPlan::of(&put.columns),
            parcels: put.parcels.iter().map(proto::Parcel::of).collect(),
            place_parcels: places()
                .map(|place| place.map_or(0, |place| place.parcel + 1))
                .collect(),
            place_starts: places()
                .map(|place| place.map_or(0, |place| place.start))
                .collect(),
            receipts: (!put.receipts.is_empty()).then(|| proto::Receipts::of(&put.receipts)),
            ..Self::default()
        }
    }

    /// The put. The engine compares its rows with the samples.
    ///
    /// # Errors
    /// `Internal` where its columns contradict each other; as [`Parcel::check`].
    pub fn read(self) -> Result<StoredPut> {
        let columns = proto::ColumnPlan::read(self.columns)?;
        same_length(
            "parcels of columns",
            self.place_parcels.len(),
            columns.len(),
        )?;
        same_length("starts of columns", self.place_starts.len(), columns.len())?;
        let places = self.place_parcels.into_iter().zip(self.place_starts);
        let place = |(parcel, start): (u32, u64)| {
            let parcel = parcel.checked_sub(1)?;
            Some(ColumnPlace { parcel, start })
        };
        let parcels = self.parcels.into_iter().map(proto::Parcel::read);
        let receipts: Vec<Receipts> = match self.receipts {
            Some(receipts) => receipts.read(receipts.counts.len())?,
            None => Vec::new(),
        };
        Ok(StoredPut {
            columns,
            parcels: parcels.collect::<Result<_>>()?,
            places: places.map(place).collect(),
            receipts,
        })
    }
}

impl ReadStoredReply {
    /// The reply that tells of `batch`.
    #[must_use]
    pub fn of(batch: &StoredBatch) -> Self {
        let parcels = batch.parcels.iter().map(|parcel| proto::Parcel::of(parcel));
        Self {
            missing: batch.missing.iter().map(|place| *place as u64).collect(),
            ready: names(&batch.ready),
            parcels: parcels.collect(),
            columns: batch.columns.iter().map(proto::StoredColumn::of).collect(),
        }
    }

    /// The batch, of a request for `rows` samples.
    ///
    /// # Errors
    /// `Internal` where it contradicts itself; as [`Parcel::check`].
    pub fn read(self, rows: usize) -> Result<StoredBatch> {
        let parcels: Vec<_> = self
            .parcels
            .into_iter()
            .map(|parcel| parcel.read().map(Arc::new))
            .collect::<Result<_>>()?;
        let missing = to_positions(&self.missing, rows)?;
        let columns = self.columns.into_iter();
        Ok(StoredBatch {
            columns: columns
                .map(|column| column.read(&parcels))
                .collect::<Result<_>>()?,
            ready: field_names(self.ready),
            missing,
            parcels,
        })
    }
}

impl proto::StoredColumn {
    fn of(read: &StoredRead) -> Self {
        let layouts = read
            .parts
            .iter()
            .map(|part| proto::Layout::of(&part.layout));
        Self {
            field: read.field.as_ref().into(),
            part_rows: read.parts.iter().map(|part| part.rows).collect(),
            part_layouts: layouts.collect(),
            run_parcels: read.runs.iter().map(|run| run.parcel).collect(),
            run_offsets: read.runs.iter().map(|run| run.offset).collect(),
            run_bytes: read.runs.iter().map(|run| run.bytes).collect(),
        }
    }

    fn read(self, parcels: &[Arc<Parcel>]) -> Result<StoredRead> {
        let (parts, runs) = (self.part_rows.len(), self.run_parcels.len());
        same_length("layouts", self.part_layouts.len(), parts)?;
        same_length("offsets", self.run_offsets.len(), runs)?;
        same_length("lengths", self.run_bytes.len(), runs)?;
        let parts = self.part_rows.into_iter().zip(self.part_layouts);
        let part = |(rows, layout): (u32, proto::Layout)| {
            let layout = layout.read()?;
            Ok(RowsPart { rows, layout })
        };
        let starts = self.run_parcels.into_iter().zip(self.run_offsets);
        let run = |((parcel, offset), bytes): ((u32, u64), u64)| {
            let held = parcels.get(parcel as usize).map_or(0, |held| held.bytes());
            if offset.checked_add(bytes).is_none_or(|end| end > held) {
                return Err(malformed("rows lie outside their parcel"));
            }
            Ok(StoredRun {
                parcel,
                offset,
                bytes,
            })
        };
        Ok(StoredRead {
            field: self.field.into(),
            parts: parts.map(part).collect::<Result<_>>()?,
            runs: starts.zip(self.run_bytes).map(run).collect::<Result<_>>()?,
        })
    }
}
