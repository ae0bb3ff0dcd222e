"""Says which storage backends a run has covered."""

import os


def pytest_report_header() -> str:
    chosen = os.environ.get("TQ_TEST_BACKENDS")
    return f"storage backends: {chosen or 'all (embedded, mooncake, yuanrong, ray, directory)'}"
