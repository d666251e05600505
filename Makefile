# Every command of this project. `make` or `make help` lists them; docs/operations.md says more.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV ?= .venv
CONFIG ?= conf/simulated.yaml
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
READY_FOR_TESTS := $(VENV)/.ready-for-tests

export PYTHON VENV CONFIG
# Spark comes with the environment; another one on the machine is left out of it.
unexport SPARK_HOME
export SPARK_CONF_DIR ?= $(CURDIR)/conf
# Only this machine can reach what a local run opens, and it starts where the host's name has no address.
export SPARK_LOCAL_IP ?= 127.0.0.1

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z0-9_-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

# --- set-up: done once, and again when what it depends on changes -----------------------------------

.PHONY: setup
setup: $(READY) ## Virtual environment, pinned packages, Delta's jars (and a JRE, as root on Debian)

$(READY): bin/setup bin/fetch_jars bin/build_jar $(wildcard lib/scala/*/*.scala) setup.py constraints.txt conf/spark-defaults.conf
	@bin/setup run
	@touch $@

$(READY_FOR_TESTS): $(READY)
	@bin/setup test
	@touch $@

# --- use ------------------------------------------------------------------------------------------

.PHONY: demo
demo: $(READY) ## Twenty wind turbines from raw logs to predictions, in a few minutes
	@bin/demo

.PHONY: sql
sql: $(READY) ## A SQL shell on the tables: SELECT * FROM gold.failure_predictions
	@bin/sql

.PHONY: sql-server
sql-server: $(READY) ## The tables over JDBC for BI tools, for reading only, on port 10000 (PORT=…, HOST=…)
	@bin/sql-server $${PORT:-10000} $${HOST:-127.0.0.1}

.PHONY: cmapss
cmapss: $(READY) ## Train and score on NASA's C-MAPSS engines; prints RMSE and PHM08 score (SEEDS=0-4 for their spread)
	@$(PY) benchmarks/cmapss.py --seeds $${SEEDS:-0} --models "$${MODELS:-random forest,boosted trees}"

.PHONY: ui
ui: $(READY) ## MLflow's pages of the runs and models on port 5000, or the next free one
	@$(PY) jobs/ui.py --config $(CONFIG) --port $${UI_PORT:-5000} --host $${UI_HOST:-127.0.0.1}

# --- quality ----------------------------------------------------------------------------------------

.PHONY: check
check: $(READY_FOR_TESTS) ## Style, types and layers
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(PY) -m pytest tests/unit/test_layers.py

# Spark plans small tables on one core: two processes share the tests, each with a session of its own.
.PHONY: test
test: $(READY_FOR_TESTS) ## Every test (TESTS=tests/io for some of them)
	$(PY) -m pytest --numprocesses 2 --no-loadscope-reorder --durations 25 $(TESTS)

# --- ship -------------------------------------------------------------------------------------------

.PHONY: package
package: $(READY) ## The wheel, and the same as .zip for spark-submit --py-files
	@bin/package

.PHONY: clean
clean: ## Remove what the demo and builds wrote (the environment stays; see also: rm -rf .venv)
	rm -rf data build dist spark-warehouse metastore_db derby.log .pytest_cache .mypy_cache .ruff_cache

.PHONY: bench-train
bench-train: $(READY_FOR_TESTS) ## Both forests, MLlib against scikit-learn and LightGBM, on 20,000 and on a million examples
	@$(VENV)/bin/pip install --quiet --constraint constraints.txt scikit-learn lightgbm
	@$(PY) benchmarks/train.py

.PHONY: bench-features
bench-features: $(READY_FOR_TESTS) ## Windowed features against Spark frames, DuckDB, Polars and pandas, on the real wind farm
	@$(VENV)/bin/pip install --quiet --constraint constraints.txt polars
	@$(PY) benchmarks/features.py all la_haute_borne

.PHONY: bench-features-4m
bench-features-4m: $(READY_FOR_TESTS) ## The same on 4.2 million readings of a made-up fleet, and what a new and a late day cost
	@$(VENV)/bin/pip install --quiet --constraint constraints.txt polars
	@$(PY) benchmarks/features.py all fleet_4m

.PHONY: bench-features-42m
bench-features-42m: $(READY_FOR_TESTS) ## The same on 42 million readings
	@$(VENV)/bin/pip install --quiet --constraint constraints.txt polars
	@$(PY) benchmarks/features.py all fleet_42m

.PHONY: ablation
ablation: $(READY) ## Does each family of features help? Scores with one left out at a time, on C-MAPSS and the built-in fleet
	@$(PY) benchmarks/ablation.py --every 5 --set spark.driver_memory=5g --set split.folds=3 --set model.linear_answers=null \
		--set model.classifier.trees=30 --set model.classifier.depth=7 --set model.classifier.bins=32 \
		--set model.regressor.trees=30 --set model.regressor.depth=7 --set model.regressor.bins=32 \
		--set 'model.regressor.features_per_split="0.1"'

.PHONY: bench-ingest
bench-ingest: $(READY_FOR_TESTS) ## Raw CSV to silver with every rule, against the floor and Polars, ten million rows
	@$(PY) benchmarks/ingest.py

.PHONY: bench-cluster
bench-cluster: package ## Every job on a cluster of real processes, also losing a worker; compares with local mode
	@PYTHONPATH=tests $(PY) benchmarks/cluster.py $${FOLDER:-data/cluster-bench}

.PHONY: fleet-sizes
fleet-sizes: $(READY_FOR_TESTS) ## What a million readings more cost each job
	@PYTHONPATH=tests $(PY) benchmarks/fleet_sizes.py

.PHONY: interval-coverage
interval-coverage: $(READY) ## How often the 80 % interval holds, over eight built-in fleets (25 minutes)
	@$(PY) benchmarks/interval_coverage.py

.PHONY: bench-predict
bench-predict: $(READY) ## Windows scored a minute by both heads, with and without reasons
	@$(PY) benchmarks/predict.py

.PHONY: planted-faults
planted-faults: $(READY_FOR_TESTS) ## Plant clear faults in a fleet: do the alerts name the right signal?
	@PYTHONPATH=tests $(PY) benchmarks/planted_faults.py

.PHONY: fuzz
fuzz: $(READY_FOR_TESTS) ## Damage log files in 2,000 ways, take them in, count every line again
	@PYTHONPATH=tests $(PY) benchmarks/fuzz.py

.PHONY: faults
faults: $(READY_FOR_TESTS) ## Kill ingest at 30 random moments and predict at 20, run them again, compare every table
	@PYTHONPATH=tests $(PY) benchmarks/faults.py --job ingest --kills 30
	@PYTHONPATH=tests $(PY) benchmarks/faults.py --job predict --kills 20

.PHONY: daily-replay
daily-replay: $(READY_FOR_TESTS) ## A year of daily runs against the same year in one run, compared table by table
	@PYTHONPATH=tests $(PY) benchmarks/daily_replay.py
