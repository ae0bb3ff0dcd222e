//! Listings, selections, and how full the host is. Each call is as that of [`tq_engine::Embedded`] of
//! the same name.

use tq_controller::{Changes, Selected, Selection};
use tq_engine::{Listing, Usage};
use tq_proto::{PartitionId, Result};
use tq_wire::overview::Overview;
use tq_wire::proto::{self, ChangesRequest, ListRequest, Nothing, PartitionRequest, SelectRequest};
use tq_wire::request_id::RequestId;
use tq_wire::texts::texts;

use crate::remote::{Remote, call, change};

impl Remote {
    /// Keys and tags of one partition, or of all.
    ///
    /// # Errors
    /// As every call, see [`Remote`].
    pub fn list(&self, partition: Option<&str>) -> Result<Vec<Listing>> {
        let reply = self.ask_again(|| {
            call!(
                list,
                ListRequest {
                    partition: partition.map(String::from),
                }
            )
        })?;
        reply
            .listings
            .into_iter()
            .map(proto::Listing::read)
            .collect()
    }

    /// What has changed since a change.
    ///
    /// # Errors
    /// As every call, see [`Remote`].
    pub fn changes(&self, partition: &str, since: u64, limit: usize) -> Result<Changes> {
        self.ask_again(|| {
            call!(
                changes,
                ChangesRequest {
                    partition: partition.into(),
                    since,
                    limit: limit as u64,
                }
            )
        })?
        .read()
    }

    /// Number of the last visible change.
    ///
    /// # Errors
    /// As every call, see [`Remote`].
    pub fn sequence(&self, partition: &str) -> Result<u64> {
        let reply = self.ask_again(|| call!(sequence, of_partition(partition)))?;
        Ok(reply.count)
    }

    /// A number that every change raises.
    ///
    /// # Errors
    /// As every call, see [`Remote`].
    pub fn activity(&self, partition: &str) -> Result<u64> {
        let reply = self.ask_again(|| call!(activity, of_partition(partition)))?;
        Ok(reply.count)
    }

    /// Names of all partitions, oldest first.
    ///
    /// # Errors
    /// As every call, see [`Remote`].
    pub fn partitions(&self) -> Result<Vec<PartitionId>> {
        let reply = self.ask_again(|| call!(partitions, Nothing {}))?;
        let names = texts(reply.partitions.as_ref())?;
        Ok(names.into_iter().map(PartitionId::from).collect())
    }

    /// How full the host is, its own memory for copies included.
    ///
    /// # Errors
    /// As every call, see [`Remote`].
    pub fn usage(&self) -> Result<Usage> {
        Ok(self.ask_again(|| call!(usage, Nothing {}))?.read())
    }

    /// What the host is at, in counts; this guest is not counted among its guests.
    ///
    /// # Errors
    /// As every call, see [`Remote`].
    pub fn overview(&self) -> Result<Overview> {
        self.again(|link| {
            let mut overview = self.ask_over(link, call!(overview, Nothing {}))?.read()?;
            overview
                .guests
                .retain(|guest| guest.session != link.session);
            Ok(overview)
        })
    }

    /// Chooses samples, and claims them where the selection says so.
    ///
    /// # Errors
    /// As there, and as every call, see [`Remote`].
    pub fn select(&self, partition: &str, selection: &Selection) -> Result<Selected> {
        if selection.claim_for.is_some() {
            let request = SelectRequest::of(partition, selection);
            return self.ask(change!(select, request))?.read();
        }
        self.ask_again(|| call!(select, SelectRequest::of(partition, selection)))?
            .read()
    }

    /// Chooses samples and clears them.
    ///
    /// # Errors
    /// As there, and as every call, see [`Remote`].
    pub fn evict(&self, partition: &str, selection: &Selection) -> Result<Selected> {
        let request = SelectRequest::of(partition, selection);
        self.ask(change!(evict, request))?.read()
    }
}

fn of_partition(partition: &str) -> PartitionRequest {
    PartitionRequest {
        partition: partition.into(),
    }
}
