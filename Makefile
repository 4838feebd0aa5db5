# `make` alone lists what there is. PYTHON makes the environment; everything else runs in it.
PYTHON ?= python3
VENV := $(if $(filter Windows_NT,$(OS)),.venv/Scripts/python,.venv/bin/python)

# Sentences and paths may hold quotes and dollars, so they travel in the environment, not on the shell's command line.
export IMAGE PROMPT PEER PACKS
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast compat editbench benchmark test-gpu comfyui demo-model flow-model lint clean environment

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | awk -F'|' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: environment ## edit a picture by a sentence: make demo [IMAGE=photo.jpg] [PROMPT="..."]
	@$(VENV) -m scripts.demo $(if $(IMAGE),--image "$$IMAGE") $(if $(PROMPT),--prompt "$$PROMPT")

comfyui: environment ## open the same ComfyUI to work with by hand
	@$(VENV) -m scripts.comfyui

test: ## every check, on every ComfyUI that can be had: make test [ARGS="-m 'not long'"]
	@$(PYTHON) -m scripts.environment --all
	@$(VENV) -m scripts.test $(ARGS)

test-fast: ## style and the tests that need no ComfyUI, in some minutes: make test-fast [ARGS="-k frozen"]
	@$(PYTHON) -m scripts.environment --none
	@$(VENV) -m scripts.test --fast $(ARGS)

compat: environment ## whether other packs change an edit: make compat PACKS=folder/of/packs
	@$(VENV) -m scripts.compat "$$PACKS"

editbench: environment ## measure edits against their truth (hours): make editbench [PAIRS=10] [PEER=path]
	@$(VENV) -m tests.editbench $(if $(PAIRS),--pairs $(PAIRS)) $(ARGS)

benchmark: environment ## time and memory of a step, beside others' trainers: make benchmark [PEER=path]
	@$(VENV) -m tests.benchmarks $(ARGS)

test-gpu: environment ## precision, memory and time on a GPU, where one is at hand: make test-gpu [ARGS="--models sd15"]
	@$(VENV) -m tests.gpu $(ARGS)

demo-model: environment ## retrain the bundled demo model from its seed (hours)
	@$(VENV) -m demo.training

flow-model: environment ## train the demo model like Stable Diffusion 3 from its seed (hours)
	@$(VENV) -m demo.training.flow $(ARGS)

lint: environment ## style only
	@$(VENV) -m ruff check .
	@$(VENV) -m ruff format --check .

clean: ## remove the environment and what make wrote here, but not hours of training or of editbench
	rm -rf .venv output .pytest_cache .ruff_cache .hypothesis
	find build -mindepth 1 -maxdepth 1 ! -name demo-model ! -name flow-model ! -name editbench -exec rm -rf {} + 2>/dev/null || true
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

environment:
	@$(PYTHON) -m scripts.environment
