# Two images from one file:
#   operator  the controller: no torch, nothing to build with, runs on a read-only root as any user
#   trainer   the shared PyTorch trainer that trials run
# Dependencies and code are layers of their own: a change of code rebuilds in seconds and moves megabytes.
# pip's own settings pass through as build arguments (PIP_INDEX_URL, PIP_CERT, ...), proxies by Docker's predefined ones.
ARG BASE_IMAGE=python:3.13-slim-trixie

FROM ${BASE_IMAGE} AS base
ENV PATH=/opt/tuning/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    USER=tuning
# The virtual environment holds the locked dependencies; the code is found beside it, in /opt/code.
RUN python3 -m venv --without-pip /opt/tuning \
 && /opt/tuning/bin/python -c "import pathlib, sysconfig; pathlib.Path(sysconfig.get_path('purelib'), 'code.pth').write_text('/opt/code\n')" \
 && echo 'tuning:x:65532:65532:tuning:/tmp:/usr/sbin/nologin' >> /etc/passwd

FROM base AS code
ARG PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST PIP_CERT PIP_DEFAULT_TIMEOUT
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY requirements/build.in requirements/
RUN python3 -m venv /opt/build && /opt/build/bin/pip install -r requirements/build.in
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
COPY trainer trainer
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
 && /opt/build/bin/pip --python /opt/tuning/bin/python install --no-deps --no-compile --target /opt/code /dist/*.whl \
 && python -m compileall -q --invalidation-mode unchecked-hash /opt/code

FROM base AS operator-dependencies
ARG PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST PIP_CERT PIP_DEFAULT_TIMEOUT
COPY requirements/operator.lock /opt/operator.lock
# Byte code for what runs, because a read-only root cannot write it on the first start. The Kubernetes client's thousand typed
# models are left uncompiled: the operator speaks in raw objects, and they would double the image. CEL's extensions (36 MB) are
# never loaded.
RUN pip --python /opt/tuning/bin/python install --no-cache-dir --no-compile --disable-pip-version-check -r /opt/operator.lock \
 && cd /opt/tuning/lib/python3*/site-packages \
 && find . -type d \( -name tests -o -name test -o -path ./cel_expr_python/ext \) -prune -exec rm -r {} + \
 && python -m compileall -q --invalidation-mode unchecked-hash -x 'kubernetes/(aio/)?client/(api|models)/' .

FROM operator-dependencies AS operator
LABEL org.opencontainers.image.title="tuning-operator" \
      org.opencontainers.image.description="Kubernetes-native hyperparameter tuning: the controller" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=code /opt/code /opt/code
ENV PATH=/opt/code/bin:$PATH
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["tuning"]
CMD ["operator"]

FROM base AS binutils
RUN apt-get update -qq && apt-get install -qq -y --no-install-recommends binutils

FROM base AS trainer-dependencies
ARG PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST PIP_CERT PIP_DEFAULT_TIMEOUT
COPY requirements/trainer.lock /opt/trainer.lock
# Left out, in the same layer: packages' own tests and what serves to compile against them; the sources that transformers' models
# are generated from; ONNX Runtime's C library and tools (Python has its own); of Arrow what speaks to networks (Flight, S3), of
# Pillow AVIF and fonts, of the hub its downloader; torchao's kernels for sparse and MX formats, which no setting uses; the byte
# code of transformers' hundreds of models, of which a trial loads one at most, and of what serves an export or nobody. Symbols
# for debuggers go too (40 MB), but for torch and what it brings along.
RUN --mount=type=bind,from=binutils,source=/usr,target=/binutils \
    pip --python /opt/tuning/bin/python install --no-cache-dir --disable-pip-version-check -r /opt/trainer.lock \
 && cd /opt/tuning/lib/python3*/site-packages \
 && find . -type d \( -name tests -o -name test \) -prune -exec rm -r {} + \
 && find transformers/models onnx onnx_ir onnxscript pygments -type d -name __pycache__ -prune -exec rm -r {} + \
 && rm transformers/models/*/modular_*.py \
 && rm -r pyarrow/libarrow_flight.so* pyarrow/_flight.* pyarrow/libarrow_s3.so* pyarrow/_s3fs.* \
          pyarrow/libarrow_python.so pyarrow/libarrow_python.so.*.* \
          onnxruntime/capi/libonnxruntime.so* onnxruntime/transformers onnxruntime/tools onnxruntime/quantization \
          PIL/_avif.* PIL/_imagingft.* pillow.libs/libavif* pillow.libs/libfreetype* pillow.libs/libharfbuzz* hf_xet* \
 && rm -f torchao/_C_cutlass* torchao/_C_mxfp8* \
 && find . -type d \( -path ./torch -o -path ./triton -o -path ./nvidia -o -path ./cuda \) -prune -o -type f \
         \( -name '*.h' -o -name '*.hpp' -o -name '*.cuh' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.pyi' \) \
         -exec rm {} + \
 && export LD_LIBRARY_PATH=$(echo /binutils/lib/*-linux-gnu) \
 && find . -type d \( -path ./torch -o -path ./triton -o -path ./nvidia -o -path ./cuda \) -prune -o -type f -name '*.so*' \
         -exec /binutils/bin/strip --strip-unneeded {} +

FROM trainer-dependencies AS trainer
LABEL org.opencontainers.image.title="tuning-trainer" \
      org.opencontainers.image.description="The shared PyTorch trainer of tuning-operator" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=code /opt/code /opt/code
# Trials share the CPUs of their node, often without a limit. Threads that spin while they wait then starve each other: two trials
# of the digits example on two cores took 133 s with OpenMP's default, 19 s like this. ONNX Runtime would report models to its maker.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    OMP_WAIT_POLICY=PASSIVE \
    ORT_DISABLE_TELEMETRY=1
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["python", "-m", "tuning_trainer"]
