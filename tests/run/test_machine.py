"""What Linux tells of a machine, from samples of its files."""

import os

import pytest

import encompass.run.machine as machine
from encompass.run.machine import (
    available_bytes,
    container_bytes,
    container_cores,
    cpu_features,
    describe_machine,
    physical_cores,
    usable_cores,
)

XEON = """\
processor\t: 0
model name\t: Intel(R) Xeon(R) Processor
flags\t\t: fpu sse2 fma avx f16c avx2 avx512f avx512dq avx_vnni avx512_bf16 amx_bf16 avx512_vnni \
amx_tile amx_int8
bugs\t\t: spectre_v1

processor\t: 1
model name\t: Intel(R) Xeon(R) Processor
flags\t\t: fpu sse2 fma avx f16c avx2 avx512f avx512dq avx_vnni avx512_bf16 amx_bf16 avx512_vnni \
amx_tile amx_int8
"""
OLD = "processor\t: 0\nmodel name\t: Intel(R) Core(TM)2 Duo\nflags\t\t: fpu sse2 ssse3 sse4_1\n"
GRAVITON = """\
processor\t: 0
BogoMIPS\t: 2100.00
Features\t: fp asimd aes crc32 atomics fphp asimdhp asimddp sve asimdfhm i8mm bf16 dgh
CPU implementer\t: 0x41
"""
# Cores of two kinds: what the small ones lack cannot be counted on.
PHONE = """\
processor\t: 0
Features\t: fp asimd aes crc32

processor\t: 4
Features\t: fp asimd aes crc32 asimddp
"""
RASPBERRY = "processor\t: 0\nFeatures\t: half thumb fastmult vfp edsp neon vfpv3\n"


@pytest.fixture
def put(tmp_path):
    """Writes files below a root of their own, by path; gives the root."""

    def write(files):
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("text", "features"),
    [
        (
            XEON,
            "avx2 fma avx512f avx512_vnni avx_vnni avx512_bf16 amx_tile amx_int8 amx_bf16",
        ),
        (OLD, ""),
        (GRAVITON, "neon dotprod i8mm bf16 sve"),
        (PHONE, "neon"),
        (RASPBERRY, "neon"),
    ],
)
def test_features_are_those_that_all_cores_have(put, text, features):
    assert cpu_features(put({"proc/cpuinfo": text})) == tuple(features.split())


@pytest.mark.parametrize("files", [{}, {"proc/cpuinfo": "processor\t: 0\n"}])
def test_features_that_are_not_told_are_none(put, files):
    assert cpu_features(put(files)) is None


def test_cores_that_share_one_count_once(put):
    siblings = {0: "0,2\n", 1: "1,3\n", 2: "0,2\n", 3: "1,3\n"}
    place = "sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    root = put({place.format(cpu): text for cpu, text in siblings.items()})
    assert physical_cores(root) == 2


def test_physical_cores_that_are_not_told_are_none(tmp_path):
    assert physical_cores(tmp_path) is None


def test_memory_that_can_be_had(put):
    root = put({"proc/meminfo": "MemTotal:  16000 kB\nMemFree:  10 kB\nMemAvailable:   2000 kB\n"})
    assert available_bytes(root) == 2000 * 1024


# Version 2, in a group of its own below one with tighter memory.
V2 = {
    "proc/self/cgroup": "0::/pod/task\n",
    "sys/fs/cgroup/pod/task/cpu.max": "150000 100000\n",
    "sys/fs/cgroup/pod/task/memory.max": "4294967296\n",
    "sys/fs/cgroup/pod/cpu.max": "max 100000\n",
    "sys/fs/cgroup/pod/memory.max": "2147483648\n",
}
# Version 2 as a container sees it: its own group is the top.
V2_INSIDE = {
    "proc/self/cgroup": "0::/\n",
    "sys/fs/cgroup/cpu.max": "50000 100000\n",
    "sys/fs/cgroup/memory.max": "max\n",
}
# Version 1 without a namespace: groups are named as the host sees them, their files lie at the top.
V1 = {
    "proc/self/cgroup": "11:memory:/docker/0f3a\n4:cpu,cpuacct:/docker/0f3a\n1:name=systemd:/\n",
    "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "300000\n",
    "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824\n",
}
V1_FREE = {
    "proc/self/cgroup": "4:memory:/a\n1:cpu:/\n0::/\n",
    "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
    "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "9223372036854771712\n",
}


@pytest.mark.parametrize(
    ("files", "cores", "limit"),
    [
        (V2, 1.5, 2 << 30),
        (V2_INSIDE, 0.5, None),
        (V1, 3.0, 1 << 30),
        (V1_FREE, None, None),
        ({}, None, None),
    ],
    ids=["v2", "v2 inside", "v1", "v1 without limits", "no groups"],
)
def test_limits_of_a_container_are_the_least_of_its_groups(put, files, cores, limit):
    root = put(files)
    assert container_cores(root) == cores
    assert container_bytes(root) == limit


@pytest.mark.parametrize(
    ("allowed", "quota", "usable"),
    [(8, None, 8), (8, "150000 100000", 2), (8, "20000 100000", 1), (1, "400000 100000", 1)],
)
def test_a_quota_leaves_as_many_cores_as_it_pays_for(put, monkeypatch, allowed, quota, usable):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(allowed)), raising=False)
    files = {} if quota is None else V2_INSIDE | {"sys/fs/cgroup/cpu.max": quota}
    assert usable_cores(put(files)) == usable


def test_a_machine_that_tells_nothing_is_described(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "machine_bytes", lambda: None)
    found = describe_machine(tmp_path)
    assert found.cpu
    assert found.usable_cores >= 1
    assert (found.features, found.physical_cores) == (None, None)
    assert (found.memory_mb, found.available_mb) == (None, None)
    assert (found.container_cores, found.container_memory_mb) == (None, None)
