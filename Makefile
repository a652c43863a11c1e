# Two commands: `make run` shows cmbench at work, `make test` checks it. Both need Python 3.11 and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
# `make run CONSTRAINTS=` installs whatever torch your index prefers, for example a CUDA build.
CONSTRAINTS ?= -c constraints.txt
MODELS ?= constant,mfcc,chroma,MERT-nano-untrained,MERT-nano,CultureMERT-nano
# Two fifths of the mini edition's tracks, for a quick first look; `make run SCALE=1` takes all of them, for narrower intervals.
SCALE ?= 0.4

.PHONY: run test test-slow test-oldest test-newest rehearsal faults mutants audit release image site bench nano clean
.DEFAULT_GOAL := help

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(BIN)/cmbench: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "cmbench needs Python 3.11 or newer; name one with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-compile $(CONSTRAINTS) -e .
	@touch $@

$(VENV)/.test: $(BIN)/cmbench
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-compile $(CONSTRAINTS) -e '.[test]'
	@touch $@

run: $(BIN)/cmbench  ## evaluate baselines and nano models on the mini edition of all six tasks
	$(BIN)/cmbench run --model $(MODELS) --tasks all --edition mini --mini-scale $(SCALE) --out results

test: $(VENV)/.test  ## run the tests
	$(BIN)/python -m pytest -m "not slow" -n auto --dist loadfile --no-loadscope-reorder

test-slow: $(VENV)/.test  ## run the long checks
	$(BIN)/python -m pytest -m slow

rehearsal: $(VENV)/.test  ## the headline with doubles of all data sets and models of 95 M parameters (ten minutes)
	$(BIN)/python -m pytest -m slow tests/rehearsal

# Environments of their own beside .venv, made again each time: what is tested is what pip resolves now.
test-oldest:  ## run the tests with the lowest versions that pyproject.toml allows
	rm -rf $(VENV)-oldest
	$(PYTHON) -m venv $(VENV)-oldest
	$(PYTHON) .ci/lowest.py > $(VENV)-oldest/lowest.txt
	$(VENV)-oldest/bin/python -m pip install -qq --disable-pip-version-check --no-compile -c $(VENV)-oldest/lowest.txt -e '.[test]'
	$(VENV)-oldest/bin/python -m pytest -m "not slow"

test-newest:  ## run the tests with the newest versions that there are, release candidates included
	rm -rf $(VENV)-newest
	$(PYTHON) -m venv $(VENV)-newest
	$(VENV)-newest/bin/python -m pip install -qq --disable-pip-version-check --no-compile --upgrade --pre -e '.[test]'
	$(VENV)-newest/bin/python -m pytest -m "not slow"

faults: $(VENV)/.test  ## kill, flip, fuzz and fill the disk in large numbers (hours), a line of figures for each
	$(BIN)/python -m cmbench.tests.faults

# mutmut wants the package's folder below it, and here the root is the package; it works on a copy. One thread, since it
# forks. What was found is kept in build/mutants; MUTANTS='cmbench.benchmark.records.*' asks for some.
mutants: $(VENV)/.test  ## change the arithmetic, records and store line by line and list what no test notices (hours)
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-compile 'pip>=25.1'
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-compile $(CONSTRAINTS) --group mutation
	mkdir -p build/mutants/cmbench
	git ls-files -z | tar -c --null -T - | tar -x -C build/mutants/cmbench
	cp pyproject.toml build/mutants
	cd build/mutants && OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 nice $(abspath $(BIN))/mutmut run --max-children 2 $(MUTANTS)
	cd build/mutants && $(abspath $(BIN))/mutmut results

audit: $(BIN)/cmbench  ## known vulnerabilities, licences and a bill of materials of what .venv has
	.ci/audit $(abspath $(BIN)/python) audit

release:  ## build the sdist and the wheel into dist and check both, as a release does
	PYTHON=$(PYTHON) .ci/release dist

image:  ## build an image with cmbench in it (docker run cmbench --help)
	docker build --tag cmbench .

site: $(BIN)/cmbench  ## build the documentation into build/site, running every cell of the tutorials (minutes)
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-compile 'pip>=25.1'
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-compile $(CONSTRAINTS) --group site
	.ci/site build/site

# WRITE=--write makes what was measured the baseline, and writes the table of docs/performance.md.
bench: $(VENV)/.test  ## measure speed side by side, and say what got slower than the committed ratios
	mkdir -p build
	$(BIN)/python -m pytest tests/benchmarks -o python_files='bench_*.py' --benchmark-json=build/bench.json
	$(BIN)/python -m cmbench.tests.benchmarks.ratios build/bench.json $(WRITE)

nano: $(BIN)/cmbench  ## train the nano family again (up to an hour on two cores) and compare it with what ships
	$(BIN)/cmbench reproduce family --out nano

clean:  ## remove the virtual environment and the results
	rm -rf $(VENV) $(VENV)-oldest $(VENV)-newest audit results build dist *.egg-info
