# `make train` and `make test` are all a fresh machine needs; each makes the virtual environment first.
# `make test-more` is the tests that `make test` has no time for: copies of the tree, wheels.
# `make soak` is the tests that take three quarters of an hour.
# `make test-engines` tests recipes/ in TRL and in verl, each in an environment of its own.
# `make gpu` is all that needs an NVIDIA GPU: under ten minutes, then RESULTS.md says what came out.
# `make homework` builds the archives of homework/, if the grader can be trusted with them.
# ARGS are passed on: make train ARGS="--method grpo"

PYTHON ?= python3
ARGS ?=

.PHONY: train test lint test-a-m test-n-z test-more test-engines soak gpu homework explorer \
	recipe-trl recipe-verl clean

train: .venv/run
	.venv/bin/python train.py --method maxrl --k 8 $(ARGS)

test: .venv/dev
	$(MAKE) --no-print-directory -j3 lint test-a-m test-n-z

lint:
	.venv/bin/ruff check -q
	.venv/bin/ruff format -q --check
	.venv/bin/mypy

# Two halves, for two cores, beside the linters. 5: ARGS="-k NAME" has left nothing of a half.
test-a-m test-n-z:
	.venv/bin/python -m pytest tests/test_[$(@:test-%=%)]*.py $(ARGS) || [ $$? -eq 5 ]

# npm brings the linter of explorer/ and axe; without it those checks are skipped, and say so.
test-more: .venv/more
	@if command -v npm >/dev/null; then \
		npm ci --prefix explorer --no-audit --no-fund --loglevel=error; fi
	.venv/bin/python -m pytest tests/more -rs $(ARGS)

soak: .venv/dev
	PYTHONPATH=. .venv/bin/python tests/soak.py $(ARGS)

# What bench.py compares with is installed only where the comparison can be made.
gpu: .venv/dev
	@if .venv/bin/python -c "import sys, torch; sys.exit(not torch.cuda.is_available())"; then \
		.venv/bin/python -m pip install -q -r requirements-bench.txt; fi
	@PYTHONPATH=. .venv/bin/python tests/gpu.py

homework: .venv/run
	.venv/bin/python homework/release.py

test-engines: recipe-trl recipe-verl
	.venv-trl/bin/python -m pytest tests/engines/test_trl.py $(ARGS)
	.venv-verl/bin/python -m pytest tests/engines/test_verl.py $(ARGS)

# TRL and verl want unlike versions of transformers.
recipe-trl recipe-verl: recipe-%: .venv-%/done

# docs/index.html, from explorer/ and results/: needs Python only.
explorer:
	$(PYTHON) explorer/build.py

.venv/run: requirements.txt
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install -q -r requirements.txt
	touch $@

.venv/dev: requirements-dev.txt .venv/run
	.venv/bin/python -m pip install -q -r requirements-dev.txt
	touch $@

.venv/more: .venv/dev $(wildcard requirements-more.txt)
	.venv/bin/python -m pip install -q $(patsubst %,-r %,$(filter %.txt,requirements-dev.txt $^))
	touch $@

# verl's own list of dependencies holds what needs a GPU: recipes/requirements-verl.txt says more.
.venv-trl/done .venv-verl/done: .venv-%/done: recipes/requirements-%.txt
	test -x .venv-$*/bin/python || $(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install -q -r $< -c requirements-dev.txt pytest hypothesis
	[ $* != verl ] || .venv-verl/bin/python -m pip install -q --no-deps verl==0.9.1
	touch $@

clean:
	rm -rf .venv .venv-trl .venv-verl explorer/node_modules
