"""Sparse and quantised tensors keep layout, indices and quantisation."""

import pytest
import torch
from codec_buffers import WAYS, by_batch, packed
from codec_sameness import assert_same

pytestmark = [
    pytest.mark.usefixtures("bridge"),
    pytest.mark.filterwarnings("ignore:Sparse"),
    pytest.mark.filterwarnings("ignore:torch.quantize_per"),
    pytest.mark.filterwarnings("ignore:.*quantiz.*:DeprecationWarning"),
]

EYE = torch.eye(4)
SPARSE = {
    "coo": EYE.to_sparse(),
    "coo, not coalesced": torch.sparse_coo_tensor([[0, 0]], [1.0, 2.0], (3,)),
    "coo, dense inside": torch.sparse_coo_tensor([[0, 1]], torch.ones(2, 3), (3, 3)),
    "coo, empty": torch.sparse_coo_tensor(size=(2, 2)),
    "coo, wider than memory": torch.sparse_coo_tensor([[1]], [1.0], (10**12,)),
    "coo, bool": torch.eye(3, dtype=torch.bool).to_sparse(),
    "coo, complex": torch.eye(3, dtype=torch.complex64).to_sparse(),
    "csr": EYE.to_sparse_csr(),
    "csc": EYE.to_sparse_csc(),
    "bsr": EYE.to_sparse_bsr((2, 2)),
    "bsc": EYE.to_sparse_bsc((2, 2)),
    "csr, batched": torch.stack([EYE, EYE]).to_sparse_csr(),
    "csr, narrow indices": torch.sparse_csr_tensor(
        torch.tensor([0, 1], dtype=torch.int32),
        torch.tensor([0], dtype=torch.int32),
        torch.ones(1),
        (1, 1),
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", SPARSE)
def test_sparse_tensors_survive(name, way):
    assert_same(way(SPARSE[name]), SPARSE[name])


@pytest.mark.parametrize("name", SPARSE)
def test_sparse_tensors_need_no_pickle(name):
    packed(SPARSE[name], allow_pickle=False)


@pytest.mark.parametrize("layout", ["to_sparse", "to_sparse_csr", "to_sparse_csc"])
def test_sparse_tensors_keep_requires_grad(layout):
    tensor = getattr(torch.eye(3), layout)().requires_grad_()
    assert_same(by_batch(tensor), tensor)


def test_tensors_quantised_as_a_whole_survive():
    for dtype in (torch.quint8, torch.qint8, torch.qint32):
        tensor = torch.quantize_per_tensor(torch.arange(6.0).reshape(2, 3), 0.1, 2, dtype)
        assert_same(by_batch(tensor), tensor)


def test_tensors_quantised_by_channel_survive():
    scales, zeros = torch.tensor([0.1, 0.2]), torch.tensor([1, 2])
    tensor = torch.quantize_per_channel(torch.ones(2, 3), scales, zeros, 0, torch.qint8)
    back = by_batch(tensor)
    assert_same(back, tensor)
    assert torch.equal(back.q_per_channel_scales(), tensor.q_per_channel_scales())
