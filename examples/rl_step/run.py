"""A GRPO step on photographs through TransferQueue: run it with `--help` for its options."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options, checked."""
    parser = argparse.ArgumentParser(
        prog="rl_step",
        description="Runs GRPO steps on photographs through TransferQueue, checks every value and "
        "shows how long the transfers took.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--steps", type=_at_least(1), default=5, help="training steps")
    parser.add_argument("--prompts", type=_at_least(1), default=16, help="prompts per step")
    parser.add_argument("--responses", type=_at_least(2), default=5, help="responses per prompt")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same data")
    parser.add_argument(
        "--out", type=Path, default=HERE / "out", help="folder for tables and chart"
    )
    return parser.parse_args(argv)


def _at_least(least: int) -> Callable[[str], int]:
    def integer(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is too small, give {least} or more")
        return value

    return integer


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the demo; the exit status is 0 only if all that was read equals what was put."""
    options = parse(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        # Imported late: torch and transformers take seconds, and --help should not.
        import chart
        from gateway import MismatchError
        from training import train
    except ModuleNotFoundError as error:
        needed = HERE / "requirements.txt"
        print(f"rl_step: {error}; install {needed} and transferqueue-rs first", file=sys.stderr)
        return 1
    try:
        result = train(options.steps, options.prompts, options.responses, options.seed)
    except MismatchError as error:
        print(f"rl_step: {error}", file=sys.stderr)
        return 1

    report = result.report
    files = {suffix: options.out / f"rl_step.{suffix}" for suffix in ("csv", "md", "png")}
    report.write_csv(files["csv"])
    report.write_markdown(files["md"])
    size = f"{options.prompts * options.responses} samples, {result.step_bytes / 1e6:.0f} MB a step"
    chart.draw(report, files["png"], size)
    print(f"\n{report.by_step().text()}\n\n{report.by_stage().text()}\n")
    print(f"{size}. {result.values_checked:,} values read, each equal to what was put.")
    print("\n".join(f"wrote {path}" for path in files.values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
