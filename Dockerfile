# The suite on CPUs, with Ray and the driver of PostgreSQL; compose.yaml makes a small cluster of it.
#
#     docker build --tag head-to-head .
#
# A package index with builds of torch for CPUs alone, given as --build-arg PIP_EXTRA_INDEX_URL=...,
# makes the image smaller.
FROM python:3.11.14-slim-bookworm

ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1 \
    RAY_USAGE_STATS_ENABLED=0

ARG PIP_EXTRA_INDEX_URL=
WORKDIR /suite
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY analysis analysis
COPY experiments experiments
COPY losses losses
COPY models models
RUN pip install --constraint constraints.txt '.[ray,server]' \
    && rm -rf /suite/*

# All that is kept goes into volumes that this user may write to.
RUN useradd --create-home --uid 1000 reader \
    && install --directory --owner reader /runs /artifacts
USER 1000
WORKDIR /runs

CMD ["head-to-head", "--help"]
