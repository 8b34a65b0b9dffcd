# One image a role: docker build --target service|scheduler|mlflow .
ARG PYTHON=3.11.14-slim-bookworm

FROM python:${PYTHON} AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential \
    && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/gatecast
ENV PATH=/opt/gatecast/bin:$PATH
WORKDIR /build
COPY pyproject.toml requirements.lock README.md LICENSE gatecast.py ./
COPY models models
COPY processes processes
COPY service service
COPY store store
COPY training training
# torch without CUDA: an empty TORCH_INDEX takes PyPI's
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --no-cache-dir ${TORCH_INDEX:+--extra-index-url $TORCH_INDEX} \
    --constraint requirements.lock ".[postgres]"

FROM python:${PYTHON} AS runtime
ENV PATH=/opt/gatecast/bin:$PATH PYTHONUNBUFFERED=1
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /var/lib/gatecast gatecast \
    && install -d -o gatecast -g gatecast -m 0750 /var/lib/gatecast /var/lib/mlflow
COPY --from=build /opt/gatecast /opt/gatecast
WORKDIR /var/lib/gatecast
USER 10001:10001

FROM runtime AS service
EXPOSE 8000
CMD ["gatecast", "serve"]

FROM runtime AS scheduler
CMD ["gatecast", "scheduler"]

FROM runtime AS mlflow
WORKDIR /var/lib/mlflow
EXPOSE 5000
CMD ["mlflow", "server", "--host", "0.0.0.0", "--port", "5000"]
