# `make serve` and `make test` are all a newcomer needs. The first sets up .venv to serve, the second adds the tools of the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TEST_PROCESSES ?= 2

.PHONY: setup setup-locked lock serve test clients lint fusions bench crash idempotency processes ray-replicas connections fuzz load train-mini eval-mini clean

# What serving needs.
$(VENV)/.serving: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	# Asked for by its exact version, pip takes the CPU build where one is at hand.
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --editable .
	touch $@

# And what the tests, benchmarks and proofs need.
$(VENV)/.developing: $(VENV)/.serving
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

setup: $(VENV)/.developing

# The default install in exactly the versions that were tested, each file checked against its hash.
setup-locked:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --editable .
	touch $(VENV)/.serving

# Writes down what is installed here. PyTorch and its GPU libraries depend on the machine: pyproject.toml pins PyTorch.
lock: setup
	mkdir -p build
	$(BIN)/pip install --quiet uv
	$(BIN)/pip freeze --exclude-editable | grep --invert-match --extended-regexp '^torch| @ ' > build/tested.txt
	$(BIN)/uv pip compile pyproject.toml --constraint build/tested.txt --generate-hashes --no-emit-index-url \
	  --no-annotate --no-header --no-emit-package torch --quiet --output-file build/requirements.lock > /dev/null
	{ echo '# The default install as it was tested, without PyTorch: make setup-locked. Written by make lock.'; \
	  awk '/^[a-z]/ { keep = !/^(nvidia-|cuda-|triton)/ } keep' build/requirements.lock; } > requirements.lock

serve: $(VENV)/.serving
	$(BIN)/danqing serve

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config import-contracts.toml

# One thread each: two processes with two threads each on two cores spin against each other. A file's tests share its servers; the slow files come first.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

# Clients of the trade in their newest releases, against a real server: needs a network and half a gigabyte.
clients: setup
	TEST_CLIENTS=1 $(BIN)/pytest tests/acceptance/test_clients.py

# Every fused region compiled on the CPU: minutes, and a C++ compiler.
fusions: setup
	TEST_FUSIONS=1 $(BIN)/pytest tests/model/test_fusion.py

# One table beside the last recorded one. `make bench RECORD=results/2026-11-28-bench.json` records it anew.
RECORD ?= build/bench.json
bench: setup
	$(BIN)/python -m benchmarks.bench --out $(RECORD)

# Proofs of the service that take minutes; `make test` has short versions of them.
crash: setup
	PYTHONPATH=tests $(BIN)/python proofs/crash.py

idempotency: setup
	PYTHONPATH=tests:. $(BIN)/python proofs/idempotency.py

connections: setup
	ulimit -n 4096 && PYTHONPATH=tests:. $(BIN)/python proofs/connections.py

# Needs Ray in the environment: .venv/bin/pip install 'ray[serve]>=2.60'. `STAGES=kills` runs one stage.
ray-replicas: setup
	PYTHONPATH=tests $(BIN)/python proofs/ray_replicas.py $(STAGES)

# `OPTIONS=--ray` draws on a Ray cluster; needs Ray too.
processes: setup
	PYTHONPATH=tests:. $(BIN)/python proofs/processes.py $(OPTIONS)

fuzz: setup
	PYTHONPATH=tests $(BIN)/python proofs/fuzz.py

load: setup
	PYTHONPATH=tests $(BIN)/python proofs/load.py

# Resumable: every stage continues where a killed run left it. Logs are build/mini/*.jsonl; see mini/README.md.
train-mini: setup
	$(BIN)/python -m mini.train.run all --workdir build/mini
	cp build/mini/mini/*.json build/mini/mini/model.safetensors src/danqing/checkpoints/mini/
	$(BIN)/python -m mini.world.words src/danqing/checkpoints/mini/words.json

# The judge's detector is trained once per machine: its weights are not in the repository.
build/mini/judge/detector.pt:
	$(BIN)/python -m mini.judge.run train --workdir build/mini

eval-mini: setup build/mini/judge/detector.pt
	$(BIN)/python -m mini.judge.run evaluate --checkpoint src/danqing/checkpoints/mini --workdir build/mini

clean:
	rm -rf build dist $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
