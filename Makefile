# What a contributor runs. Each target installs what it misses; `make help` lists them.
.PHONY: help build test bench format lint fuzz ci clean openmp
.DEFAULT_GOAL := help

help:
	@sed -n 's/^\([a-z]*\):[^#]*## /\1	/p' Makefile | expand -t 10

build: openmp  ## Build everything, optimised
	swift build -c release

# SwiftPM compiles C at -O0 in debug builds, where the tests of the kernels would take minutes.
test: openmp  ## Run the Swift tests
	swift test -Xcc -O2 $(ARGS)

bench: openmp  ## Measure the kernels on this machine; ARGS="--pattern 2:4" and so on go to `halftone bench`
	swift run -c release halftone bench $(ARGS)

format:  ## Format the Swift and C sources in place
	swift format format --in-place $$(git ls-files '*.swift')
	Utils/format-c -i

lint:  ## Check the format of the Swift and C sources
	swift format lint --strict $$(git ls-files '*.swift')
	Utils/format-c --dry-run --Werror

fuzz:  ## Fuzz the C kernels; SECONDS=600 for ten minutes
	Tests/Fuzz/run.sh $(or $(SECONDS),60)

ci:  ## All checks that a change has to pass
	.ci/run

clean:  ## Remove what the builds made
	rm -rf .build build

# The kernels find an OpenMP runtime when they run, and need none to build.
openmp:
	@Utils/install libomp-dev || echo "Going on: without an OpenMP runtime the kernels use one thread."
