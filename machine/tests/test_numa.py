"""Which CPUs a worker is pinned to, on a p4d's layout written to a folder.

/usr/bin/python3 -m unittest discover -s machine/tests
"""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

FILES = Path(__file__).parents[1]
sys.path.insert(0, str(FILES))

from qwen3.numa import cpus_beside, read_list  # noqa: E402

# PCI addresses as a p4d.24xlarge has them: two GPUs on each of four switches, four switches on two sockets.
P4D = [f"0000:{bus}:{slot}.0" for bus in ("10", "20", "90", "a0") for slot in ("1c", "1d")]
NODES = ["0-23,48-71", "24-47,72-95"]


class Numa(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.driver, self.sys = Path(folder.name, "gpus"), Path(folder.name, "sys")

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

    def test_four_gpus_on_either_socket(self) -> None:
        # Written in another order: what counts is the address.
        self.write({address: P4D.index(address) // 4 for address in reversed(P4D)})
        found = [self.beside(index) for index in range(8)]
        self.assertEqual([node for node, _ in found], [0, 0, 0, 0, 1, 1, 1, 1])
        self.assertEqual(found[0][1], {*range(0, 24), *range(48, 72)})
        self.assertEqual(found[0][1] | found[7][1], set(range(96)))

    def test_a_machine_that_names_no_node(self) -> None:
        self.write({"0000:00:1e.0": -1})
        self.assertIsNone(self.beside(0))

    def test_a_gpu_that_is_not_there(self) -> None:
        self.write({"0000:00:1e.0": 0})
        with self.assertRaisesRegex(OSError, "lists 1 GPUs: there is none with index 1"):
            self.beside(1)

    def test_lists_as_the_kernel_writes_them(self) -> None:
        self.assertEqual(read_list("0-2,7\n"), {0, 1, 2, 7})
        self.assertEqual(read_list("\n"), set())

    def test_the_command_runs_where_nothing_is_known(self) -> None:
        # This host has no such GPU: said, and the command takes the process over.
        ran = subprocess.run(
            [sys.executable, "-m", "qwen3.numa", "63", "/bin/sh", "-c", "echo worker $$; exit 7"],
            env={"PYTHONPATH": str(FILES), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
        )
        self.assertEqual(ran.returncode, 7)
        self.assertRegex(ran.stdout, r"GPU 63 is not pinned: [^\n]+\nworker \d+\n")


if __name__ == "__main__":
    unittest.main()
