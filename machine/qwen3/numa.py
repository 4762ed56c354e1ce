"""python -m qwen3.numa INDEX COMMAND…: runs a command on the CPUs of the NUMA node that GPU INDEX is attached to.

GPUs are counted in the order of their PCI addresses, as CUDA does with CUDA_DEVICE_ORDER=PCI_BUS_ID. Memory follows:
Linux allocates a thread's memory on its own node, and on another one if that is full. On a host with one node, or if
the node is unknown, the command is not pinned.
"""

import os
import sys
from pathlib import Path

DRIVER = Path("/proc/driver/nvidia/gpus")
"""A folder per GPU, named by its PCI address."""
SYS = Path("/sys")


def cpus_beside(index: int, driver: Path = DRIVER, sys_folder: Path = SYS) -> tuple[int, set[int]] | None:
    """The node of a GPU and its CPUs. None if the node is unknown. Raises OSError for a GPU that does not exist."""
    addresses = sorted(each.name for each in driver.iterdir())
    if index >= len(addresses):
        raise OSError(f"{driver} lists {len(addresses)} GPUs: there is none with index {index}")
    node = int((sys_folder / "bus/pci/devices" / addresses[index] / "numa_node").read_text())
    if node < 0:
        # The firmware reports no node: the host has one node, like many virtual machines.
        return None
    return node, read_list((sys_folder / f"devices/system/node/node{node}/cpulist").read_text())


def read_list(text: str) -> set[int]:
    """Numbers of a list in the kernel's format, for example `0-23,48-71`."""
    numbers: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return numbers


def main(arguments: list[str]) -> None:
    index, command = int(arguments[0]), arguments[1:]
    try:
        beside = cpus_beside(index)
    except (OSError, ValueError) as error:
        # A slower worker is better than none.
        print(f"GPU {index} is not pinned: {error}", flush=True)
        beside = None
    if beside is not None:
        node, cpus = beside
        os.sched_setaffinity(0, cpus)
        print(f"GPU {index} is on NUMA node {node}: pinned to its {len(cpus)} CPUs", flush=True)
    os.execv(command[0], command)


if __name__ == "__main__":
    if len(sys.argv) < 3 or not sys.argv[1].isdigit():
        sys.exit("usage: python -m qwen3.numa INDEX COMMAND…")
    main(sys.argv[1:])
