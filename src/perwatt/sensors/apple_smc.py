"""The system management controller of a Mac, asked for one key through IOKit: no root needed.

Layout and selectors are those of the AppleSMC user client as public clients use it (macmon and
exelban/stats): one call, selector 2, over a record of 80 bytes; command 9 asks what a key is and
command 5 for its bytes. Floats are little-endian.
"""

from __future__ import annotations

import ctypes
import struct
from typing import Any

__all__ = ["IOKIT", "Smc", "SmcError"]

IOKIT = "/System/Library/Frameworks/IOKit.framework/IOKit"
SELECTOR = 2
READ_BYTES, READ_KEY = 5, 9
SERVICES = (b"AppleSMC", b"AppleSMCKeysEndpoint")


class SmcError(OSError):
    """The controller is absent, refuses, or has no such key."""


class _KeyData(ctypes.Structure):
    """SMCKeyData_t, 80 bytes."""

    _fields_ = (
        ("key", ctypes.c_uint32),
        ("version", ctypes.c_uint8 * 6),
        ("limits", ctypes.c_uint32 * 4),
        ("data_size", ctypes.c_uint32),
        ("data_type", ctypes.c_uint32),
        ("attributes", ctypes.c_uint8),
        ("result", ctypes.c_uint8 * 4),  # three of padding, then the result
        ("status", ctypes.c_uint8),
        ("command", ctypes.c_uint8),
        ("data32", ctypes.c_uint32),
        ("data", ctypes.c_uint8 * 32),
    )


class Smc:
    """An open connection. Raises SmcError where there is none to be had."""

    def __init__(self, library: str = IOKIT) -> None:
        try:
            self._iokit: Any = ctypes.CDLL(library)
            task = ctypes.c_uint32.in_dll(self._iokit, "mach_task_self_").value
        except (OSError, ValueError) as error:
            msg = f"IOKit cannot be used: {error}"
            raise SmcError(msg) from None
        self._declare()
        self._connection: int | None = None
        self._sizes: dict[str, int] = {}
        code = 0
        for name in SERVICES:
            service = self._iokit.IOServiceGetMatchingService(
                0, self._iokit.IOServiceMatching(name)
            )
            if service:
                connection = ctypes.c_uint32()
                code = self._iokit.IOServiceOpen(service, task, 0, ctypes.byref(connection))
                self._iokit.IOObjectRelease(service)
                if code == 0:
                    self._connection = connection.value
                    return
        msg = f"the controller refuses (0x{code & 0xFFFFFFFF:X})" if code else "no controller"
        raise SmcError(msg)

    def number(self, key: str) -> float:
        """The value of a key of four letters that holds a float. Raises SmcError."""
        if key not in self._sizes:
            about = self._call(_KeyData(key=_code(key), command=READ_KEY))
            if about.data_type != _code("flt ") or about.data_size != 4:
                msg = f"the controller has no float {key}"
                raise SmcError(msg)
            self._sizes[key] = about.data_size
        asked = _KeyData(key=_code(key), data_size=self._sizes[key], command=READ_BYTES)
        value: float = struct.unpack("<f", bytes(self._call(asked).data[:4]))[0]
        return value

    def close(self) -> None:
        """Safe to call twice."""
        if self._connection is not None:
            self._iokit.IOServiceClose(self._connection)
            self._connection = None

    def _call(self, asked: _KeyData) -> _KeyData:
        if self._connection is None:
            msg = "the connection to the controller is closed"
            raise SmcError(msg)
        answer, size = _KeyData(), ctypes.c_size_t(ctypes.sizeof(_KeyData))
        code = self._iokit.IOConnectCallStructMethod(
            self._connection,
            SELECTOR,
            ctypes.byref(asked),
            ctypes.sizeof(_KeyData),
            ctypes.byref(answer),
            ctypes.byref(size),
        )
        if code != 0 or answer.result[3] != 0:
            msg = f"the controller answered 0x{(code or answer.result[3]) & 0xFFFFFFFF:X}"
            raise SmcError(msg)
        return answer

    def _declare(self) -> None:
        u32, pointer = ctypes.c_uint32, ctypes.c_void_p
        for name, gives, takes in (
            ("IOServiceMatching", pointer, (ctypes.c_char_p,)),
            ("IOServiceGetMatchingService", u32, (u32, pointer)),
            ("IOServiceOpen", ctypes.c_int, (u32, u32, u32, pointer)),
            ("IOServiceClose", ctypes.c_int, (u32,)),
            ("IOObjectRelease", ctypes.c_int, (u32,)),
            (
                *("IOConnectCallStructMethod", ctypes.c_int),
                (u32, u32, pointer, ctypes.c_size_t, pointer, pointer),
            ),
        ):
            function = getattr(self._iokit, name)
            function.restype, function.argtypes = gives, takes


def _code(key: str) -> int:
    return int.from_bytes(key.encode("ascii"), "big")
