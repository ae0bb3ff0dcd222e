"""Enumerations, loggers, monitors and the rest of the helpers."""

import logging
import os
import threading

import pytest
import torch

from transfer_queue.errors import InvalidArgumentError
from transfer_queue.utils import logging_utils
from transfer_queue.utils.common import get_env_bool, limit_pytorch_auto_parallel_threads
from transfer_queue.utils.enum_utils import ProductionStatus, Role
from transfer_queue.utils.perf_utils import IntervalPerfMonitor


def test_enumerations_are_found_by_value_and_say_what_they_have():
    assert Role("TransferQueueClient") is Role.CLIENT
    assert Role.CONTROLLER == "TransferQueueController"
    assert [status.value for status in ProductionStatus] == ["0", "1"]
    with pytest.raises(ValueError, match=r"'nonsense'.*TransferQueueStorage"):
        Role("nonsense")


@pytest.mark.parametrize("text", ["true", "1", "YES", "y", " on "])
def test_what_counts_as_true(monkeypatch, text):
    monkeypatch.setenv("OF_THE_TEST", text)
    assert get_env_bool("OF_THE_TEST")


@pytest.mark.parametrize("text", ["", "0", "false", "2", "none"])
def test_what_does_not(monkeypatch, text):
    monkeypatch.setenv("OF_THE_TEST", text)
    assert not get_env_bool("OF_THE_TEST", True)


def test_a_variable_that_is_not_set_is_the_default(monkeypatch):
    monkeypatch.delenv("OF_THE_TEST", raising=False)
    assert get_env_bool("OF_THE_TEST", True)
    assert not get_env_bool("OF_THE_TEST")


@pytest.mark.parametrize("target", [1, None, 10_000])
def test_torch_has_as_many_threads_afterwards_as_before(target):
    before = torch.get_num_threads()
    with limit_pytorch_auto_parallel_threads(target, "test"):
        most = len(os.sched_getaffinity(0))
        assert torch.get_num_threads() == min(target or most, most)
    assert torch.get_num_threads() == before
    with pytest.raises(ZeroDivisionError), limit_pytorch_auto_parallel_threads(1):
        _ = 1 / 0
    assert torch.get_num_threads() == before


def test_no_threads_at_all_are_refused():
    with (
        pytest.raises(InvalidArgumentError, match="target_num_threads"),
        limit_pytorch_auto_parallel_threads(0),
    ):
        pass


def test_a_logger_has_the_level_of_the_environment(monkeypatch):
    assert logging_utils.get_logger("of.the.test.a").level == logging.WARNING
    assert logging_utils.get_logger("of.the.test.b", "INFO").level == logging.INFO
    monkeypatch.setenv("TQ_LOGGING_LEVEL", "debug")
    assert logging_utils.get_logger("of.the.test.c", "INFO").level == logging.DEBUG
    monkeypatch.setenv("TQ_LOGGING_LEVEL", "nonsense")
    with pytest.raises(InvalidArgumentError, match="TQ_LOGGING_LEVEL"):
        logging_utils.get_logger("of.the.test.d")


def test_a_monitor_logs_what_was_measured_together(monkeypatch, caplog):
    caplog.set_level(logging.INFO, "transfer_queue.utils.perf_utils")
    quiet = IntervalPerfMonitor("quiet")
    with quiet.measure("put"):
        pass
    assert caplog.text == ""
    monkeypatch.setenv("TQ_PERF_LOG_FLUSH_INTERVAL", "0")
    monitor = IntervalPerfMonitor("test")
    with pytest.raises(ZeroDivisionError), monitor.measure("get"):
        _ = 1 / 0
    assert "[test]" in caplog.text
    assert "get: 1 times" in caplog.text


def test_threads_share_a_monitor(monkeypatch, caplog):
    caplog.set_level(logging.INFO, "transfer_queue.utils.perf_utils")
    monkeypatch.setenv("TQ_PERF_LOG_FLUSH_INTERVAL", "1e9")
    monitor = IntervalPerfMonitor("test")

    def measure():
        for _ in range(100):
            with monitor.measure("get"):
                pass

    threads = [threading.Thread(target=measure) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    monitor._interval = 0
    with monitor.measure("get"):
        pass
    assert "get: 401 times" in caplog.text


@pytest.mark.parametrize("text", ["-1", "soon", "nan"])
def test_an_interval_that_is_none_is_refused(monkeypatch, text):
    monkeypatch.setenv("TQ_PERF_LOG_FLUSH_INTERVAL", text)
    with pytest.raises(InvalidArgumentError, match="TQ_PERF_LOG_FLUSH_INTERVAL"):
        IntervalPerfMonitor("test")
