"""What the machine does while a run goes on: metrics `system/...` of processor, memory, disk, network and GPUs."""

import importlib
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil

log = logging.getLogger(__name__)
_MB = 1e6


class SystemMonitor:
    """Takes the metrics on a thread of its own, from now on until `stop`.

    Args:
        record: takes a step and the metrics by name.
        every_s: how many seconds apart.
    """

    def __init__(self, record: Callable[[int, dict[str, float]], None], every_s: float) -> None:
        self._record = record
        self._every_s = every_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="penstock-system-metrics", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take the last ones, and end."""
        self._stopped.set()
        self._thread.join(timeout=5.0)

    def _run(self) -> None:
        probe, step = SystemProbe(), 0
        while True:
            last = self._stopped.wait(self._every_s)
            try:
                self._record(step, probe.measure())
            except Exception:  # the outermost loop: the run matters more than this
                log.warning("system metrics could not be taken", exc_info=True)
            if last:
                return
            step += 1


class SystemProbe:
    """Measures; rates are those since the last time."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._gpus = _Gpus()
        self._at = time.monotonic()
        self._counted = _count_io()
        psutil.cpu_percent()  # the first one only sets the mark that the next is measured from
        self._process.cpu_percent()

    def measure(self) -> dict[str, float]:
        """Every metric that this machine has, by name: percent, megabytes, or megabytes a second."""
        memory, disk = psutil.virtual_memory(), psutil.disk_usage(os.getcwd())
        with self._process.oneshot():
            found = {
                "system/cpu_percent": psutil.cpu_percent(),
                "system/memory_percent": memory.percent,
                "system/memory_used_mb": (memory.total - memory.available) / _MB,
                "system/disk_percent": disk.percent,
                "system/disk_free_mb": disk.free / _MB,
                "system/process_cpu_percent": self._process.cpu_percent(),
                "system/process_memory_mb": self._process.memory_info().rss / _MB,
                "system/process_threads": float(self._process.num_threads()),
            }
        return found | self._rates() | self._gpus.measure()

    def _rates(self) -> dict[str, float]:
        now, counted = time.monotonic(), _count_io()
        passed = max(now - self._at, 1e-6)
        rates = {
            f"system/{name}_mb_per_s": (value - self._counted.get(name, value)) / _MB / passed
            for name, value in counted.items()
        }
        self._at, self._counted = now, counted
        return rates


def _count_io() -> dict[str, float]:
    """Bytes since the machine started; nothing where it does not count them, as in some containers."""
    disk, network = psutil.disk_io_counters(), psutil.net_io_counters()
    counted: dict[str, float] = {}
    if disk is not None:
        counted |= {"disk_read": disk.read_bytes, "disk_write": disk.write_bytes}
    if network is not None:
        counted |= {"network_received": network.bytes_recv, "network_sent": network.bytes_sent}
    return counted


class _Gpus:
    """NVIDIA's, where `nvidia-ml-py` and a driver are installed; elsewhere none."""

    def __init__(self) -> None:
        self._library: Any = None
        self._handles: list[Any] = []
        try:
            self._library = importlib.import_module("pynvml")
            self._library.nvmlInit()
            count = self._library.nvmlDeviceGetCount()
            self._handles = [self._library.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
        except ImportError:
            return
        except Exception as error:  # the library's own errors have no common name without it
            log.info("no GPU can be watched", extra={"reason": str(error)})

    def measure(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for index, handle in enumerate(self._handles):
            found |= {f"system/gpu_{index}_{name}": value for name, value in self._measure_one(handle)}
        return found

    def _measure_one(self, handle: Any) -> list[tuple[str, float]]:
        nvml = self._library
        found = []
        for name, read in (
            ("percent", lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu),
            ("memory_used_mb", lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used / _MB),
            ("memory_percent", lambda: _percent(nvml.nvmlDeviceGetMemoryInfo(handle))),
            ("power_w", lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1_000),
            ("temperature_c", lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
        ):
            try:
                found.append((name, float(read())))
            except nvml.NVMLError:  # not every card and driver tells everything
                continue
        return found


def _percent(memory: Any) -> float:
    return 100.0 * float(memory.used) / float(memory.total)
