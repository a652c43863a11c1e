# cmbench on a processor: docker run -v ~/corpora:/data -v ~/results:/work IMAGE run --model mfcc --tasks lyra
FROM python:3.13-slim
COPY . /src
RUN pip install --no-cache-dir -c /src/constraints.txt \
      --extra-index-url https://download.pytorch.org/whl/cpu "/src[av,huggingface]" \
    && rm -rf /src \
    && useradd --create-home cmbench && mkdir /work /cache && chown cmbench /work /cache
USER cmbench
WORKDIR /work
ENV CMBENCH_DATA=/data CMBENCH_CACHE=/cache
VOLUME ["/cache"]
ENTRYPOINT ["cmbench"]
CMD ["--help"]
