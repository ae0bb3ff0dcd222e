"""Prompts about photographs, and the responses a stand-in policy gives."""

import random
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from columns import Rows
from images import PatchCutter, Photo, random_crop

# Special tokens of Qwen2-VL. Text is encoded byte by byte: its vocabulary would be a download.
IM_START, IM_END = 151644, 151645
VISION_START, VISION_END, IMAGE_PAD = 151652, 151653, 151655

QUESTION = "What does this photograph show? Think, then give one word after 'Answer:'."
THOUGHTS = ("light", "and", "dark", "edges", "with", "a", "round", "shape", "near", "the", "sky")
THOUGHT_WORDS = (30, 250)
# A response of 2,000 tokens costs a tenth of the reward for a right answer.
PRICE_PER_TOKEN = 0.1 / 2_000


def make_prompts(photos: Sequence[Photo], count: int, seed: str) -> Rows:
    """What a data loader hands to the trainer: chat messages, the picture, the right answer."""
    dice = random.Random(seed)
    chosen = [dice.choice(photos) for _ in range(count)]
    content = [{"type": "image"}, {"type": "text", "text": QUESTION}]
    return {
        "raw_prompt": [{"role": "user", "content": content} for _ in chosen],
        "multi_modal_data": [{"image": random_crop(photo, dice)} for photo in chosen],
        "ground_truth": [photo.answer for photo in chosen],
    }


def make_responses(prompts: Rows, per_prompt: int, cutter: PatchCutter, seed: str) -> Rows:
    """`per_prompt` answered samples for each prompt, those of one prompt next to each other."""
    dice = random.Random(seed)
    answers: list[str] = prompts["ground_truth"]
    samples: list[dict[str, Any]] = []
    for message, media, truth in zip(
        prompts["raw_prompt"], prompts["multi_modal_data"], answers, strict=True
    ):
        patches = cutter(media["image"])
        for _ in range(per_prompt):
            # A rollout worker prepares its own pixels, so no two samples share memory.
            own = {name: tensor.clone() for name, tensor in patches.items()}
            given = truth if dice.random() < 0.5 else dice.choice(answers)
            response = _response(given, dice)
            samples.append(_sample(message, own, response, truth, cutter.merge_size))
    return {field: [sample[field] for sample in samples] for field in samples[0]}


def _sample(
    message: dict[str, Any],
    patches: dict[str, Tensor],
    response: Tensor,
    truth: str,
    merge_size: int,
) -> dict[str, Any]:
    frames, height, width = patches["image_grid_thw"][0].tolist()
    grid = (frames, height // merge_size, width // merge_size)
    head = [IM_START, *_encode(message["role"] + "\n"), VISION_START]
    image = [IMAGE_PAD] * (grid[0] * grid[1] * grid[2])
    tail = [VISION_END, *_encode(message["content"][1]["text"]), IM_END]
    prompt = torch.tensor(head + image + tail)
    return {
        "prompts": prompt,
        "responses": response,
        "attention_mask": torch.ones(len(prompt) + len(response), dtype=torch.int64),
        "position_ids": mrope_positions(len(head), grid, len(tail) + len(response)),
        "rewards": torch.tensor(reward(response, truth)),
        "multi_modal_inputs": patches,
    }


def mrope_positions(before: int, grid: tuple[int, int, int], after: int) -> Tensor:
    """Qwen2-VL's rotary positions [3, L] (time, row, column) for text, one picture, text."""
    axes = torch.meshgrid(*(torch.arange(size) for size in grid), indexing="ij")
    picture = torch.stack(axes).flatten(1) + before
    leading = torch.arange(before).expand(3, -1)
    trailing = torch.arange(after).expand(3, -1) + before + max(grid)
    return torch.cat([leading, picture, trailing], dim=1)


def reward(response: Tensor, truth: str) -> float:
    """One for the right word, less a small price for length, so that equal answers still differ."""
    answer = _decode(response.tolist()).rpartition("Answer: ")[2]
    return float(answer == truth) - PRICE_PER_TOKEN * len(response)


def _response(answer: str, dice: random.Random) -> Tensor:
    thoughts = dice.choices(THOUGHTS, k=dice.randint(*THOUGHT_WORDS))
    return torch.tensor([*_encode(" ".join(thoughts) + f". Answer: {answer}"), IM_END])


def _encode(text: str) -> bytes:
    return text.encode()


def _decode(tokens: Iterable[int]) -> str:
    return bytes(token for token in tokens if token < 256).decode()
