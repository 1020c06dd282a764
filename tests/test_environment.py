import math
import sys

import pytest

import encompass.environment as environment
from encompass.environment import memory_bytes, origin, peak_mb_of
from encompass.errors import ModelError

PRINT = "from encompass.environment import peak_mb; print(peak_mb())"


@pytest.mark.parametrize(("commit", "end"), [("a1b2", ", commit a1b2"), ("", "")])
def test_the_line_below_a_table_names_processor_versions_and_commit(commit, end):
    assert (
        origin("CPU", {"python": "3.12", "numpy": "2"}, commit) == f"CPU, python 3.12, numpy 2{end}"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell memory")
def test_the_peak_is_of_the_child_alone_and_keeps_what_was_freed():
    ballast = bytearray(200_000_000)
    idle = peak_mb_of(PRINT, "model")
    used = peak_mb_of(f"data = b'1' * 100_000_000; del data; {PRINT}", "model")
    assert idle < len(ballast) / 1e6
    assert used - idle == pytest.approx(100, abs=10)


def test_memory_that_is_not_told_is_none():
    assert peak_mb_of("print(None)", "model") is None


def test_a_child_that_fails_names_the_model():
    with pytest.raises(ModelError, match=r"^tiny: measuring memory failed: no room"):
        peak_mb_of("import sys; sys.exit('no room')", "tiny")


@pytest.mark.parametrize(
    ("machine", "limit", "bytes_"),
    [(8 << 30, "2147483648", 2 << 30), (1 << 30, "2147483648", 1 << 30), (8 << 30, "max", 8 << 30)],
)
def test_memory_is_the_machines_or_its_containers_limit(
    tmp_path, monkeypatch, machine, limit, bytes_
):
    monkeypatch.setattr(environment, "machine_bytes", lambda: machine)
    for path, text in {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": limit}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert memory_bytes(tmp_path) == bytes_


def test_memory_that_nobody_tells_is_without_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "machine_bytes", lambda: None)
    assert memory_bytes(tmp_path) == math.inf
