# Two commands do all the set-up on a fresh machine with Python 3.11, make and a C compiler: `make demo` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
DATA   ?=
OUT    ?= demo

.PHONY: demo test test-slow bench check types lint contracts format clean

demo: $(READY)
	$(BIN)/pixelwise demo --out $(OUT) --overwrite

test: check
	PYTHON=$(BIN)/python scripts/test

# The long checks; some need real data sets: make test-slow DATA=/path/to/data
test-slow: $(READY)
	$(BIN)/python -m pytest -m slow $(if $(DATA),--data $(DATA))

bench: $(READY)
	BIN=$(BIN) scripts/bench $(DATA)

check: lint types contracts

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

contracts: $(READY)
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "pixelwise needs Python 3.11 or newer, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* htmlcov
