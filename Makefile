# One environment serves both: `demo` needs the runtime half alone, `test` adds everything else to it.
# The files inside .venv are stamps, so that nothing is installed twice.

PYTHON ?= python3

.PHONY: demo test

demo: .venv/runtime
	.venv/bin/encompass predict examples/astronaut.jpg --out out

test: .venv/complete
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/pyright --pythonpath .venv/bin/python
	.venv/bin/pytest -m "not heavy and not openvino"
	.venv/bin/pytest -m openvino
	.venv/bin/pytest -m "heavy and not openvino"

.venv/runtime: pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check -e .
	touch $@

.venv/complete: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch .venv/runtime $@
