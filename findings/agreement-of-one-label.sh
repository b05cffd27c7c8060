#!/usr/bin/env bash
# Two annotators who agree on every item, with one label, get no figure: NaN from scikit-learn 1.9.1, an error from krippendorff 0.9.0.
#
# Chance agreement is then 1, so Cohen's kappa is 0 / 0. scikit-learn returns NaN with a warning (`replace_undefined_by` states
# another value; 1.0 is not the default), krippendorff raises ValueError because the data has a single value. A program that
# averages the figures, or compares them with a bar, counts the best agreement there is as none.
#
# Seen on 2026-11-28:
#   scikit-learn: nan, with replace_undefined_by=1.0: 1.0
#   krippendorff: ValueError
#
# Exits 0 if it is so, 1 if it has changed. Needs Python 3.11 with pip; installs into a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --only-binary :all: scikit-learn==1.9.1 krippendorff==0.9.0

HF_HUB_OFFLINE=1 HF_HOME="$work" venv/bin/python - <<'PY'
import math, warnings
import krippendorff
from sklearn.metrics import cohen_kappa_score
warnings.simplefilter("ignore")
labels = ["accept"] * 10
kappa = cohen_kappa_score(labels, labels)
stated = cohen_kappa_score(labels, labels, replace_undefined_by=1.0)
try:
    alpha = krippendorff.alpha(reliability_data=[[1] * 10, [1] * 10], level_of_measurement="nominal")
except ValueError as error:
    alpha = type(error).__name__
print(f"scikit-learn: {kappa}, with replace_undefined_by=1.0: {stated}\nkrippendorff: {alpha}")
assert math.isnan(kappa) and stated == 1.0 and alpha == "ValueError", (kappa, stated, alpha)
PY
