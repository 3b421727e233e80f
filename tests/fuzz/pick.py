#!/usr/bin/env python3
"""Replaces a corpus by the files of a merged one: pick.py MERGED CORPUS

libFuzzer's merge keeps all that it takes to cover every edge; the tree has room for 96
files, below 192 KiB: the larger ones, which cover more. Each is named by its content.
"""

import hashlib
import pathlib
import sys

FILES, BYTES = 96, 192 * 1024


def main(merged, corpus):
    found = sorted((p.read_bytes() for p in pathlib.Path(merged).iterdir()), key=lambda b: (-len(b), b))
    if not found:
        sys.exit(f"nothing in {merged}: the corpus stays as it is")
    corpus = pathlib.Path(corpus)
    for p in corpus.iterdir():
        p.unlink()
    size = 0
    for data in found[:FILES]:
        if size + len(data) <= BYTES:
            size += len(data)
            (corpus / hashlib.sha1(data).hexdigest()[:12]).write_bytes(data)
    print(f"{len(list(corpus.iterdir()))} files of {len(found)}, {size} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
