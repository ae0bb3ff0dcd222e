"""Metadata that travels in place of the data: which samples, which fields, in what state.

Map of the package:

- `schema`         what a field looks like; reads it off a TensorDict
- `batch_meta`     `BatchMeta`, samples addressed by global index
- `kv_batch_meta`  `KVBatchMeta`, samples addressed by the user's own keys
- `sample_view`    one sample of a `BatchMeta`, read-only
- `rows`           columns of one value per sample: gathering, and per-sample dicts made on demand
- `splitting`      the sizes `chunk` cuts a batch into
- `merging`        what `union` and `concat` do to schemas and extra_info
"""

from transfer_queue.metadata.batch_meta import BatchMeta
from transfer_queue.metadata.kv_batch_meta import KVBatchMeta
from transfer_queue.metadata.schema import extract_field_schema

__all__ = ["BatchMeta", "KVBatchMeta", "extract_field_schema"]
