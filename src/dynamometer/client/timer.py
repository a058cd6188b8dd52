"""A timer that wakes an epoll loop to the microsecond: epoll's own timeout counts in whole milliseconds."""

from __future__ import annotations

import ctypes
import os

_CLOCK_MONOTONIC = 1
_TFD_NONBLOCK = os.O_NONBLOCK
_TFD_CLOEXEC = os.O_CLOEXEC
_TFD_TIMER_ABSTIME = 1
_NS_PER_S = 1_000_000_000


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Setting(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class Timer:
    """A timerfd of the monotonic clock. Raises OSError when the system gives none.

    By ctypes, since Python has it from 3.13 on only.
    """

    def __init__(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._settime = libc.timerfd_settime
        self._settime.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.POINTER(_Setting), ctypes.c_void_p)
        self._setting = _Setting()
        self._fd: int = libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK | _TFD_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), f"no timer: {os.strerror(ctypes.get_errno())}")

    def fileno(self) -> int:
        """Readable from the time set on, until it is set again."""
        return self._fd

    def set(self, at_ns: int) -> None:
        """Wake at this monotonic time, at once if it is past; 0 never."""
        value = self._setting.value
        value.seconds, value.nanoseconds = divmod(at_ns, _NS_PER_S)
        if self._settime(self._fd, _TFD_TIMER_ABSTIME, ctypes.byref(self._setting), None) < 0:
            raise OSError(ctypes.get_errno(), f"the timer cannot be set: {os.strerror(ctypes.get_errno())}")

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
