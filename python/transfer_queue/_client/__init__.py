"""What the client can do, each operation defined once; `transfer_queue.client` names them.

- `base`      what all operations share
- `fetching`  `get_meta`: taking ready samples, waiting for them, inserting new ones
- `samples`   put, get and clear by `BatchMeta`
- `statuses`  production and consumption
- `keys`      between keys and global indexes
"""
