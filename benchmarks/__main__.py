"""`python -m benchmarks [NAME …]`: run the named benchmarks, or all but `seeds`."""

from __future__ import annotations

import sys
from importlib import import_module

NAMES = ("drift", "ett", "gates", "http", "m4", "scores", "seeds", "streams", "swap", "warming")


def main() -> None:
    """Run what is named, in order."""
    names = sys.argv[1:] or [name for name in NAMES if name != "seeds"]
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        sys.exit(f"no benchmark is called {unknown[0]!r}; there are: {', '.join(NAMES)}")
    for name in names:
        import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
