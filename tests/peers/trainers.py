#!/usr/bin/env python3
"""Loads what `convogen export` writes with the code of those it is written for.

Run by scripts/test-peers.sh. trl and LLaMA-Factory train a tiny model on it; LLaMA-Factory and axolotl convert it, ConvoKit loads
it, each with its own code; and every chat template that ships in these packages renders it. Needs no network and no GPU.
"""

import importlib.util
import json
import logging
import os
import shlex
import subprocess
import sys
import types
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "TOKENIZERS_PARALLELISM": "false"}
os.environ |= {"HF_DATASETS_DISABLE_PROGRESS_BARS": "1", "TRANSFORMERS_VERBOSITY": "error"}

from support import HERE, WORK, Run, check, process, run_checks

# ConvoKit writes a configuration where it thinks its user lives.
os.environ["HOME"] = str(WORK)

SEVERAL = ["conversations.per_situation=4", "conversations.turns.max=6", "compile.splits={train: 0.5, test: 0.5}"]
SEVERAL += ["conversations.speaker_selection=round_robin"]


def rows(folder, split="train"):
    return [json.loads(line) for line in (folder / f"{split}.jsonl").read_text().splitlines()]


class Exports:
    """A finished run and its exports, each made when it is first asked for."""

    def __init__(self, base):
        self.run = Run("trainers", base, SEVERAL, model="well").ended(0, 9).whole()

    def folder(self, form, *more):
        folder = self.run.folder / "-".join(["export", form, *(word.strip("-") for word in more)])
        if not folder.exists():
            command = ["export", str(self.run.run_dir), "--format", form, "-o", str(folder), *more]
            code, _, told = self.run.command(command)
            check(code == 0, f"{command} ended with {code}: {told}")
        return folder


# Chat templates


def templates():
    """Every chat template in the installed packages, by package and name."""
    found = {}
    for package in ["trl", "axolotl"]:
        for home in importlib.util.find_spec(package).submodule_search_locations:
            for path in sorted(Path(home).rglob("*.jinja")):
                found[f"{package}/{path.stem}"] = path.read_text()
    return found


def renders(template, messages):
    """Whether a template takes the messages and loses nothing that is said in them."""
    from transformers.utils.chat_template_utils import render_jinja_template

    try:
        texts, _ = render_jinja_template([messages], chat_template=template, bos_token="<s>", eos_token="</s>")
    except Exception:  # A template refuses by any kind of exception.
        return False
    return all(message["content"].strip() in texts[0] for message in messages)


def every_template(exports):
    """With the system text in the first user message, nearly every template renders every example whole."""
    found = templates()
    check(len(found) >= 40, f"only {len(found)} templates are installed")
    counts, lost = {}, {}
    for place in ["message", "first_user"]:
        examples = rows(exports.folder("messages", "--system", place))
        # What has no `tools`, images or documents to show is still a chat.
        sound = {name for name, template in found.items() if all(renders(template, row["messages"]) for row in examples)}
        counts[place], lost[place] = len(sound), sorted(set(found) - sound)
    print(f"  {len(found)} templates; whole with first_user {counts['first_user']}, with message {counts['message']}")
    print(f"  refused or incomplete with first_user: {', '.join(lost['first_user'])}")
    check(counts["first_user"] >= 0.9 * len(found), f"refused or incomplete: {lost['first_user']}")
    check(set(lost["first_user"]) <= set(lost["message"]), "first_user loses what message does not")
    two = [{"role": "user", "content": "One."}, {"role": "user", "content": "Two."}, {"role": "assistant", "content": "Three."}]
    strict = [name for name, template in found.items() if not renders(template, two)]
    print(f"  {len(strict)} of them refuse two users in a row, which no export has")
    check(strict, "no template insists on turns, so nothing is shown by this check")


# trl


