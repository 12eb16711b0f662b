"""Makes conversations.csv and contexts.csv from the published traces; see README.md beside this file.

Usage: python3 make_traces.py AZURE_CSV MOONCAKE_JSONL
"""

import csv
import datetime
import json
import sys

BLOCK = 512  # tokens per prefix block of the Mooncake trace


def azure(source, target):
    rows = []
    with open(source, newline="") as file:
        for row in csv.DictReader(file):
            seconds, fraction = row["TIMESTAMP"].split(".")
            moment = datetime.datetime.fromisoformat(seconds + "+00:00").timestamp()
            rows.append((int(moment) * 1000 + int(fraction[:3]), int(row["ContextTokens"]), int(row["GeneratedTokens"])))
    rows.sort(key=lambda row: row[0])
    write(target, "wait_ms,input,output", rows)


def mooncake(source, target):
    rows, session_of, sessions = [], {}, 0
    with open(source) as file:
        for line in file:
            request = json.loads(line)
            hit = 0
            for block in request["hash_ids"]:
                if block not in session_of:
                    break
                hit += 1
            # The first block is a system prompt that all share; more than it is the continuation of a conversation.
            if hit > 1:
                session = session_of[request["hash_ids"][hit - 1]]
            else:
                sessions += 1
                session = sessions
            for block in request["hash_ids"]:
                session_of.setdefault(block, session)
            cached = min(hit * BLOCK, request["input_length"] - 1)
            rows.append((request["timestamp"], request["input_length"], request["output_length"], cached, session))
    rows.sort(key=lambda row: row[0])
    write(target, "wait_ms,input,output,cached,session", rows)
    print(f"{sessions} sessions, {sum(row[3] for row in rows) / sum(row[1] for row in rows):.1%} of input cached")


def write(target, header, rows):
    with open(target, "w") as file:
        file.write(header + "\n")
        before = rows[0][0]
        for row in rows:
            file.write(",".join(str(value) for value in (row[0] - before, *row[1:])) + "\n")
            before = row[0]
    print(f"{target}: {len(rows)} requests in {(rows[-1][0] - rows[0][0]) / 60000:.1f} minutes")


azure(sys.argv[1], "conversations.csv")
mooncake(sys.argv[2], "contexts.csv")
