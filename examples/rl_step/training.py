"""Runs the steps one after the other and keeps the books."""

from dataclasses import dataclass

import transfer_queue as tq
from tqdm import tqdm

import stages
from gateway import Gateway
from images import PatchCutter, load_photos
from meter import Meter
from report import Report


@dataclass(frozen=True)
class Result:
    """The report of a run, how many values it compared, and the bytes that a typical step put."""

    report: Report
    values_checked: int
    step_bytes: int


def train(steps: int, prompts: int, responses: int, seed: int) -> Result:
    """Starts a TransferQueue in this process, runs the steps and closes it again."""
    gateway = Gateway(Meter())
    tq.init()
    try:
        _run_steps(gateway, steps, prompts, responses, seed)
    finally:
        tq.close()
    report = Report(gateway.meter.transfers, stages.STAGES)
    step_bytes = sum(report.typical(stage, "put").payload for stage in stages.STAGES)
    return Result(report, gateway.values_checked, step_bytes)


def _run_steps(gateway: Gateway, steps: int, prompts: int, responses: int, seed: int) -> None:
    photos, cutter = load_photos(), PatchCutter()
    with tqdm(total=steps * len(stages.STAGES), unit="stage", dynamic_ncols=True) as bar:
        for number in range(steps):
            step = stages.Step(gateway, number, seed)
            bar.set_description(f"step {number}")
            stages.gen(step, photos, cutter, prompts, responses)
            bar.update()
            stages.old_log_prob(step)
            bar.update()
            handle, reward = stages.adv(step)
            bar.update()
            loss = stages.update_actor(step, handle)
            bar.set_postfix(reward=f"{reward:.3f}", loss=f"{loss:+.4f}")
            bar.update()
            step.clear()
