//! One call per operation of the engine.
//!
//! | module | holds |
//! |---|---|
//! | `puts` | batches on their way in |
//! | `gets` | batches on their way out |
//! | `samples` | samples that come and go, and their metadata |
//! | `consumption` | what tasks have consumed and what is produced |
//! | `listings` | listings, selections, how full the host is |
//! | `stored` | samples whose payload lies in a storage backend |
//! | `overview` | what the host is at, in counts |
//! | `units` | storage units of other processes |
//! | `waits` | sessions and subscriptions |

mod consumption;
mod gets;
mod listings;
mod overview;
mod puts;
mod samples;
mod stored;
mod units;
mod waits;

use std::sync::Arc;
use std::time::Instant;

use tonic::{Request, Response, Status};
use tq_engine::Embedded;
use tq_proto::Result;
use tq_wire::error::to_status;
use tq_wire::proto::gateway_server::Gateway as Service;
use tq_wire::proto::{self};
use tq_wire::request_id::RequestId;

use crate::bell::SessionStream;
use crate::config::HostedSampler;
use crate::replies::Replies;
use crate::session::Sessions;

/// What calls are carried out on.
#[derive(Clone)]
pub(crate) struct Gateway {
    pub(crate) engine: Embedded,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) about: Vec<u8>,
    pub(crate) sampler: Option<Arc<dyn HostedSampler>>,
    pub(crate) replies: Arc<Replies>,
    /// When it began to serve.
    pub(crate) since: Instant,
}

/// The service: each call with the handler that answers it. `here` is for handlers that hold the
/// controller only briefly, whatever they are asked, and wake nobody. The others run `aside`: they
/// may wait for memory or a lock, or, where they wake somebody of this process, for an interpreter;
/// another thread takes over from theirs meanwhile. That costs as much as a small call, so where a
/// function tells that a request is light, it is handled here.
macro_rules! service {
    ($($how:tt $call:ident($request:ident) -> $reply:ident = $handler:path;)*) => {
        #[tonic::async_trait]
        impl Service for Gateway {
            type AttachStream = SessionStream;

            async fn attach(
                &self,
                request: Request<proto::Hello>,
            ) -> std::result::Result<Response<SessionStream>, Status> {
                respond(waits::attach(self, &request.into_inner()))
            }

            $(async fn $call(
                &self,
                request: Request<proto::$request>,
            ) -> std::result::Result<Response<proto::$reply>, Status> {
                let id = RequestId::read(request.metadata());
                let request = request.into_inner();
                respond(match id {
                    None => service!(@$how self, $handler, request),
                    Some(id) => {
                        let carry_out = || service!(@$how self, $handler, request);
                        self.replies.once(id, carry_out)
                    }
                })
            })*
        }
    };
    (@here $gateway:ident, $handler:path, $request:ident) => { $handler($gateway, $request) };
    (@[$is_light:path] $gateway:ident, $handler:path, $request:ident) => {
        if $is_light($gateway, &$request) {
            $handler($gateway, $request)
        } else {
            service!(@aside $gateway, $handler, $request)
        }
    };
    (@aside $gateway:ident, $handler:path, $request:ident) => {
        tokio::task::block_in_place(|| $handler($gateway, $request))
    };
}

service! {
    aside begin_put(BeginPutRequest) -> LoanReply = puts::begin;
    aside publish(PublishRequest) -> PublishedReply = puts::publish;
    aside abandon(HoldRequest) -> Nothing = puts::abandon;
    [puts::is_light] put(PutRequest) -> PublishedReply = puts::put;
    [gets::is_light] read(ReadRequest) -> ReadReply = gets::read;
    here release(HoldRequest) -> Nothing = gets::release;
    [samples::is_light] clear(KeysRequest) -> CountReply = samples::clear;
    [samples::is_light_by_index] clear_indexes(IndexesRequest) -> CountReply = samples::clear_indexes;
    aside clear_partition(PartitionRequest) -> OptionalCountReply = samples::clear_partition;
    aside insert(InsertRequest) -> BatchReply = samples::insert;
    aside preallocate(CountRequest) -> Nothing = samples::preallocate;
    aside force_fetch(ForceFetchRequest) -> BatchReply = samples::force_fetch;
    aside batch_of_keys(BatchOfKeysRequest) -> BatchOfKeysReply = samples::batch_of_keys;
    here keys_of(IndexesRequest) -> KeysReply = samples::keys_of;
    here tags_of(IndexesRequest) -> TagsReply = samples::tags_of;
    aside set_tags(SetTagsRequest) -> CountReply = samples::set_tags;
    aside set_receipts(SetReceiptsRequest) -> CountReply = samples::set_receipts;
    aside set_sampler(SamplerRequest) -> Nothing = consumption::set_sampler;
    [consumption::is_light] fetch(FetchMessage) -> BatchReply = consumption::fetch;
    aside fetch_chosen(FetchChosenMessage) -> BatchReply = consumption::fetch_chosen;
    aside ready_indexes(ReadyRequest) -> IndexesReply = consumption::ready_indexes;
    aside ready_count(ReadyRequest) -> CountReply = consumption::ready_count;
    aside claim(ClaimMessage) -> BatchReply = consumption::claim;
    aside consumption_status(TaskRequest) -> StatusReply = consumption::consumption_status;
    here is_consumed(TaskRequest) -> FlagReply = consumption::is_consumed;
    aside reset_consumption(ResetRequest) -> CountReply = consumption::reset;
    aside production_status(FieldsRequest) -> StatusReply = consumption::production_status;
    here is_produced(FieldsRequest) -> FlagReply = consumption::is_produced;
    aside list(ListRequest) -> ListReply = listings::list;
    aside changes(ChangesRequest) -> ChangesReply = listings::changes;
    here sequence(PartitionRequest) -> CountReply = listings::sequence;
    here activity(PartitionRequest) -> CountReply = listings::activity;
    here partitions(Nothing) -> PartitionsReply = listings::partitions;
    here usage(Nothing) -> UsageReply = listings::usage;
    aside select(SelectRequest) -> SelectedReply = listings::select;
    aside evict(SelectRequest) -> SelectedReply = listings::evict;
    aside join_unit(JoinUnitRequest) -> JoinUnitReply = units::join;
    here report_unit(ReportUnitRequest) -> Nothing = units::report;
    here units(Nothing) -> UnitsReply = units::units;
    aside lost_rows(LostRowsRequest) -> LostRowsReply = units::lost_rows;
    aside begin_store(BeginStoreRequest) -> LoanReply = puts::begin_store;
    aside commit_store(HoldRequest) -> Nothing = puts::commit_store;
    here subscribe(SubscribeRequest) -> Nothing = waits::subscribe;
    here unsubscribe(HoldRequest) -> Nothing = waits::unsubscribe;
    aside overview(Nothing) -> OverviewReply = overview::overview;
    aside publish_stored(PublishStoredRequest) -> PublishedReply = stored::publish;
    aside read_stored(ReadStoredRequest) -> ReadStoredReply = stored::read;
    aside take_dropped(CountRequest) -> ParcelsMessage = stored::take_dropped;
    aside return_dropped(ParcelsMessage) -> Nothing = stored::return_dropped;
}

/// Samples that a handler deals with in no time.
const FEW: usize = 256;

fn respond<T>(answered: Result<T>) -> std::result::Result<Response<T>, Status> {
    answered
        .map(Response::new)
        .map_err(|error| to_status(&error))
}
