"""Ends with 0 if systemd in this container can enforce IPAddressDeny= and DevicePolicy=, else says why it cannot.

systemd does both with programs that it attaches to a control group: this attaches a program of each kind to its own.
"""

import ctypes
import os
import platform
import struct
import sys

BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
PROG_LOAD, PROG_ATTACH, ALLOW_MULTI = 5, 8, 2
KINDS = {"IPAddressDeny=": (8, 1), "DevicePolicy=": (15, 6)}
"""Type of the program and of the attachment: BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS; _DEVICE twice."""
PERMIT = struct.pack("<BBhi", 0xB7, 0, 0, 1) + struct.pack("<BBhi", 0x95, 0, 0, 0)
"""r0 = 1; exit"""

libc = ctypes.CDLL(None, use_errno=True)


def bpf(command: int, attributes: bytes) -> int:
    buffer = ctypes.create_string_buffer(attributes.ljust(128, b"\0"))
    result: int = libc.syscall(BPF, command, buffer, 128)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def attach(kind: int, place: int) -> None:
    program, text = ctypes.create_string_buffer(PERMIT), ctypes.create_string_buffer(b"GPL")
    loaded = bpf(PROG_LOAD, struct.pack("<IIQQ", kind, len(PERMIT) // 8, ctypes.addressof(program), ctypes.addressof(text)))
    group = os.open("/sys/fs/cgroup", os.O_RDONLY | os.O_DIRECTORY)
    bpf(PROG_ATTACH, struct.pack("<IIII", group, loaded, place, ALLOW_MULTI))


def main() -> None:
    if not os.path.exists("/sys/fs/cgroup/cgroup.procs"):
        sys.exit("the container has no control groups v2")
    for setting, (kind, place) in KINDS.items():
        try:
            attach(kind, place)
        except OSError as error:
            sys.exit(f"the kernel does not take a program for {setting}: {error}")


main()
