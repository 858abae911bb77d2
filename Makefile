# `make serve` and `make test` are all a newcomer needs; both set up .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup serve test lint bench crash idempotency fuzz load train-mini eval-mini clean

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	# Asked for by its exact version, pip takes the CPU build where one is at hand.
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

setup: $(VENV)/.installed

serve: setup
	$(BIN)/danqing serve

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config import-contracts.toml

test: lint
	$(BIN)/pytest

bench: setup
	$(BIN)/python benchmarks/denoise.py --config medium
	$(BIN)/python benchmarks/latency.py

# Proofs of the service that take minutes; `make test` has short versions of them.
crash: setup
	PYTHONPATH=tests $(BIN)/python proofs/crash.py

idempotency: setup
	PYTHONPATH=tests:. $(BIN)/python proofs/idempotency.py

fuzz: setup
	PYTHONPATH=tests $(BIN)/python proofs/fuzz.py

load: setup
	PYTHONPATH=tests $(BIN)/python proofs/load.py

# Resumable: every stage continues where a killed run left it. Logs are build/mini/*.jsonl; see mini/README.md.
train-mini: setup
	$(BIN)/python -m mini.train.run all --workdir build/mini
	cp build/mini/mini/*.json build/mini/mini/model.safetensors src/danqing/checkpoints/mini/

# The judge's detector is trained once per machine: its weights are not in the repository.
build/mini/judge/detector.pt:
	$(BIN)/python -m mini.judge.run train --workdir build/mini

eval-mini: setup build/mini/judge/detector.pt
	$(BIN)/python -m mini.judge.run evaluate --checkpoint src/danqing/checkpoints/mini --workdir build/mini

clean:
	rm -rf build dist $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
