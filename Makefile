# make demo: set up and train, measure and export a detector. make test: set up and run the tests.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do command -v $$p >/dev/null 2>&1 && \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1 && echo $$p && break; done)
VENV ?= .venv
REQUIREMENTS ?= requirements.txt
RUN ?= run_demo
TESTS ?= tests
PY = $(VENV)/bin/python
STAMP = $(VENV)/.installed-$(notdir $(REQUIREMENTS))
export TF_CPP_MIN_LOG_LEVEL ?= 3
export PYTHONDONTWRITEBYTECODE ?= 1

.PHONY: setup demo test test-jax lint clean

setup: $(STAMP)

$(STAMP): $(REQUIREMENTS)
	@test -n "$(PYTHON)" || { echo "error: found $$(python3 --version 2>&1 || echo no Python); expected Python 3.11, 3.12 or 3.13 on the PATH. \
	Install one, or name it: make PYTHON=/path/to/python3.12"; exit 2; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; ok = (3, 11) <= v[:2] <= (3, 13); \
	ok or print(f"error: {sys.executable} is Python {v[0]}.{v[1]}, too " + ("old" if v[:2] < (3, 11) else "new") + "; expected 3.11, 3.12 or 3.13. Name another: make PYTHON=/path/to/python3.12"); \
	sys.exit(0 if ok else 2)'
	@echo "setting up $(VENV) with $$($(PYTHON) --version): about 700 MB to fetch, 3 GB on disk, a minute or two"
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check -r $(REQUIREMENTS)
	@touch $@

demo: $(STAMP)
	@$(PY) -m apps trigger-word train --output $(RUN) --size micro --no-near-words --scenes 5000 --steps 2500 --steps-per-epoch 250 --rendered-hours 1.5 --target-false-accepts-per-hour 1

test: $(STAMP)
	@$(PY) -m pytest -n 2 --dist loadfile $(TESTS)

# the layers on Keras's second backend, in an environment without TensorFlow
test-jax:
	@$(MAKE) --no-print-directory setup VENV=.venv-jax REQUIREMENTS=requirements-jax.txt
	@KERAS_BACKEND=jax .venv-jax/bin/python -m pytest tests/zoo/test_recurrent.py tests/zoo/test_attention.py tests/zoo/test_regularisation.py tests/zoo/test_ctc.py

lint: $(STAMP)
	@$(PY) -m ruff check . && $(PY) -m ruff format --check .

clean:
	rm -rf $(VENV) $(RUN)
