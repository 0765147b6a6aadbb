# `make run` and `make test` set up everything they need on a machine that has Python >= 3.11, make and a package registry.
PYTHON ?= python3
BIN := .venv/bin
export DO_NOT_TRACK := 1

.PHONY: run test check lint style types contracts fetched lock viz bench bench-long clean

run: .venv/installed
	$(BIN)/kedro run --pipeline=medical_transfer
	@echo "Report: data/08_reporting/report.html"

# Files go to processes in the order of their names: in that of their numbers of tests the longest ones, which have few
# tests, would come last, and one process would work while the others wait.
test: .venv/installed
	$(MAKE) --jobs=2 lint fetched
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

check: test

# Types come first: they take longest, and under `test` the others run beside them.
lint: types style contracts

types: .venv/installed
	$(BIN)/mypy

style: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

contracts: .venv/installed
	$(BIN)/lint-imports

fetched: .venv/installed
	$(BIN)/python -m medical_transfer fetch

viz: .venv/installed
	$(BIN)/kedro viz run

# Every benchmark writes its figures as JSON into $(BENCH); the last line shows them all. Those that take long stand in
# bench-long; fastai_peer.py passes where fastai is absent.
BENCH := data/08_reporting/benchmarks
MEMORY_IMAGES ?= 1000 10000

bench: .venv/installed
	$(BIN)/python -m medical_transfer fetch
	$(BIN)/python benchmarks/start_up.py --out $(BENCH)
	$(BIN)/python benchmarks/audit.py --out $(BENCH)
	$(BIN)/python benchmarks/trainer_overhead.py --out $(BENCH)
	$(BIN)/python benchmarks/chapter_loop.py --out $(BENCH)
	$(BIN)/python benchmarks/adaptation_loop.py --out $(BENCH)
	$(BIN)/python benchmarks/memory.py --images $(MEMORY_IMAGES) --out $(BENCH)
	$(BIN)/python benchmarks/report.py $(BENCH)

bench-long: bench
	$(BIN)/python benchmarks/main_job.py --out $(BENCH)
	$(BIN)/python benchmarks/main_job.py --upright --out $(BENCH)
	$(BIN)/python benchmarks/cached_cut.py --out $(BENCH)
	$(BIN)/python benchmarks/predict.py --out $(BENCH)
	$(BIN)/python benchmarks/predict.py --size 224 --memory-images --out $(BENCH)
	$(BIN)/python benchmarks/predict.py --network resnet50 --size 224 --images 256 --memory-images --out $(BENCH)
	$(BIN)/python benchmarks/memory.py --images 10000 100000 --out $(BENCH)
	$(BIN)/python benchmarks/fastai_peer.py --out $(BENCH)
	$(BIN)/python benchmarks/report.py $(BENCH)

# requirements.lock holds hashes and no index, so pip takes the files from whatever registry it is set to. It is complete,
# so pip resolves nothing (--no-deps): a newer release of a package that is wanted with an extra would stop it. Nor does it
# compile 25,000 files ahead (--no-compile): Python does so with the few that are imported.
.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python >= 3.11 is needed: make PYTHON=python3.12 ...')"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-deps --no-compile --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

# uv resolves for all systems and Python versions at once.
lock:
	uv pip compile pyproject.toml --extra dev --extra viz --python-version 3.11 --universal --generate-hashes \
	    --no-emit-index-url --no-header --constraint requirements.in -o requirements.lock

clean:
	rm -rf .venv build dist src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
