"""Memory of large tensors, kept from one step to the next.

glibc gives a block above 32 MiB back to the kernel as soon as it is freed, so that every pass of a batch through a
network has the same hundred thousand pages mapped and zeroed anew: up to a third of the time on a CPU. Told once, it
keeps them for the next step, which needs as much.
"""

from __future__ import annotations

import ctypes
import platform
from functools import cache

LARGE = 1 << 30  # bytes; below it a block stays with the process
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # of malloc.h


@cache
def keep_large_blocks() -> bool:
    """Have this process keep the memory of large tensors; False where its allocator is not glibc's.

    Memory that was at its peak once is not given back before the process ends, which those that train and predict do.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # Before 2.35 glibc refuses a threshold this high; then nothing at all may be mapped by itself.
    kept = mallopt(_MMAP_THRESHOLD, LARGE) or mallopt(_MMAP_MAX, 0)
    return bool(kept and mallopt(_TRIM_THRESHOLD, LARGE))


def give_back() -> bool:
    """Give back what is kept and not in use now; False where there is nothing to give, or no such way."""
    return platform.libc_ver()[0] == "glibc" and bool(ctypes.CDLL(None).malloc_trim(0))
