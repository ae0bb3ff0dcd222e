//! What a host asks of the controller for each call of the API, where rows lie in 64 storage units.

use tq_controller::sampler::{Sampler, SamplerConfig};
use tq_controller::{
    BatchColumns, Controller, FetchRequest, FieldSchemaUpdate, FieldSelection, FieldUpdate,
    Reservation, RowShapes, TagValue, Tags,
};
use tq_proto::{DType, FieldName, GlobalIndex, Result, UnitId};

pub(crate) const UNITS: usize = 64;

/// A controller and what its host keeps beside it.
pub(crate) struct Host {
    pub(crate) controller: Controller,
    sampler: Sampler,
}

impl Host {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            controller: Controller::new(),
            sampler: Sampler::new(SamplerConfig::Sequential)?,
        })
    }

    /// A batch of new samples.
    pub(crate) fn put_keys(
        &mut self,
        partition: &str,
        keys: &[String],
        fields: &[FieldUpdate],
        tags: Vec<Tags>,
        unit: UnitId,
    ) -> Result<()> {
        let reservation = self.controller.reserve(partition, keys)?;
        self.publish(reservation, fields, Some(tags), unit)
    }

    /// More fields of samples that are there.
    pub(crate) fn put_indexes(
        &mut self,
        partition: &str,
        indexes: &[GlobalIndex],
        fields: &[FieldUpdate],
        unit: UnitId,
    ) -> Result<()> {
        let reservation = self.controller.reserve_indexes(partition, indexes)?;
        self.publish(reservation, fields, None, unit)
    }

    fn publish(
        &mut self,
        reservation: Reservation,
        fields: &[FieldUpdate],
        tags: Option<Vec<Tags>>,
        unit: UnitId,
    ) -> Result<()> {
        let indexes = reservation.global_indexes().to_vec();
        let names: Vec<_> = fields.iter().map(|field| field.name.clone()).collect();
        self.controller
            .publish(reservation, fields, tags)
            .map_err(|refused| refused.error)?;
        self.controller.place(unit, &names, &indexes);
        Ok(())
    }

    /// Where the rows of a get by keys lie.
    pub(crate) fn find(
        &self,
        partition: &str,
        keys: &[String],
        fields: &[FieldName],
    ) -> Result<Vec<Option<Vec<UnitId>>>> {
        let found = self.controller.resolve(partition, keys);
        self.controller
            .require_fields(partition, &found.global_indexes, fields)?;
        Ok(self.locate(&found.global_indexes, fields))
    }

    /// Where the rows of a get by metadata lie.
    pub(crate) fn locate(
        &self,
        indexes: &[GlobalIndex],
        fields: &[FieldName],
    ) -> Vec<Option<Vec<UnitId>>> {
        let units = |field: &FieldName| self.controller.units_of(field, indexes);
        fields.iter().map(units).collect()
    }

    /// The next batch of a task, with its metadata.
    pub(crate) fn claim(&mut self, request: &FetchRequest) -> Result<Option<BatchColumns>> {
        let Some(sampled) = self.controller.fetch(&mut self.sampler, request)? else {
            return Ok(None);
        };
        let fields = FieldSelection::Named(request.fields.clone());
        let batch = self
            .controller
            .batch(&request.partition, &sampled, &fields)?;
        Ok(Some(batch))
    }

    /// Samples that are gone.
    pub(crate) fn clear(&mut self, partition: &str, keys: &[String]) -> usize {
        let ticket = self.controller.begin_clear_keys(partition, keys);
        let gone = self.controller.displace(ticket.global_indexes());
        self.controller.finish_clear(&ticket);
        gone.len()
    }

    /// All keys and tags of a partition.
    pub(crate) fn list(&self, partition: &str) -> usize {
        let listed = self.controller.list(Some(partition));
        let pairs = listed.flat_map(|listed| listed.keys);
        pairs
            .map(|(key, tags)| (key.clone(), tags.clone()))
            .collect::<Vec<_>>()
            .len()
    }
}

pub(crate) fn unit(number: usize) -> UnitId {
    UnitId((number % UNITS) as u32 + 1)
}

/// Fields of rows that differ in length, as token sequences do: they cost more than dense ones.
pub(crate) fn jagged(names: &[FieldName], rows: usize, from: usize) -> Result<Vec<FieldUpdate>> {
    let update = |name: &FieldName| {
        let lengths = (from..from + rows).map(|row| 1 + row as u64 * 7919 % 4096);
        Ok(FieldUpdate {
            name: name.clone(),
            schema: FieldSchemaUpdate::Jagged {
                dtype: DType::Int64,
                row_shapes: RowShapes::new(1, rows, lengths.collect())?,
            },
        })
    };
    names.iter().map(update).collect()
}

pub(crate) fn names(count: usize) -> Vec<FieldName> {
    let name = |number: usize| FieldName::from(format!("field_{number}").as_str());
    (0..count).map(name).collect()
}

pub(crate) fn keys(from: usize, count: usize) -> Vec<String> {
    let numbers = from..from + count;
    numbers.map(|number| format!("sample_{number}")).collect()
}

pub(crate) fn tags(from: usize, count: usize) -> Vec<Tags> {
    let of = |number: usize| {
        let pairs = [
            ("prompt".into(), TagValue::Int(number as i64 / 8)),
            (
                "length".into(),
                TagValue::Int((number * 7919 % 4096) as i64),
            ),
        ];
        Tags::from_iter(pairs)
    };
    (from..from + count).map(of).collect()
}

pub(crate) fn request(
    partition: &str,
    task: &str,
    fields: &[FieldName],
    batch_size: usize,
) -> FetchRequest {
    FetchRequest {
        partition: partition.into(),
        task: task.into(),
        fields: fields.to_vec(),
        batch_size,
        dp_rank: None,
        batch_index: None,
    }
}
