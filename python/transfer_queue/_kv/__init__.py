"""The functions of the KV API, each defined once; `transfer_queue.interface` names them.

- `process`    the engine of this process
- `arguments`  checks of arguments, and fields to columns
- `calls`      put, get, list, clear
- `waiting`    `kv_wait`
- `watching`   `kv_watch`
- `selecting`  `kv_select`, `kv_evict`
"""
