# Every target sets up by itself. Nothing here deletes runs.
DATA   ?=
PRESET ?=
OUT    ?= outputs
JOBS   ?=
SEEDS  ?=
PORT   ?= 5000
IMAGES ?=
RUN    ?=
OUTPUT ?=
ACCURACY ?=
FORMAT ?=
ARM ?=
KILLS ?= 100
TRIALS ?=
ENGINE ?=
TRACKING ?=
STORAGE ?=
PYTHON ?= python3

VENV := .venv
MODULE := $(VENV)/bin/python -m
HEAD_TO_HEAD = $(VENV)/bin/head-to-head$(if $(value TRACKING), --tracking "$$GIVEN_TRACKING")
# Any file that exists is not remade: no half-made environment has this one.
READY := $(VENV)/ready

# As they were given, for the shell to take as they are: with quotes, dollars and spaces.
GIVEN := OUT DATA PRESET IMAGES OUTPUT RUN JOBS SEEDS PORT ARM TRIALS ENGINE ACCURACY FORMAT TRACKING STORAGE
$(foreach name,$(GIVEN),$(eval export GIVEN_$(name) := $$(value $(name))))

.DEFAULT_GOAL := help
.PHONY: help setup data ablation speedrun best bench bench-peers search audit suspects predict review demo export serve report ui test test-ci test-all torture lint format

help:  ## This list
	@echo "make ablation                               a first comparison on embedded data, minutes"
	@echo "make ablation DATA=folder PRESET=ablation   the real thing, in the published layout"
	@echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12
	@echo
	@echo "Variables: DATA a folder, empty for the embedded strings; PRESET a name in"
	@echo "experiments/configs or a .toml file, empty for the one that the target's line names; OUT"
	@echo "($(OUT)) all state; JOBS runs side by side; ENGINE who makes them: local processes, or"
	@echo "ray (experiments/sweep/README.md); SEEDS a count (3) or a list (4,7); PORT"
	@echo "($(PORT)) of the UI or server; PYTHON ($(PYTHON));"
	@echo "IMAGES a folder, an image or a quoted pattern; RUN an MLflow id, ctc or ce_stop (readers"
	@echo "that come with the suite), empty for the champion, or ctc without one (predict: several"
	@echo "with commas between them, or an ensemble's id, read together); OUTPUT a new"
	@echo "CSV, or folder; ACCURACY (0.98): mark readings too unsure to be right that often; FORMAT what they"
	@echo "have to fit (number, decimals=1, values=FILE); ARM and TRIALS of a search: one loss or"
	@echo "arm in place of all, and for each how many; TRACKING an MLflow server (http://HOST:PORT)"
	@echo "that records the runs in place of OUT; STORAGE a PostgreSQL database (postgresql://USER@HOST/NAME)"
	@echo "for the trials of a search, which several machines make together then."

setup: $(READY)  ## Make .venv and install what pyproject.toml names

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "error: Python 3.11 or later is needed; set PYTHON=python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

data: $(READY)  ## Fetch the published data set into OUT/data/cells, checked
	@$(HEAD_TO_HEAD) data --out "$$GIVEN_OUT"

ablation: $(READY)  ## Train every arm of PRESET (quick) on DATA, then compare; finished runs are skipped
	@$(HEAD_TO_HEAD) ablation --out "$$GIVEN_OUT" $(if $(value PRESET),--preset "$$GIVEN_PRESET") \
	  $(if $(value DATA),--data "$$GIVEN_DATA") $(if $(value JOBS),--jobs "$$GIVEN_JOBS") $(if $(value SEEDS),--seeds "$$GIVEN_SEEDS") \
	  $(if $(value ENGINE),--engine "$$GIVEN_ENGINE")

# A target that is a preset by itself takes no other.
of_its_own = @test -z "$$GIVEN_PRESET" || { echo "error: make $@ is a preset of its own; use make ablation PRESET=..." >&2; exit 2; }

speedrun: $(READY)  ## What learns soonest for either loss, trained on DATA and compared
	$(of_its_own)
	@$(HEAD_TO_HEAD) ablation --out "$$GIVEN_OUT" --preset speedrun \
	  $(if $(value DATA),--data "$$GIVEN_DATA") $(if $(value JOBS),--jobs "$$GIVEN_JOBS") $(if $(value SEEDS),--seeds "$$GIVEN_SEEDS") \
	  $(if $(value ENGINE),--engine "$$GIVEN_ENGINE")

best: $(READY)  ## What reads most: three seeds of either loss (PRESET=best) trained on DATA, read together, and reported
	$(of_its_own)
	@$(HEAD_TO_HEAD) ablation --out "$$GIVEN_OUT" --preset best \
	  $(if $(value DATA),--data "$$GIVEN_DATA") $(if $(value JOBS),--jobs "$$GIVEN_JOBS") $(if $(value SEEDS),--seeds "$$GIVEN_SEEDS") \
	  $(if $(value ENGINE),--engine "$$GIVEN_ENGINE")

bench: $(READY)  ## How fast PRESET (speedrun) trains on DATA beside ablation, a plain loop, the published data path; two runs at once
	@$(HEAD_TO_HEAD) bench --out "$$GIVEN_OUT" $(if $(value PRESET),--preset "$$GIVEN_PRESET") \
	  $(if $(value DATA),--data "$$GIVEN_DATA")

bench-peers: $(VENV)/ready-peers  ## Public readers (rapidocr, EasyOCR, Tesseract) beside the suite's own, on the DATA of these
	@test -n "$$GIVEN_DATA" || { echo "error: no DATA: give the published data set (make data)" >&2; exit 2; }
	@$(HEAD_TO_HEAD) peers --out "$$GIVEN_OUT" --data "$$GIVEN_DATA"

