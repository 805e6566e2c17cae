# `make train` and `make test` are all a fresh machine needs; each makes the virtual environment first.
# `make test-more` is the tests that `make test` has no time for: copies of the tree, wheels.
# `make soak` is the tests that take three quarters of an hour.
# ARGS are passed on: make train ARGS="--method grpo"

PYTHON ?= python3
ARGS ?=

.PHONY: train test lint test-a-m test-n-z test-more soak explorer clean

train: .venv/run
	.venv/bin/python train.py --method maxrl --k 8 $(ARGS)

test: .venv/dev
	$(MAKE) --no-print-directory -j2 lint test-a-m test-n-z

lint:
	.venv/bin/ruff check -q
	.venv/bin/ruff format -q --check
	.venv/bin/mypy

# Two halves, for two cores. 5: ARGS="-k NAME" has left nothing of a half.
test-a-m test-n-z:
	.venv/bin/python -m pytest tests/test_[$(@:test-%=%)]*.py $(ARGS) || [ $$? -eq 5 ]

test-more: .venv/more
	.venv/bin/python -m pytest tests/more $(ARGS)

soak: .venv/dev
	PYTHONPATH=. .venv/bin/python tests/soak.py $(ARGS)

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

clean:
	rm -rf .venv
