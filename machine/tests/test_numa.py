"""Which CPUs a worker is pinned to, on a p4d's layout written to a folder."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from qwen3.numa import cpus_beside, read_list

# PCI addresses of a p4d.24xlarge: two GPUs on each of four switches, four switches on two sockets.
P4D = [f"0000:{bus}:{slot}.0" for bus in ("10", "20", "90", "a0") for slot in ("1c", "1d")]
NODES = ["0-23,48-71", "24-47,72-95"]


class Host:
    """The driver's and the kernel's folders."""

    def __init__(self, folder: Path) -> None:
        self.driver, self.sys = folder / "gpus", folder / "sys"

    def write(self, nodes: dict[str, int]) -> None:
        for address, node in nodes.items():
            (self.driver / address).mkdir(parents=True)
            device = self.sys / "bus/pci/devices" / address
            device.mkdir(parents=True)
            (device / "numa_node").write_text(f"{node}\n")
        for node, cpus in enumerate(NODES):
            folder = self.sys / f"devices/system/node/node{node}"
            folder.mkdir(parents=True)
            (folder / "cpulist").write_text(f"{cpus}\n")

    def beside(self, index: int) -> tuple[int, set[int]] | None:
        return cpus_beside(index, self.driver, self.sys)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_four_gpus_on_either_socket(host: Host) -> None:
    # Written in another order, because only the address counts.
    host.write({address: P4D.index(address) // 4 for address in reversed(P4D)})
    found = [host.beside(index) or (-1, set()) for index in range(8)]
    assert [node for node, _ in found] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert found[0][1] == {*range(0, 24), *range(48, 72)}
    assert found[0][1] | found[7][1] == set(range(96))


def test_a_host_that_reports_no_node(host: Host) -> None:
    host.write({"0000:00:1e.0": -1})
    assert host.beside(0) is None


def test_a_gpu_that_does_not_exist(host: Host) -> None:
    host.write({"0000:00:1e.0": 0})
    with pytest.raises(OSError, match="lists 1 GPUs: there is none with index 1"):
        host.beside(1)


def test_lists_in_the_kernel_s_format() -> None:
    assert read_list("0-2,7\n") == {0, 1, 2, 7}
    assert read_list("\n") == set()


def test_the_command_runs_on_an_unknown_host() -> None:
    # This host has no such GPU: the error is printed, and the command replaces the process.
    ran = subprocess.run(
        [sys.executable, "-m", "qwen3.numa", "63", "/bin/sh", "-c", "echo worker $$; exit 7"],
        cwd=Path(__file__).parents[1],
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 7
    assert re.search(r"GPU 63 is not pinned: [^\n]+\nworker \d+\n", ran.stdout)