def tokenizer(texts, template):
    """A byte-level tokenizer that knows the markers of a template, made here since none can be fetched."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=400, special_tokens=marks, initial_alphabet=alphabet))
    wrapped = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    wrapped.chat_template = template
    return wrapped


def trained(name, exports, folder, template, **settings):
    """A tiny model of random weights, trained for a few steps on an export by trl; what it is trained on, as text."""
    import datasets
    import torch
    from transformers import PrinterCallback, Qwen2Config, Qwen2ForCausalLM
    from trl import SFTConfig, SFTTrainer

    torch.manual_seed(17)
    torch.set_num_threads(1)
    words = tokenizer([json.dumps(row) for row in rows(folder)], template)
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = Qwen2Config(vocab_size=len(words), num_key_value_heads=2, max_position_embeddings=4096, **size)
    data = datasets.load_dataset(str(folder), split="train", cache_dir=str(exports.run.folder / "cache"))
    arguments = SFTConfig(
        output_dir=str(exports.run.folder / name), max_steps=4, per_device_train_batch_size=2, learning_rate=1e-2, max_length=4096,
        report_to=[], use_cpu=True, bf16=False, logging_steps=1, save_strategy="no", disable_tqdm=True, **settings,
    )
    trainer = SFTTrainer(model=Qwen2ForCausalLM(config), args=arguments, train_dataset=data, processing_class=words)
    trainer.remove_callback(PrinterCallback)
    batches = list(trainer.get_train_dataloader())
    before = [weight.detach().clone() for weight in trainer.model.parameters()]
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    check(len(losses) == 4 and all(0 < loss < 20 for loss in losses), f"losses {losses}")
    moved = any(not torch.equal(old, new) for old, new in zip(before, trainer.model.parameters()))
    check(moved, "training moved no weight")
    learnt = [[token for token in labels.tolist() if token != -100] for batch in batches for labels in batch["labels"]]
    return sorted(words.decode(tokens) for tokens in learnt), losses


def without_marks(texts):
    return sorted(text.replace("<|im_end|>", "\n").replace("<|endoftext|>", "").strip() for text in texts)


def trl_template():
    """The template of trl that says which tokens the assistant generates."""
    return templates()["trl/qwen2_5_training"]


def trl_messages(exports):
    """On `messages` the loss falls on what the speaker says, and on nothing else."""
    folder = exports.folder("messages")
    learnt, losses = trained("messages", exports, folder, trl_template(), assistant_only_loss=True)
    own = [[m["content"] for m in row["messages"] if m["role"] == "assistant"] for row in rows(folder)]
    found = [" ".join(text.split()) for text in without_marks(learnt)]
    expected = sorted(" ".join(" ".join(said).split()) for said in own)
    check(sorted(found) == expected, f"learnt {found[:2]}, said {expected[:2]}")
    print(f"  loss {losses[0]:.2f} to {losses[-1]:.2f} in {len(losses)} steps, on {len(own)} examples")


def trl_completions(exports):
    """On `prompt_completion` it falls on the completion, with a template that marks nothing."""
    folder = exports.folder("prompt_completion", "--system", "first_user")
    learnt, losses = trained("completions", exports, folder, templates()["axolotl/chatml"])
    said = sorted(" ".join(row["completion"][0]["content"].split()) for row in rows(folder))
    found = sorted(" ".join(text.split()) for text in without_marks(learnt))
    check(found == said, f"learnt {found[:2]}, said {said[:2]}")
    print(f"  loss {losses[0]:.2f} to {losses[-1]:.2f} in {len(losses)} steps, on {len(said)} examples")


def documented(program):
    """The command of a program as docs/exports.md has it, word by word."""
    lines = (HERE.parent.parent / "docs" / "exports.md").read_text().splitlines()
    [line] = [line for line in lines if line.startswith(f"{program} ")]
    return shlex.split(line)


def toy_model(folder, examples):
    """A tiny model in the files that trainers load models from; none can be fetched here. It has read the examples a few times:
    so the system texts, which are much alike, have another loss than what is said."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(17)
    words = tokenizer([json.dumps(row) for row in examples], templates()["trl/qwen2_5"])
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = Qwen2Config(
        vocab_size=len(words), num_key_value_heads=2, max_position_embeddings=4096, eos_token_id=words.eos_token_id, **size
    )
    model = Qwen2ForCausalLM(config)
    learn = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for row in examples * 2:
        read = words(words.apply_chat_template(row["messages"], tokenize=False), return_tensors="pt")["input_ids"]
        model(read, labels=read).loss.backward()
        learn.step()
        learn.zero_grad()
    model.eval()
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return model, words


