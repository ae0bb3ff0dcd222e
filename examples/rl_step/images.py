"""Photographs out of scikit-image's wheel, and the Qwen2-VL processor that cuts them up."""

import os
import random
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from skimage import data

# The processor is built from its class alone; this makes sure that it asks no hub for anything.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import (
    Qwen2VLImageProcessorPil,
)

Pixels = NDArray[np.uint8]

# Names in `skimage.data` that need no download, and what each picture shows.
PHOTOS = {
    "astronaut": "astronaut",
    "chelsea": "cat",
    "coffee": "coffee",
    "rocket": "rocket",
    "retina": "eye",
    "hubble_deep_field": "galaxies",
    "stereo_motorcycle": "motorcycle",
}

# One pixel becomes 24 bytes of pixel_values (3 channels, float32, the still image doubled in time),
# so these areas give 1.2 to 3.8 MB a sample.
CROP_AREA = (50_000, 160_000)
CROP_ASPECT = (0.6, 1.6)


@dataclass(frozen=True)
class Photo:
    """A photograph [height, width, 3] and the one word that names what it shows."""

    answer: str
    pixels: Pixels


def load_photos() -> list[Photo]:
    """All photographs, read from the installed package: nothing is downloaded."""
    return [Photo(answer, _pixels(name)) for name, answer in PHOTOS.items()]


def _pixels(name: str) -> Pixels:
    loaded = getattr(data, name)()
    # The stereo pair comes as left view, right view and disparity.
    pixels: Pixels = loaded[0] if isinstance(loaded, tuple) else loaded
    return pixels


def random_crop(photo: Photo, dice: random.Random) -> Pixels:
    """A contiguous copy of a random window, so that no two prompts have pictures of one size."""
    area = dice.uniform(*CROP_AREA)
    aspect = dice.uniform(*CROP_ASPECT)
    full_height, full_width, _ = photo.pixels.shape
    height = min(full_height, round((area / aspect) ** 0.5))
    width = min(full_width, round(area / height))
    top = dice.randint(0, full_height - height)
    left = dice.randint(0, full_width - width)
    return np.ascontiguousarray(photo.pixels[top : top + height, left : left + width])


class PatchCutter:
    """The image processor of Qwen2-VL, one picture at a time."""

    def __init__(self) -> None:
        self._processor = Qwen2VLImageProcessorPil()
        self.merge_size: int = self._processor.merge_size

    def __call__(self, pixels: Pixels) -> dict[str, torch.Tensor]:
        """`pixel_values` [patches, 1176] float32 and `image_grid_thw` [1, 3] int64."""
        cut = self._processor(images=[pixels], return_tensors="pt")
        return {name: cut[name] for name in ("pixel_values", "image_grid_thw")}
