"""Tells when somebody sets the civil clock, so that nobody has to look at it all the time (Linux, timerfd_create(2)).

A timer of the kernel that is far away and cancelled when the clock is set, by hand, by NTP in one step, or by a
resume from sleep. An idle agent wakes by this some times a day instead of some times a minute.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import os
import struct
import time
from collections.abc import Callable

LONGEST_SLEEP = 3600.0
"""Seconds after which the clock is looked at even so: one that is slewed drifts from the timers, by 2 s an hour."""

_TFD_NONBLOCK, _TFD_CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC
_TFD_TIMER_ABSTIME, _TFD_TIMER_CANCEL_ON_SET = 1, 2
_ITIMERSPEC = struct.Struct("=qqqq" if ctypes.sizeof(ctypes.c_long) == 8 else "=iiii")
_FAR = 2**31 - 1


class ClockWatch:
    """Calls ``was_set`` after each time that the civil clock was set, until :meth:`close`; needs a running event loop.

    Raises OSError where the kernel has no such timer.
    """

    def __init__(self, was_set: Callable[[], None]) -> None:
        self._was_set = was_set
        self._loop = asyncio.get_running_loop()
        self._timer = _far_timer()
        self._loop.add_reader(self._timer, self._readable)

    def close(self) -> None:
        """Watch no more."""
        self._loop.remove_reader(self._timer)
        os.close(self._timer)

    def _readable(self) -> None:
        try:
            os.read(self._timer, 8)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ECANCELED:
                raise
            self._was_set()


def _far_timer() -> int:
    library = ctypes.CDLL(None, use_errno=True)
    timer = int(library.timerfd_create(time.CLOCK_REALTIME, _TFD_NONBLOCK | _TFD_CLOEXEC))
    if timer < 0:
        raise OSError(ctypes.get_errno(), "timerfd_create")
    settings = _ITIMERSPEC.pack(0, 0, _FAR, 0)
    if library.timerfd_settime(timer, _TFD_TIMER_ABSTIME | _TFD_TIMER_CANCEL_ON_SET, settings, None):
        number = ctypes.get_errno()
        with contextlib.suppress(OSError):
            os.close(timer)
        raise OSError(number, "timerfd_settime")
    return timer
