# Everything here works from a fresh clone: what needs the environment makes it first, in .venv/.
#
#   PYTHON=python3.12     interpreter for .venv (remembered; python3 where .venv is new)
#   TORCH_INDEX=URL       a further package index to take torch from, such as https://download.pytorch.org/whl/cpu
#   LAB_ARGS="..."        options for JupyterLab, such as "--no-browser --port 8899"
#   INDEX=folder          which of your own videos `make demo` searches: an index that `diffret index` has made
#   DEMO_ARGS="..."       options for `diffret demo`, such as "--no-browser --port 8900"
#   NOTEBOOKS="00 03"     which notebooks `make notebooks` makes; all of them where it is empty
#   RUNS="seed1 seed2"    which trainings `make weights` does; all of them where it is empty
#   TEST_ARGS="..."       options for pytest, such as "-k schedule -x", or "-n 4" for four processes in place of two

.DEFAULT_GOAL := help
.PHONY: help lab demo reset test test-all check notebooks site weights clean

environment = $(or $(PYTHON),python3) tools/environment.py $(1) \
	$(if $(PYTHON),--python-chosen) $(if $(TORCH_INDEX),--torch-index "$(TORCH_INDEX)")

# A file's tests, and a notebook's cells, stay in one process and in order.
pytest = .venv/bin/python -m pytest -n 2 --dist loadfile

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

lab:  ## set up .venv and open JupyterLab on the first notebook
	@$(call environment,lab)
	@.venv/bin/python -m jupyterlab --config=tools/jupyter_lab_config.py $(LAB_ARGS)

demo:  ## open the live demo as a page of its own, in a browser on this computer
	@$(call environment,lab)
	@.venv/bin/diffret demo $(if $(INDEX),--index "$(INDEX)") $(DEMO_ARGS)

reset:  ## restore the notebooks; what was in them is kept in my_answers/
	@$(call environment,lab)
	@.venv/bin/python tools/reset_notebooks.py

test:  ## run all tests and all notebooks, one pytest call
	@$(call environment,test)
	@$(pytest) $(TEST_ARGS)

test-all:  ## the same, and all notebooks with the solutions in place of the stubs
	@$(call environment,test)
	@$(pytest) -m "solutions or not solutions" $(TEST_ARGS)

check:  ## lint, formatting, docstrings and types
	@$(call environment,test)
	@.venv/bin/python -m ruff check .
	@.venv/bin/python -m ruff format --check .
	@.venv/bin/python -m mypy

notebooks:  ## make the executed notebooks from notebooks/py/
	@$(call environment,test)
	@.venv/bin/python tools/make_notebooks.py $(NOTEBOOKS)

site:  ## make static pages of the notebooks in build/site/, for readers without Python
	@$(call environment,lab)
	@.venv/bin/python tools/make_site.py

weights:  ## train everything that docs/results.md says of the samples (hours)
	@$(call environment,test)
	@.venv/bin/diffret samples render
	@.venv/bin/python tools/sample_weights.py $(RUNS)

clean:  ## remove .venv and everything that tools have cached
	@rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
