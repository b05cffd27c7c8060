#!/usr/bin/env bash
# datasets 5.2.0 loads no dataset of which one split has no rows, however the empty Parquet file was written.
#
# Splits that came out empty are ordinary (a filter, a small share), and an empty table is valid Parquet. pyarrow writes it with one
# row group of no rows; others write no row group at all. `load_dataset` of a folder whose card lists both splits fails on either,
# at different places and in words that name neither the file nor the split's emptiness, and the full split is lost with it:
#
# Seen on 2026-11-28 (pyarrow 26.0.1; with and without `dataset_info` in the card):
#   one group of no rows:  DatasetGenerationError, caused by ArrowInvalid: BatchSize must be greater than 0, got 0
#   no row group:          ValueError: Instruction "test" corresponds to no data!
#
# What helps: list no empty split in the card's `configs`, and keep its file for other readers.
#
# Exits 0 if it is so, 1 if it has changed. Needs Python 3.11 with pip; installs into a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --only-binary :all: 'datasets==5.2.0' 'pyarrow==26.0.1'

cat >load.py <<'PY'
import logging, os
import datasets, pyarrow as pa, pyarrow.parquet as pq

logging.disable(logging.CRITICAL)
datasets.disable_progress_bars()
schema = pa.schema([("id", pa.string())])
os.makedirs("folder/data")
pq.write_table(pa.table({"id": ["a", "b"]}, schema=schema), "folder/data/train.parquet")
with open("folder/README.md", "w") as card:
    card.write("---\nconfigs:\n- config_name: default\n  data_files:\n  - {split: train, path: data/train.parquet}\n"
               "  - {split: test, path: data/test.parquet}\n---\n")

def loaded(groups):
    file = "folder/data/test.parquet"
    with pq.ParquetWriter(file, schema) as writer:
        for _ in range(groups):
            writer.write_table(schema.empty_table())
    assert pq.ParquetFile(file).num_row_groups == groups and pq.read_table(file).num_rows == 0
    try:
        return f"loads: {datasets.load_dataset(os.path.abspath('folder'), cache_dir=f'cache-{groups}')}"
    except Exception as error:
        return f"{type(error).__name__}: {error} / {error.__cause__}"

one, none = loaded(1), loaded(0)
print(f"one group of no rows: {one}\nno row group: {none}")
assert "BatchSize must be greater than 0" in one and 'Instruction "test" corresponds to no data' in none, "it has changed"
PY
HF_HUB_OFFLINE=1 venv/bin/python load.py
