"""The command before any verb: what it says when half of the package is not installed."""

import pytest

from encompass.cli import main


def test_a_verb_without_the_training_half_says_how_to_install_it(monkeypatch, capsys):
    error = ModuleNotFoundError("No module named 'torch'", name="torch")

    def missing(group, ctx, name):
        raise error

    monkeypatch.setattr("encompass.cli._Verbs.get_command", missing)
    monkeypatch.setattr("sys.argv", ["encompass", "train", "row"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    assert "needs torch" in (printed := capsys.readouterr().err)
    assert "install the extra 'train' (pip install '.[train]' in the checkout)" in printed
