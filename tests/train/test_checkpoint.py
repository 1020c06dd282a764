import pytest
import torch

from encompass.train.checkpoint import SafetensorsIO


def test_lightnings_state_comes_back_as_it_was(tmp_path):
    state = {
        "epoch": 3,
        "state_dict": {"weight": torch.randn(2, 3)},
        "optimizer_states": [{"state": {0: {"step": torch.tensor(5.0)}}, "param_groups": []}],
        "callbacks": {"a": None, "best": float("inf")},
        "loops": {"nested": [{"ready": 1}, {}]},
    }
    io = SafetensorsIO()
    io.save_checkpoint(state, tmp_path / "last.safetensors")
    back = io.load_checkpoint(tmp_path / "last.safetensors")
    assert torch.equal(back["state_dict"].pop("weight"), state["state_dict"].pop("weight"))
    assert back["optimizer_states"][0]["state"].pop(0)["step"].item() == 5
    del state["optimizer_states"][0]["state"][0]
    assert back == state


def test_an_object_that_could_run_code_is_never_written(tmp_path):
    with pytest.raises(TypeError, match="cannot be kept"):
        SafetensorsIO().save_checkpoint({"f": print}, tmp_path / "last.safetensors")
    assert list(tmp_path.iterdir()) == []
