"""Takes a worker process's rights away. Irreversible; call it in a process made for that.

What is reached depends on the system, so every step that fails is reported, none is assumed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys

CPU_SECONDS = 20
_NOBODY = 65534
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CAPABILITY_VERSION = 0x20080522


def confine(parent: int, memory_bytes: int) -> str:
    """Give up the network, the file system, privileges and most resources.

    The working directory must be an empty folder made for this process. It is removed, so that
    nothing is left behind even if both processes are killed, and becomes the root where the
    system allows it. ``RLIMIT_NPROC`` binds only users other than root, so root becomes nobody.

    Args:
        parent: the process whose death ends this one (Linux).
        memory_bytes: limit of the address space.

    Returns:
        ``"ast+process"``, with ``"+ns"`` where the network is cut off, followed by the limits that
        could not be set, if any.
    """
    os.rmdir(os.getcwd())
    _hear_limits()
    cut = _leave_network()
    _leave_files_and_root()
    missing = _limit(memory_bytes)
    _drop_privileges(parent)
    level = "ast+process+ns" if cut else "ast+process"
    return f"{level} without limits of {', '.join(missing)}" if missing else level


def renew_cpu_time() -> None:
    """Allow ``CPU_SECONDS`` more of processor time, then the system ends this process.

    The limit is per call, or honest use would add up to it. It matters where the parent, which
    keeps the wall clock, is stopped itself.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + 1 + CPU_SECONDS
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    bounded = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (bounded, hard))


def _hear_limits() -> None:
    """Let the signals of limits and hang-ups end this process; NetHack makes its host deaf."""
    for name in (signal.SIGXCPU, signal.SIGHUP, signal.SIGTERM):
        signal.signal(name, signal.SIG_DFL)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _leave_network() -> bool:
    if sys.platform != "linux":
        return False
    libc = _libc()
    return any(
        libc.unshare(flags) == 0 for flags in (_CLONE_NEWNET, _CLONE_NEWUSER | _CLONE_NEWNET)
    )


def _leave_files_and_root() -> None:
    """Do so where the system permits it: for root, or in a user namespace of its own."""
    with contextlib.suppress(OSError):
        os.chroot(".")
    with contextlib.suppress(OSError):
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)


def _limit(memory_bytes: int) -> list[str]:
    limits = {"AS": memory_bytes, "FSIZE": 0, "NOFILE": 16, "NPROC": 0, "CORE": 0}
    missing = []
    for name, value in limits.items():
        try:
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))
        except (AttributeError, ValueError, OSError):
            missing.append(name)
    return missing


def _drop_privileges(parent: int) -> None:
    if sys.platform != "linux":
        return
    libc = _libc()
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    libc.capset(header, (ctypes.c_uint32 * 6)())
    libc.prctl(_PR_SET_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0)))
    # A change of credentials clears the death signal, so it comes last.
    libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
    if os.getppid() != parent:
        os._exit(1)
