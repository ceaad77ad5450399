"""The one module that knows CPU, CUDA and MPS apart. Torch is imported where it is needed."""

from __future__ import annotations

import platform
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import psutil

from transfer_core.errors import UserError
from transfer_core.models.memory import keep_large_blocks

if TYPE_CHECKING:
    import torch

PRECISIONS = ("auto", "fp32", "mixed")


def list_devices() -> list[str]:
    """Return the devices of this machine, best first, without importing torch or touching CUDA."""
    cuda = [f"cuda:{index}" for index in range(_count_gpus())]
    mps = ["mps"] if platform.system() == "Darwin" and platform.machine() == "arm64" else []
    return [*cuda, *mps, "cpu"]


def resolve_device(name: str) -> str:
    """Return the device a word means ("auto" is the best one); UserError where it is not here."""
    here = list_devices()
    if name == "auto":
        return here[0]
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in here:
        raise UserError(f"There is no device {name!r} on this machine; choose one of {', '.join(here)}.")
    return wanted


def make_device(name: str) -> torch.device:
    """Return the torch device of a resolved name, checked with torch itself; who computes on the CPU keeps its memory."""
    import torch

    if name == "cpu":
        keep_large_blocks()

    if name.startswith("cuda") and not torch.cuda.is_available():
        message = "A GPU is there but this torch cannot use it (driver or build): choose the cpu device."
        raise UserError(message, "no-device")
    return torch.device(name)


def choose_precision(wanted: str, device: torch.device) -> str:
    """Return "fp32" or "mixed" for a wish; "auto" is mixed on a GPU. On a CPU `precision.gain_of_mixed` can tell more."""
    if wanted == "auto":
        return "mixed" if device.type == "cuda" else "fp32"
    return wanted


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """Return the context in which forward passes run: "mixed" in bfloat16 where the device has it, else in full.

    bfloat16 needs no loss scaling, so a step is one step everywhere.
    """
    import torch

    if precision != "mixed" or device.type not in ("cuda", "cpu"):
        return nullcontext()
    if device.type == "cuda" and not torch.cuda.is_bf16_supported():
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def describe_load(device: str) -> dict[str, float]:
    """Return what the machine is doing now: memory of this process, and the GPU's use if any.

    Megabytes and percent. A GPU that cannot be asked is left out rather than shown as zero.
    """
    load = {"memory_mb": psutil.Process().memory_info().rss / 1e6, "cpu_percent": psutil.cpu_percent()}
    if device.startswith("cuda"):
        load |= _ask_gpu(int(device.partition(":")[2] or 0))
    return load


def _count_gpus() -> int:
    try:
        import pynvml

        pynvml.nvmlInit()
        return int(pynvml.nvmlDeviceGetCount())
    except Exception:  # no driver, no library, no permission: then there is no GPU to offer
        return 0


def _ask_gpu(index: int) -> dict[str, float]:
    try:
        import pynvml

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        use = pynvml.nvmlDeviceGetUtilizationRates(handle)
        return {"gpu_percent": float(use.gpu), "gpu_memory_mb": memory.used / 1e6}
    except Exception:  # the panel then hides the GPU
        return {}
