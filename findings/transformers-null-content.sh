#!/usr/bin/env bash
# transformers 5.24.0 shows a chat template an empty text where a message has no content.
#
# A message `{"role": "assistant", "content": null}` was printed as the word None by templates that do not test for it. Now it is
# an empty text before the template sees it, so that a row of training data whose answer is missing renders without an error or
# a trace: an assistant turn of nothing. A key that is missing altogether is printed as nothing as well.
#
# Seen on 2026-11-28:
#   null: 'user: hi|assistant: |'
#   missing: 'user: hi|assistant: |'
#
# Exits 0 if it is so, 1 if it has changed. Needs Python 3.11 with pip; installs into a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --only-binary :all: transformers==5.24.0 jinja2==3.1.6 tokenizers==0.23.3

HF_HUB_OFFLINE=1 HF_HOME="$work" venv/bin/python - <<'PY'
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast
tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"?": 0}, unk_token="?")), unk_token="?")
tokenizer.chat_template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}|{% endfor %}"
asked = {"role": "user", "content": "hi"}
render = lambda answer: tokenizer.apply_chat_template([asked, {"role": "assistant", **answer}], tokenize=False)
null, missing = render({"content": None}), render({})
print(f"null: {null!r}\nmissing: {missing!r}")
assert null == missing == "user: hi|assistant: |", (null, missing)
PY
