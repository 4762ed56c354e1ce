"""systemd's notification protocol; see sd_notify(3)."""

import contextlib
import os
import socket


def notify(message: str) -> None:
    """Tell systemd something, for instance `READY=1`. Does nothing outside a unit of Type=notify."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.connect(address)
        # A systemd that does not read for a while must not block this process.
        with contextlib.suppress(BlockingIOError):
            channel.send(message.encode(), socket.MSG_DONTWAIT)
