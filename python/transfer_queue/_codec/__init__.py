"""The Python side of the codec: what Rust hands over because Python knows it better.

* ``named``: types that are taken apart and rebuilt by name, without pickle;
* ``tensors``: tensors whose bytes are not simply their values, and TensorDicts;
* ``classes``: references to a user's own classes (enums, dataclasses, named tuples);
* ``pickling``: the marked last resort, with tensors kept out of the pickle.
"""
