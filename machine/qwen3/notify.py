"""systemd's notification protocol; see sd_notify(3)."""

import contextlib
import os
import socket


def notify(message: str) -> None:
    """Sends systemd a message, for example `READY=1`. Has no effect outside a unit of Type=notify."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.connect(address)
        # If systemd does not read for a while, this process must not block.
        with contextlib.suppress(BlockingIOError):
            channel.send(message.encode(), socket.MSG_DONTWAIT)
