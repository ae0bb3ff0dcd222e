"""The read-only views of single samples."""

from types import MappingProxyType

import pytest
from metadata_builders import batch

from transfer_queue.metadata import BatchMeta


@pytest.fixture
def meta():
    return batch(3, start=5, production_status=[0, 1, 0], custom_meta=[{}, {"t": 1}, {}])


def test_samples_have_a_length_an_order_and_negative_indexes(meta):
    assert len(meta.samples) == 3
    assert [sample.global_index for sample in meta.samples] == [5, 6, 7]
    assert meta.samples[-1].global_index == 7
    assert [sample.global_index for sample in meta.samples[1:]] == [6, 7]
    assert len(BatchMeta.empty().samples) == 0


@pytest.mark.parametrize("position", [3, -4])
def test_a_sample_that_does_not_exist_is_an_index_error(meta, position):
    with pytest.raises(IndexError, match="batch of 3"):
        meta.samples[position]


def test_a_sample_tells_its_index_partition_status_and_metadata(meta):
    sample = meta.samples[1]
    assert sample.global_index == 6
    assert sample.partition_id == "p"
    assert sample.production_status == 1
    assert type(sample.production_status) is int
    assert sample.custom_meta == {"t": 1}


def test_fields_of_a_sample_show_its_own_shape_and_no_list_of_shapes(meta):
    fields = meta.samples[1].fields
    assert fields.keys() == {"a", "n"}
    assert fields["n"]["shape"] == (7,)
    assert "per_sample_shapes" not in fields["n"]
    assert fields["n"]["is_nested"] is True
    assert fields["a"] == meta.field_schema["a"]


def test_mappings_of_a_sample_are_read_only(meta):
    sample = meta.samples[1]
    for mapping in (sample.custom_meta, sample.fields, sample.fields["a"], sample.fields["n"]):
        assert type(mapping) is MappingProxyType
        with pytest.raises(TypeError):
            mapping["k"] = 1


def test_attributes_of_a_sample_cannot_be_assigned(meta):
    for name in ("global_index", "partition_id", "production_status", "custom_meta", "fields"):
        with pytest.raises(AttributeError):
            setattr(meta.samples[0], name, 1)


def test_a_view_shows_what_its_batch_says_now(meta):
    sample = meta.samples[0]
    meta.custom_meta[0]["late"] = True
    meta.production_status[0] = 1
    assert sample.custom_meta == {"late": True}
    assert sample.production_status == 1


def test_repr_of_a_sample_names_it(meta):
    assert "global_index=6" in repr(meta.samples[1])
    assert "['a', 'n']" in repr(meta.samples[1])