def loss_on(model, words, examples, flagged, before="\n"):
    """The mean loss of the words of all messages that are `flagged`, found by where they stand in the text. With the marks behind
    the text, which are learnt with it, and `before` in front of it."""
    import torch

    total, count = 0.0, 0
    for row in examples:
        text, spans = words.apply_chat_template(row["messages"], tokenize=False), []
        for message in row["messages"]:
            begin = text.index(message["content"], spans[-1][1] if spans else 0)
            spans.append((begin - len(before), begin + len(message["content"] + "<|im_end|>\n"), flagged(message)))
        coded = words(text, return_offsets_mapping=True, return_tensors="pt")
        places = coded["offset_mapping"][0].tolist()
        counts = torch.tensor([any(b <= at and end <= e and own for b, e, own in spans) for at, end in places])
        with torch.no_grad():
            scores = model(coded["input_ids"]).logits[0, :-1]
        losses = torch.nn.functional.cross_entropy(scores, coded["input_ids"][0, 1:], reduction="none")
        total, count = total + losses[counts[1:]].sum().item(), count + counts[1:].sum().item()
    return total / count


def learnt_by_command(command, home, adapter, log):
    """Runs the command of a trainer; the losses in its log, once there is an adapter."""
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    check(done.returncode == 0, f"{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
    check((adapter / "adapter_model.safetensors").is_file(), f"no adapter: {list(adapter.iterdir())}")
    [state] = adapter.glob(log)
    losses = [entry["loss"] for entry in json.loads(state.read_text())["log_history"] if "loss" in entry]
    check(losses[-1] < losses[0], f"nothing is learnt: {losses}")
    return losses


def begins_with(losses, own, of_all):
    """Whether the first loss that a trainer reports is that of what the speaker says, and not that of all words."""
    check(abs(own - of_all) > 0.1, f"{own} on what the speaker says is no other loss than {of_all} on all")
    check(abs(losses[0] - own) < 0.01, f"the first loss is {losses[0]}, that of what the speaker says {own}, of all {of_all}")
    print(f"  loss {losses[0]:.3f} to {losses[-1]:.3f} in {len(losses)} steps; of all words it would begin at {of_all:.3f}")


def trl_command(exports):
    """Two commands of ours and the one of trl's that docs/exports.md has make an adapter, the loss on flagged words alone."""
    folder = exports.folder("messages", "--loss", "train")
    home = exports.run.folder / "command"
    model, words = toy_model(home / "model", rows(folder))
    put = {"MODEL": str(home / "model"), "./sft": str(folder), "adapter": str(home / "adapter")}
    command = [str(Path(sys.executable).with_name("trl")), *(put.get(word, word) for word in documented("trl sft")[1:])]
    # All examples in one step, so that their order is of no matter; here is no GPU, and 8 bits of a float are too few to compare.
    command += ["--per_device_train_batch_size", str(len(rows(folder))), "--max_steps", "3", "--logging_steps", "1"]
    command += ["--use_cpu", "true", "--bf16", "false", "--gradient_checkpointing", "false", "--report_to", "none"]
    command += ["--max_length", "4096"]
    losses = learnt_by_command(command, home, home / "adapter", "checkpoint-3/trainer_state.json")
    own = loss_on(model, words, rows(folder), lambda message: message["train"])
    begins_with(losses, own, loss_on(model, words, rows(folder), lambda message: True))


def llama_factory_command(exports):
    """The command of LLaMA-Factory's that docs/exports.md has makes an adapter by the dataset_info.json of the export."""
    folder = exports.folder("messages", "--loss", "train")
    home = exports.run.folder / "factory"
    model, words = toy_model(home / "model", rows(folder))
    put = {"MODEL": str(home / "model"), "./sft": str(folder), "adapter": str(home / "adapter")}
    command = [os.environ["PEERS_LLAMAFACTORY"], *(put.get(word, word) for word in documented("llamafactory-cli train")[1:])]
    command += ["--per_device_train_batch_size", str(len(rows(folder))), "--max_steps", "3", "--logging_steps", "1"]
    command += ["--cutoff_len", "4096", "--learning_rate", "1e-3"]
    losses = learnt_by_command(command, home, home / "adapter", "trainer_state.json")
    own = loss_on(model, words, rows(folder), lambda message: message["train"], before="")
    begins_with(losses, own, loss_on(model, words, rows(folder), lambda message: True, before=""))


# The converters of others


def bare(*packages):
    """Lets single modules of packages be imported without what their `__init__` asks for, most of which wants a GPU."""
    for name in packages:
        if name not in sys.modules:
            spec = importlib.util.find_spec(name)
            module = sys.modules[name] = types.ModuleType(name)
            module.__path__, module.__spec__ = list(spec.submodule_search_locations), spec


def axolotl(exports):
    """axolotl reads every example by the axolotl.yaml beside it and trains on what the speaker says alone."""
    import yaml

    # Its home asks for what needs a GPU, one module does not.
    bare("axolotl.prompt_strategies")
    load = importlib.import_module("axolotl.prompt_strategies.chat_template").load
    settings = importlib.import_module("axolotl.utils.dict").DictDefault
    flagged = ("--loss", "train", "--system", "first_user")
    for form, more in [("messages", ()), ("messages", flagged), ("sharegpt", ()), ("sharegpt", flagged), ("openai", ())]:
        folder = exports.folder(form, *more)
        [data] = yaml.safe_load((folder / "axolotl.yaml").read_text())["datasets"]
        words = tokenizer([json.dumps(row) for row in rows(folder)], templates()["axolotl/chatml"])
        configuration = settings({"chat_template": "chatml", "sequence_len": 8192, "train_on_inputs": False})
        strategy = load(words, configuration, settings(data))
        for row in rows(folder):
            made = strategy.tokenize_prompt(row)
            learnt = words.decode([token for token in made["labels"] if token != -100])
            said = row.get("messages", row.get("conversations"))
            own = [m.get("content", m.get("value")) for m in said if m.get("role", m.get("from")) in ("assistant", "gpt")]
            found, expected = " ".join(without_marks([learnt])[0].split()), " ".join(" ".join(own).split())
            check(found == expected, f"{form}: learnt {found!r}, said {expected!r}")
            whole = words.decode(made["input_ids"])
            check(row.get("system", "") in whole, f"{form}: the system text is lost")


def llama_factory(exports):
    """LLaMA-Factory's converter takes every example by the dataset_info.json beside it, and loses no word."""
    bare("llamafactory", "llamafactory.data")
    parser = importlib.import_module("llamafactory.data.parser")
    converter = importlib.import_module("llamafactory.data.converter")
    for form, more in [("messages", ()), ("messages", ("--system", "first_user")), ("sharegpt", ()), ("openai", ())]:
        folder = exports.folder(form, *more)
        [attributes] = parser.get_dataset_list([f"{form}_train"], str(folder))
        check((folder / attributes.dataset_name).is_file(), f"there is no {attributes.dataset_name}")
        convert = converter.get_dataset_converter(attributes.formatting, attributes, types.SimpleNamespace(media_dir=None))
        for row in rows(folder):
            made = convert(row)
            said = row.get("messages", row.get("conversations"))
            texts = [message.get("content", message.get("value")) for message in said]
            system = texts.pop(0) if said[0].get("role") == "system" else row.get("system", "")
            check([turn["content"] for turn in made["_prompt"] + made["_response"]] == texts, f"{form}: {made}")
            check(len(made["_response"]) == 1 and (made["_system"] or "") == system, f"{form}: {made}")


def convokit(exports):
    """ConvoKit loads the corpus whole: every utterance, a root for each conversation, every speaker's data."""
    bare("convokit")
    Corpus = importlib.import_module("convokit.model").Corpus

    corpus = Corpus(filename=str(exports.folder("convokit")))
    talks = exports.run.conversations()
    check(len(list(corpus.iter_conversations())) == len(talks), "conversations are missing")
    for talk in talks:
        conversation = corpus.get_conversation(talk["id"])
        check(conversation.check_integrity(verbose=False), f"{talk['id']} is no tree")
        said = [utterance.text for utterance in conversation.get_chronological_utterance_list()]
        check(said == [talk["conversation_starter"], *(turn["text"] for turn in talk["turns"])], f"{talk['id']}: {said}")
        first = corpus.get_speaker(f"{talk['id']}#{talk['turns'][0]['speaker_id']}")
        check(first.meta["name"] == talk["turns"][0]["speaker"], f"{first.meta}")


def main():
    logging.disable(logging.WARNING)
    with process("upstream-trainers", [sys.executable, str(HERE / "upstream.py")]) as base:
        exports = Exports(base)
        checks = [every_template, trl_messages, trl_completions, trl_command, axolotl, llama_factory]
        checks += [llama_factory_command, convokit]
        named = [(function.__name__, lambda function=function: function(exports)) for function in checks]
        words = sys.argv[1:]
        run_checks([(name, function) for name, function in named if all(word in name for word in words)])


if __name__ == "__main__":
    main()