$(VENV)/ready-peers: $(READY)
	$(VENV)/bin/pip install --quiet --constraint constraints.txt --editable '.[dev,peers]'
	@touch $@

# STORAGE may have a password in it, which the list of processes would show.
search: $(READY)  ## Tune the arms of PRESET (search), then train the best on fresh seeds
	@$(if $(value STORAGE),HEAD_TO_HEAD_STORAGE="$$GIVEN_STORAGE") $(HEAD_TO_HEAD) search --out "$$GIVEN_OUT" $(if $(value PRESET),--preset "$$GIVEN_PRESET") \
	  $(if $(value DATA),--data "$$GIVEN_DATA") $(if $(value JOBS),--jobs "$$GIVEN_JOBS") \
	  $(if $(value ARM),--arm "$$GIVEN_ARM") $(if $(value TRIALS),--trials "$$GIVEN_TRIALS") \
	  $(if $(value ENGINE),--engine "$$GIVEN_ENGINE")

audit: $(READY)  ## What is wrong with DATA, for the charset and size of PRESET (ablation)
	@$(HEAD_TO_HEAD) audit --out "$$GIVEN_OUT" \
	  $(if $(value PRESET),--preset "$$GIVEN_PRESET") $(if $(value DATA),--data "$$GIVEN_DATA")

suspects: $(READY)  ## The labels that all arms doubt, from the runs of PRESET=suspects
	@$(HEAD_TO_HEAD) suspects --out "$$GIVEN_OUT" $(if $(value DATA),--data "$$GIVEN_DATA")

predict: $(READY)  ## Read IMAGES with RUN, at once with a reader that comes with the suite; a table, and a CSV where OUTPUT is given
	@test -n "$$GIVEN_IMAGES" \
	  || { echo "error: no IMAGES: give a folder, an image or 'in/**/*.png'" >&2; exit 2; }
	@set -f; IFS=,; for one in $$GIVEN_RUN; do set -- "$$@" --run "$$one"; done; unset IFS; \
	$(HEAD_TO_HEAD) predict "$$@" --out "$$GIVEN_OUT" \
	  $(if $(value OUTPUT),--output "$$GIVEN_OUTPUT") $(if $(value ACCURACY),--accuracy "$$GIVEN_ACCURACY") \
	  $(if $(value FORMAT),--format "$$GIVEN_FORMAT") -- "$$GIVEN_IMAGES"

review: $(READY)  ## Confirm or correct what is read in IMAGES (below ACCURACY), or doubted in DATA; fills the data set OUTPUT
	@test -n "$$GIVEN_OUTPUT" || { echo "error: no OUTPUT: give a folder to fill" >&2; exit 2; }
	@$(HEAD_TO_HEAD) review --port "$$GIVEN_PORT" --out "$$GIVEN_OUT" --output "$$GIVEN_OUTPUT" \
	  $(if $(value RUN),--run "$$GIVEN_RUN") $(if $(value ACCURACY),--accuracy "$$GIVEN_ACCURACY") \
	  $(if $(value DATA),--data "$$GIVEN_DATA") -- $(if $(value IMAGES),"$$GIVEN_IMAGES")

serve: $(READY)  ## The champion behind MLflow's own server, on 127.0.0.1
	@$(HEAD_TO_HEAD) serve --port "$$GIVEN_PORT" --out "$$GIVEN_OUT"

demo: $(READY)  ## Write a number or choose images: two readers (RUN=ctc,ce_stop) answer on a page on 127.0.0.1
	@$(HEAD_TO_HEAD) demo --port "$$GIVEN_PORT" --out "$$GIVEN_OUT" \
	  $${GIVEN_RUN:+--run "$${GIVEN_RUN%%,*}" --run "$${GIVEN_RUN#*,}"}

export: $(READY)  ## RUN's model as ONNX in the new folder OUTPUT; with the DATA it was trained on also int8, and measured
	@test -n "$$GIVEN_OUTPUT" || { echo "error: no OUTPUT: name the folder to make" >&2; exit 2; }
	@$(HEAD_TO_HEAD) export --output "$$GIVEN_OUTPUT" --out "$$GIVEN_OUT" \
	  $(if $(value RUN),--run "$$GIVEN_RUN") $(if $(value DATA),--data "$$GIVEN_DATA")

report: $(READY)  ## Rebuild OUT/report from what MLflow holds, with pictures from DATA
	@$(HEAD_TO_HEAD) report --out "$$GIVEN_OUT" $(if $(value DATA),--data "$$GIVEN_DATA")

ui: $(READY)  ## MLflow's own pages of OUT on 127.0.0.1
	@$(HEAD_TO_HEAD) ui --port "$$GIVEN_PORT" --out "$$GIVEN_OUT"

# A process a core, one thread each. A file's tests stay together: what they share is made once.
PYTEST := OMP_NUM_THREADS=1 $(MODULE) pytest --numprocesses auto --dist loadfile

test: $(READY)  ## The fast tests, minutes
	@$(PYTEST) -m 'not slow and not long'

test-ci: $(READY)  ## Those that take seconds each, which CI runs as well
	@$(PYTEST) -m slow

test-all: $(READY)  ## All, also those that take minutes each: hours
	@$(PYTEST)

# SEED decides when and what is killed.
torture: $(READY)  ## KILLS (100) times SIGKILL, full disks, locks, damaged files; nothing may be lost
	@KILLS='$(KILLS)' $(MODULE) pytest -s -m 'slow or long' tests/experiments/torture

lint: $(READY)  ## Formatting, lint and types
	@$(MODULE) ruff format --check .
	@$(MODULE) ruff check .
	@$(MODULE) mypy

format: $(READY)  ## Put formatting and imports right
	@$(MODULE) ruff format .
	@$(MODULE) ruff check --fix .
