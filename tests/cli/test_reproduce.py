"""`encompass reproduce`: what it refuses, and a table that needs nothing."""

import pytest
from click.testing import CliRunner

from encompass.cli import cli
from encompass.errors import UsageError


def run(*arguments):
    return CliRunner().invoke(cli, ["reproduce", *map(str, arguments)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Give --table NUMBER, --figure NUMBER, --all or --quick"),
        (["--all", "--table", "5.4"], "leave out --table and --figure"),
        (["--quick", "--data", "data"], "give it --out alone"),
        (["--quick", "--recipe", "thesis"], "give it --out alone"),
        (["--figure", "1.1"], "--figure 1.1: not made here"),
        (["--table", "5.4"], "Table 5.4 needs persons to learn from; give --data"),
    ],
)
def test_what_cannot_be_is_refused_with_the_way_out(arguments, message):
    error = run(*arguments).exception
    assert isinstance(error, UsageError)
    assert message in str(error)


def test_trunks_are_computed_at_once_and_written_as_a_page(tmp_path):
    result = run("--table", "2.6", "--out", tmp_path)
    assert "| Conv dw, depth 1.0 | thesis | 70.60 | 569 | 4.20 |" in result.output
    page = (tmp_path / "tables.md").read_text()
    assert page.strip() in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["tables.md"]
