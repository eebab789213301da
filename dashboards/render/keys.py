"""Reads the dashboard into Grafana's own models and writes it again: a key that is lost on the way is one that Grafana does
not know. Its values are checked elsewhere."""

import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

# The data source's own keys of an annotation, which Grafana hands on to it and these models do not have.
HANDED_ON = {"expr", "step", "titleFormat", "textFormat", "tagKeys", "useValueForTime"}


def lost(before, after, path=""):
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key in after:
                yield from lost(value, after[key], f"{path}/{key}")
            elif value not in (None, [], {}, "") and not ("annotations" in path and key in HANDED_ON):
                yield f"{path}/{key}"
    elif isinstance(before, list) and isinstance(after, list):
        if len(before) != len(after):
            yield path
        for index, (one, other) in enumerate(zip(before, after)):
            yield from lost(one, other, f"{path}/{index}")


def main():
    register_default_plugins()
    with open(sys.argv[1], encoding="utf-8") as file:
        before = json.load(file)
    after = json.loads(JSONEncoder().encode(Dashboard.from_json(before)))
    unknown = list(lost(before, after))
    for path in unknown:
        print(f"{path} is no key that Grafana knows")
    sys.exit(1 if unknown else 0)


main()
