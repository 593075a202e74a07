# A study served where there is no TensorFlow: docker build -t tfcompress-serve .
FROM python:3.12-slim

WORKDIR /app
COPY docker/requirements.txt docker/
RUN pip install --no-cache-dir -r docker/requirements.txt
COPY pyproject.toml setup.cfg README.md LICENSE ./
COPY tfcompress tfcompress
RUN pip install --no-cache-dir --no-deps .

RUN useradd --create-home visitor && mkdir /measured && chown visitor /measured
USER visitor
EXPOSE 8000
ENTRYPOINT ["tfcompress", "serve"]
CMD ["/study", "--out", "/measured", "--host", "0.0.0.0"]
