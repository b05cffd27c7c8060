#!/usr/bin/env bash
# transformers 5.24.0 returns a dict from `apply_chat_template`, where version 4 returned a list of ids.
#
# `len(tokenizer.apply_chat_template(messages))`, a usual way to count the tokens of a conversation, is now the number of keys, 2,
# whatever the conversation is: a filter by length passes everything. `return_dict=False` gives the list.
#
# Seen on 2026-11-28:
#   len: 2 for 1 message, 2 for 50 messages
#   return_dict=False: 3 and 150
#
# Exits 0 if it is so, 1 if it has changed. Needs Python 3.11 with pip; installs into a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --only-binary :all: transformers==5.24.0 jinja2==3.1.6 tokenizers==0.23.3

HF_HUB_OFFLINE=1 HF_HOME="$work" venv/bin/python - <<'PY'
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
words = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="?")
tokenizer.chat_template = "{% for m in messages %}{{ m['role'] }} says {{ m['content'] }} {% endfor %}"
message = [{"role": "user", "content": "hi"}]
plain = [len(tokenizer.apply_chat_template(message * times)) for times in (1, 50)]
ids = [len(tokenizer.apply_chat_template(message * times, return_dict=False)) for times in (1, 50)]
print(f"len: {plain[0]} for 1 message, {plain[1]} for 50 messages\nreturn_dict=False: {ids[0]} and {ids[1]}")
assert plain == [2, 2] and ids == [3, 150], (plain, ids)
PY
