#!/usr/bin/env python3
"""Checks that no file of common/ includes a layer above its own.

The layers, lowest first, are those of docs/architecture.md. A source file may
include internal headers ("http/http.h") of its own layer and of those below; a
public header ("gee/ctx.h") counts as part of the layer that implements it.
Prints each include that points upwards; the last line is `N passed, N failed`.
"""

import pathlib
import re
import sys

LAYERS = ["base", "runtime", "ctx", "sync", "flow", "http", "web", "html", "middleware", "debug",
          "trace", "pprof", "otlp"]
HEADERS = {  # the public headers of each layer
    "runtime": "task.h panic.h run.h",
    "ctx": "ctx.h",
    "sync": "chan.h sync.h lane.h",
    "flow": "retry.h workpool.h broker.h hedge.h fanout.h flags.h live.h",
    "http": "http.h config.h",
    "web": "engine.h contract.h req.h spawn.h sse.h json.h multipart.h cookie.h clientip.h",
    "html": "html.h",
    "middleware": "recovery.h middleware.h static.h gzip.h health.h timeout.h audit.h",
    "debug": "debug.h metrics.h",
    "trace": "trace.h",
    "pprof": "pprof.h",
    "otlp": "otlp.h span.h gee.h",
}
PUBLIC = {name: layer for layer, names in HEADERS.items() for name in names.split()}
# gee/run.h and gee/task.h are contracts of the runtime, in part kept by ctx and sync
# above it; gee/http.h, gee/engine.h and gee/req.h build on each other in this order.
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def layer_of_include(name):
    head, _, tail = name.partition("/")
    if head == "gee":
        return PUBLIC.get(tail)
    return head if head in LAYERS else None


def main():
    root = pathlib.Path(__file__).resolve().parents[2] / "common"
    files = sorted((root / "src").rglob("*.[ch]")) + sorted((root / "include").rglob("*.h"))
    failed = 0
    for path in files:
        own = PUBLIC.get(path.name) if "include" in path.parts else path.parent.name
        if own not in LAYERS:
            print(f"{path}: belongs to no layer")
            failed += 1
            continue
        bad = []
        for name in INCLUDE.findall(path.read_text()):
            layer = layer_of_include(name)
            if layer is None:
                bad.append(f'"{name}" belongs to no layer')
            elif LAYERS.index(layer) > LAYERS.index(own):
                bad.append(f'"{name}" is of layer {layer}, above {own}')
        for line in bad:
            print(f"{path.relative_to(root.parent)}: {line}")
        failed += bool(bad)
    print(f"{len(files) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
