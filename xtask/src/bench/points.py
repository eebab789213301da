"""A collection of generated points, and a plain loop that scrolls through it: what `cargo xtask bench points` compares with."""

import json
import random
import sys
import time
import urllib.request

URL, COLLECTION = sys.argv[2], sys.argv[3]


def ask(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data, {"content-type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=300) as response:
        return json.load(response)["result"]


def fill(count, dimension):
    ask("PUT", f"/collections/{COLLECTION}", {"vectors": {"size": dimension, "distance": "Cosine"}})
    numbers = random.Random(1)
    for start in range(0, count, 500):
        points = [
            {
                "id": id,
                "payload": {"n": id, "lang": "en", "text": "lorem ipsum " * 5},
                "vector": [numbers.uniform(-1, 1) for _ in range(dimension)],
            }
            for id in range(start, min(start + 500, count))
        ]
        ask("PUT", f"/collections/{COLLECTION}/points?wait=true", {"points": points})


def scroll(page):
    begun, count, offset = time.monotonic(), 0, None
    while True:
        body = {"limit": page, "with_payload": True, "with_vector": True, "offset": offset}
        answer = ask("POST", f"/collections/{COLLECTION}/points/scroll", body)
        count += len(answer["points"])
        offset = answer["next_page_offset"]
        if offset is None:
            break
    print(json.dumps({"points": count, "seconds": time.monotonic() - begun}))


if sys.argv[1] == "fill":
    fill(int(sys.argv[4]), int(sys.argv[5]))
elif sys.argv[1] == "scroll":
    scroll(int(sys.argv[4]))
else:
    ask("DELETE", f"/collections/{COLLECTION}")
