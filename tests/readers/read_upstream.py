#!/usr/bin/env python3
"""Walks a dataset with upstream ConvoGen's records as upstream's own second command walks finished chats.

    VENV/bin/python tests/readers/read_upstream.py DATASET OUT

DATASET is the folder of a dataset (`dataset/` of a run, or a published version) that was exported as `convogen`. Every record of
its JSON Lines parts becomes a `chat-ID.json` below OUT/chats, as a run of upstream's leaves one. Every folder below OUT/chats is
then walked for such files, and parts of as many records as DATASET has in a part are written below OUT/parts, as JSON Lines and
tab-separated. Those must be what DATASET holds: the JSON Lines line by line, the tables as pandas and the csv module read them.
A record must be the one that the dataset's own row of that conversation makes by upstream's rules, worked out here once more.
Prints how many records and parts agree; exits with 1 and a message at the first difference.
"""

import csv
import json
import sys
from pathlib import Path

import pandas

COLUMNS = ["meetingID", "speakerMap", "Conversation", "situation_config"]
SITUATION = ["individuals", "relations", "situation", "topic", "conversationStarter"]
INVENTED = {"name", "age", "qualities", "speechStyle", "lifestyle", "memory"}

csv.field_size_limit(1 << 24)


def check(condition, message):
    if not condition:
        sys.exit(message)


def lines_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def numbered(folder, ending):
    return sorted(folder.glob(f"part-*.{ending}"), key=lambda path: int(path.stem[5:]))


def expected(row):
    """The record of a conversation, as upstream makes one out of who said what."""
    guests = {}
    for turn in row["turns"]:
        guests.setdefault(turn["speaker"], f"Guest{len(guests) + 1}")
    said = [{"speaker": guests[turn["speaker"]], "transcript": turn["text"]} for turn in row["turns"]]
    return {"meetingID": row["id"], "speakerMap": guests, "Conversation": said}


def agrees(record, row):
    where = record["meetingID"]
    check(list(record) == COLUMNS, f"{where}: keys {list(record)}")
    for key, value in expected(row).items():
        check(record[key] == value, f"{where}: {key} is {record[key]}, not {value}")
    situation = record["situation_config"]
    check(list(situation)[:5] == SITUATION, f"{where}: keys of the situation {list(situation)}")
    check(situation["situation"] == row["situation"] and situation["topic"] == row["topic"], f"{where}: another situation")
    check(situation["conversationStarter"] == row["conversation_starter"], f"{where}: another starter")
    ties = " ".join(tie["text"].strip() for tie in row["relations"] if tie["text"].strip())
    check(situation["relations"] == ties, f"{where}: relations {situation['relations']!r}, not {ties!r}")
    people = situation["individuals"]
    check([one["name"] for one in people] == [one["name"] for one in row["participants"]], f"{where}: other people")
    for one, person in zip(people, row["participants"]):
        if "persona" in one:
            check(one["persona"] == person["persona"], f"{where}: another persona of {one['name']}")
        else:
            check(set(one) <= INVENTED and len(one) > 1, f"{where}: {one} is of neither shape")
            for text in [str(one.get("age", "")), *one.get("qualities", []), one.get("memory", "")]:
                check(text in person["persona"], f"{where}: {text!r} is not in the persona of {one['name']}")


def write_parts(records, size, folder):
    folder.mkdir(parents=True)
    for number, start in enumerate(range(0, len(records), size)):
        part = records[start : start + size]
        text = "".join(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n" for record in part)
        (folder / f"part-{number}.jsonl").write_text(text, encoding="utf-8", newline="")
        with open(folder / f"part-{number}.tsv", "w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, delimiter="\t", lineterminator="\n")
            table.writerow(COLUMNS)
            table.writerows([r[k] if k == "meetingID" else json.dumps(r[k]) for k in COLUMNS] for r in part)


def cells(rows):
    return [{k: v if k == "meetingID" else json.loads(v) for k, v in row.items()} for row in rows]


def table(path):
    """The records of a tab-separated part, by pandas, which must find what the csv module finds."""
    found = cells(pandas.read_csv(path, sep="\t", dtype=str).to_dict("records"))
    with open(path, encoding="utf-8", newline="") as file:
        check(cells(csv.DictReader(file, delimiter="\t")) == found, f"{path}: pandas and csv differ")
    return found


def split(dataset, folder, out):
    theirs = numbered(folder, "jsonl")
    check([path.stem for path in theirs] == [f"part-{n}" for n in range(len(theirs))], f"{folder}: parts {theirs}")
    rows = {row["id"]: row for row in lines_of(dataset / "jsonl" / f"conversations-{folder.name}.jsonl")}
    records = [record for path in theirs for record in lines_of(path)]
    check(len(records) == len(rows) > 0, f"{folder}: {len(records)} records of {len(rows)} conversations")
    chats = out / "chats" / folder.name
    chats.mkdir(parents=True)
    for number, record in enumerate(records):
        agrees(record, rows.pop(record["meetingID"]))
        (chats / f"chat-{number:06}.json").write_text(json.dumps(record), encoding="utf-8")
    walked = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(chats.rglob("*.json"))]
    ours = out / "parts" / folder.name
    write_parts(walked, len(lines_of(theirs[0])), ours)
    for ending, read in (("jsonl", lines_of), ("tsv", table)):
        names = [path.name for path in numbered(folder, ending)]
        check(names == [path.name for path in numbered(ours, ending)], f"{folder}: {ending} parts {names}")
        for name in names:
            check(read(folder / name) == read(ours / name), f"{folder / name}: other records than upstream would write")
            if ending == "jsonl":
                check((folder / name).read_bytes() == (ours / name).read_bytes(), f"{folder / name}: other bytes")
    return len(records), len(theirs)


def main(arguments):
    if len(arguments) != 2:
        sys.exit(f"usage: {sys.argv[0]} DATASET OUT")
    dataset, out = map(Path, arguments)
    folders = sorted(path for path in (dataset / "exports" / "convogen").iterdir() if path.is_dir())
    check(folders, f"{dataset}: no parts of upstream's records")
    counts = [split(dataset, folder, out) for folder in folders]
    print(json.dumps({"records": sum(records for records, _ in counts), "parts": sum(parts for _, parts in counts)}))


if __name__ == "__main__":
    main(sys.argv[1:])
